// Signatures and digests, by the platform's WebCrypto. What cannot be checked does not hold: nothing here throws.

import { type Bytes, concat, equal, fromHex, toHex } from './bytes';
import { NotDer, TAG, small, unsigned, whole, wholeBits } from './der';

/** The curves of AMD (P-384) and Intel (P-256), each with the digest that they use with it. */
const CURVES = {
  'P-256': { hash: 'SHA-256', size: 32, spki: '3059301306072a8648ce3d020106082a8648ce3d03010703420004' },
  'P-384': { hash: 'SHA-384', size: 48, spki: '3076301006072a8648ce3d020106052b8104002203620004' },
} as const;

export type Curve = keyof typeof CURVES;

/** A digest. */
export async function digest(hash: 'SHA-256' | 'SHA-384' | 'SHA-512', bytes: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest(hash, bytes));
}

/** The point (x ‖ y) of a SubjectPublicKeyInfo with an uncompressed key on this curve, or null. */
export function pointOf(spki: Bytes, curve: Curve): Bytes | null {
  const prefix = CURVES[curve].spki;
  const at = prefix.length / 2;
  const right = spki.length === at + 2 * CURVES[curve].size && toHex(spki.subarray(0, at)) === prefix;
  return right ? spki.subarray(at) : null;
}

/** Whether an ECDSA signature (r ‖ s) by the key at `point` (x ‖ y) holds. */
export async function ecdsaHolds(curve: Curve, point: Bytes, message: Bytes, signature: Bytes): Promise<boolean> {
  const { hash, size } = CURVES[curve];
  if (point.length !== 2 * size || signature.length !== 2 * size) return false;
  try {
    const key = await crypto.subtle.importKey(
      'raw',
      concat(Uint8Array.of(4), point),
      { name: 'ECDSA', namedCurve: curve },
      false,
      ['verify'],
    );
    return await crypto.subtle.verify({ name: 'ECDSA', hash }, key, signature, message);
  } catch {
    return false;
  }
}

/** r ‖ s of a signature as certificates carry it (RFC 3279, 2.2.3), or null. */
export function ecdsaFromDer(signature: Bytes, curve: Curve): Bytes | null {
  const { size } = CURVES[curve];
  try {
    const parts = whole(signature, TAG.sequence, (inside) => [unsigned(inside), unsigned(inside)]);
    const padded = parts.map((part) => {
      const digits = part[0] === 0 ? part.subarray(1) : part;
      if (digits.length > size) throw new NotDer('a number that is too large');
      return concat(new Uint8Array(size - digits.length), digits);
    });
    return concat(...padded);
  } catch {
    return null;
  }
}

/** Whether a SubjectPublicKeyInfo holds an RSA key of 4096 bits with the exponent 65537. */
export function isRsa4096(spki: Bytes): boolean {
  try {
    return whole(spki, TAG.sequence, (inside) => {
      const algorithm = inside.raw(TAG.sequence);
      const key = wholeBits(inside);
      return whole(key, TAG.sequence, (numbers) => {
        const modulus = unsigned(numbers);
        const exponent = small(numbers);
        return equal(algorithm, RSA) && modulus.length === 513 && (modulus[1] ?? 0) >= 0x80 && exponent === 65537;
      });
    });
  } catch {
    return false;
  }
}

/** Whether an RSASSA-PSS signature with SHA-384 and 48 bytes of salt holds under a 4096-bit key. */
export async function pssHolds(spki: Bytes, message: Bytes, signature: Bytes): Promise<boolean> {
  if (!isRsa4096(spki) || signature.length !== 512) return false;
  try {
    const key = await crypto.subtle.importKey('spki', spki, { name: 'RSA-PSS', hash: 'SHA-384' }, false, ['verify']);
    return await crypto.subtle.verify({ name: 'RSA-PSS', saltLength: 48 }, key, signature, message);
  } catch {
    return false;
  }
}

/**
 * Whether an AlgorithmIdentifier names RSASSA-PSS with SHA-384, MGF1 with SHA-384, 48 bytes of salt and the only trailer
 * there is (RFC 4055, 3.1). AMD's roots spell the trailer out, its other certificates leave it at its default.
 */
export function isPssSha384(algorithm: Bytes): boolean {
  const hex = toHex(algorithm);
  return hex === `3041${PSS_OID}3034${PSS_PARAMETERS}` || hex === `3046${PSS_OID}3039${PSS_PARAMETERS}a303020101`;
}

/** Whether an AlgorithmIdentifier names ECDSA with SHA-256. */
export function isEcdsaSha256(algorithm: Bytes): boolean {
  return toHex(algorithm) === '300a06082a8648ce3d040302';
}

const RSA = fromHex('300d06092a864886f70d0101010500', 15) ?? new Uint8Array();
const PSS_OID = '06092a864886f70d01010a';
const SHA384 = '300d06096086480165030402020500';
const PSS_PARAMETERS = `a00f${SHA384}a11c301a06092a864886f70d010108${SHA384}a203020130`;
