// Certificates and revocation lists (RFC 5280), as far as AMD and Intel use them. Strict: version 3, no unique
// identifiers, no extension twice, and no critical extension that nobody here understands.

import { type Bytes, equal, fromUtf8, toHex } from './bytes';
import { NotDer, Reader, TAG, oid, small, time, unsigned, whole, wholeBits } from './der';

/** The largest certificate that is looked at, in bytes. */
export const MAX_CERTIFICATE = 16 << 10;
/** The largest revocation list that is looked at, in bytes. */
export const MAX_CRL = 256 << 10;

/** A certificate that could be read. Whether it is true is another question. */
export interface Certificate {
  readonly der: Bytes;
  /** What the signature is over. */
  readonly signed: Bytes;
  readonly signature: Bytes;
  /** AlgorithmIdentifier of the signature. */
  readonly algorithm: Bytes;
  /** In hex, as the INTEGER's content. */
  readonly serial: string;
  readonly issuer: Bytes;
  readonly subject: Bytes;
  /** Unix milliseconds. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly spki: Bytes;
  /** Values by the hex of their object identifiers. */
  readonly extensions: ReadonlyMap<string, Bytes>;
}

/** A revocation list that could be read. */
export interface Crl {
  readonly signed: Bytes;
  readonly signature: Bytes;
  readonly algorithm: Bytes;
  readonly issuer: Bytes;
  readonly thisUpdate: number;
  readonly nextUpdate: number;
  /** Serial numbers, in hex. */
  readonly revoked: ReadonlySet<string>;
}

const BASIC_CONSTRAINTS = '551d13';
const KEY_USAGE = '551d0f';
const UNDERSTOOD = new Set([BASIC_CONSTRAINTS, KEY_USAGE]);
const COMMON_NAME = '550403';
const CERT_SIGN = 0x04;
const CRL_SIGN = 0x02;

/** Reads a certificate; throws `NotDer`. */
export function parseCertificate(der: Bytes): Certificate {
  if (der.length > MAX_CERTIFICATE) throw new NotDer('a certificate that is too large');
  const { signed, algorithm, signature } = envelope(der);
  return whole(signed, TAG.sequence, (tbs) => {
    if (small(new Reader(tbs.content(0xa0))) !== 2) throw new NotDer('not a certificate of version 3');
    const serial = toHex(unsigned(tbs));
    if (!equal(tbs.raw(TAG.sequence), algorithm)) throw new NotDer('two names for the signature algorithm');
    const issuer = tbs.raw(TAG.sequence);
    const validity = tbs.inside(TAG.sequence);
    const notBefore = time(validity);
    const notAfter = time(validity);
    validity.finish();
    const subject = tbs.raw(TAG.sequence);
    const spki = tbs.raw(TAG.sequence);
    const extensions = parseExtensions(tbs.content(0xa3));
    return { der, signed, signature, algorithm, serial, issuer, subject, notBefore, notAfter, spki, extensions };
  });
}

/** Reads a revocation list; throws `NotDer`. */
export function parseCrl(der: Bytes): Crl {
  if (der.length > MAX_CRL) throw new NotDer('a revocation list that is too large');
  const { signed, algorithm, signature } = envelope(der);
  return whole(signed, TAG.sequence, (tbs) => {
    if (small(tbs) !== 1) throw new NotDer('not a revocation list of version 2');
    if (!equal(tbs.raw(TAG.sequence), algorithm)) throw new NotDer('two names for the signature algorithm');
    const issuer = tbs.raw(TAG.sequence);
    const thisUpdate = time(tbs);
    const nextUpdate = time(tbs);
    const revoked = new Set<string>();
    const entries = new Reader(tbs.maybe(TAG.sequence) ?? new Uint8Array());
    while (!entries.done) {
      const entry = entries.inside(TAG.sequence);
      revoked.add(toHex(unsigned(entry)));
      time(entry);
      const about = entry.maybe(TAG.sequence);
      if (about !== null) readExtensions(new Reader(about));
      entry.finish();
    }
    const about = tbs.maybe(0xa0);
    if (about !== null) parseExtensions(about);
    return { signed, signature, algorithm, issuer, thisUpdate, nextUpdate, revoked };
  });
}

/** The common name of a subject or issuer, or null where there is none or more than one. */
export function commonName(name: Bytes): string | null {
  try {
    const found: string[] = [];
    whole(name, TAG.sequence, (names) => {
      while (!names.done) {
        const set = names.inside(TAG.set);
        const pair = set.inside(TAG.sequence);
        set.finish();
        const kind = oid(pair);
        const text = pair.content(pair.tag ?? 0);
        pair.finish();
        if (kind === COMMON_NAME) found.push(fromUtf8(text));
      }
    });
    return found.length === 1 ? (found[0] ?? null) : null;
  } catch {
    return null;
  }
}

/** Whether a certificate says that it may sign others, with up to `below` authorities beneath it. */
export function mayCertify(certificate: Certificate, below: number): boolean {
  const constraints = certificate.extensions.get(BASIC_CONSTRAINTS);
  const usage = certificate.extensions.get(KEY_USAGE);
  if (!constraints || !usage) return false;
  try {
    const depth = whole(constraints, TAG.sequence, (inside) => {
      if (!isTrue(inside.content(TAG.boolean))) throw new NotDer('not an authority');
      return inside.done ? Number.POSITIVE_INFINITY : small(inside);
    });
    return depth >= below && (keyUsage(usage) & CERT_SIGN) !== 0;
  } catch {
    // Constraints that cannot be read allow nothing.
    return false;
  }
}

/** Whether a certificate says that it may sign revocation lists. */
export function mayRevoke({ extensions }: Certificate): boolean {
  const usage = extensions.get(KEY_USAGE);
  return usage !== undefined && (keyUsage(usage) & CRL_SIGN) !== 0;
}

/** Whether a certificate claims to be an authority, rightly or not. */
export function claimsAuthority({ extensions }: Certificate): boolean {
  const constraints = extensions.get(BASIC_CONSTRAINTS);
  const usage = extensions.get(KEY_USAGE);
  const claims = constraints !== undefined && toHex(constraints) !== '3000';
  return claims || (usage !== undefined && (keyUsage(usage) & CERT_SIGN) !== 0);
}

function envelope(der: Bytes): { signed: Bytes; algorithm: Bytes; signature: Bytes } {
  return whole(der, TAG.sequence, (inside) => {
    const signed = inside.raw(TAG.sequence);
    const algorithm = inside.raw(TAG.sequence);
    return { signed, algorithm, signature: wholeBits(inside) };
  });
}

function parseExtensions(explicit: Bytes): Map<string, Bytes> {
  return whole(explicit, TAG.sequence, readExtensions);
}

function readExtensions(list: Reader): Map<string, Bytes> {
  const extensions = new Map<string, Bytes>();
  while (!list.done) {
    const extension = list.inside(TAG.sequence);
    const id = oid(extension);
    const flag = extension.maybe(TAG.boolean);
    if (flag !== null && isTrue(flag) && !UNDERSTOOD.has(id)) throw new NotDer('an unknown critical extension');
    const value = extension.content(TAG.octetString);
    extension.finish();
    if (extensions.has(id)) throw new NotDer('an extension that occurs twice');
    extensions.set(id, value);
  }
  return extensions;
}

function isTrue(content: Bytes): boolean {
  if (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff)) throw new NotDer('not a boolean');
  return content[0] === 0xff;
}

/** The first byte of the named bits: 0x80 digitalSignature, 0x04 keyCertSign, 0x02 cRLSign. None where it is no such thing. */
function keyUsage(value: Bytes): number {
  // Two bytes at least, the first of which counts the bits of the last that are not used.
  const [tag, length, unused = 8, bits = 0] = value;
  return tag === TAG.bitString && length === value.length - 2 && unused <= 7 ? bits : 0;
}
