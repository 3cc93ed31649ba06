// Writes certificates and revocation lists under roots of our own, with any fault that a test wants. Tests only: the
// product holds no maker of evidence that looks like hardware's.

import { type Bytes, concat, fromHex, utf8 } from '../src/bytes';

export function hex(text: string): Bytes {
  const bytes = fromHex(text, text.length / 2);
  if (!bytes) throw new Error(`not hex: ${text}`);
  return bytes;
}

export function tlv(tag: number, ...parts: Uint8Array[]): Bytes {
  const content = concat(...parts);
  const { length } = content;
  if (length < 0x80) return concat(Uint8Array.of(tag, length), content);
  const digits = length < 0x100 ? [length] : [length >> 8, length & 0xff];
  return concat(Uint8Array.of(tag, 0x80 | digits.length, ...digits), content);
}

export const sequence = (...parts: Uint8Array[]) => tlv(0x30, ...parts);
export const oid = (content: string) => tlv(0x06, hex(content));
export const octets = (bytes: Uint8Array) => tlv(0x04, bytes);
export const bits = (bytes: Uint8Array) => tlv(0x03, Uint8Array.of(0), bytes);
export const TRUE = hex('0101ff');

export function integer(value: number): Bytes {
  const digits: number[] = [];
  for (let rest = value; rest > 0 || digits.length === 0; rest = Math.floor(rest / 256)) digits.unshift(rest % 256);
  if ((digits[0] ?? 0) >= 0x80) digits.unshift(0);
  return tlv(0x02, Uint8Array.from(digits));
}

/** One common name, as AMD and Intel spell it. */
export function name(commonName: string): Bytes {
  return sequence(tlv(0x31, sequence(oid('550403'), tlv(0x0c, utf8(commonName)))));
}

export function time(ms: number): Bytes {
  const digits = new Date(ms).toISOString().replace(/[-:T]/g, '').slice(0, 14);
  return tlv(0x18, utf8(`${digits}Z`));
}

/** A key that signs, with what certificates say about it. */
export interface Signer {
  readonly spki: Bytes;
  readonly algorithm: Bytes;
  sign(message: Bytes): Promise<Bytes>;
}

const PSS_PARAMETERS =
  '3041' +
  '06092a864886f70d01010a3034a00f300d06096086480165030402020500' +
  'a11c301a06092a864886f70d010108300d06096086480165030402020500a203020130';

/** RSA-4096 with RSASSA-PSS, as AMD's authorities have it. */
export async function pssSigner(saltLength = 48): Promise<Signer> {
  const algorithm = { name: 'RSA-PSS', hash: 'SHA-384', modulusLength: 4096, publicExponent: Uint8Array.of(1, 0, 1) };
  const { privateKey, publicKey } = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  return {
    spki: new Uint8Array(await crypto.subtle.exportKey('spki', publicKey)),
    algorithm: hex(PSS_PARAMETERS),
    sign: async (message) =>
      new Uint8Array(await crypto.subtle.sign({ name: 'RSA-PSS', saltLength }, privateKey, message)),
  };
}

/** ECDSA: r ‖ s as `raw`, and as certificates carry it. */
export interface EcSigner extends Signer {
  /** x ‖ y. */
  readonly point: Bytes;
  raw(message: Bytes): Promise<Bytes>;
}

export async function ecSigner(namedCurve: 'P-256' | 'P-384'): Promise<EcSigner> {
  const { privateKey, publicKey } = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve }, true, [
    'sign',
    'verify',
  ]);
  const hash = namedCurve === 'P-256' ? 'SHA-256' : 'SHA-384';
  const raw = async (message: Bytes) =>
    new Uint8Array(await crypto.subtle.sign({ name: 'ECDSA', hash }, privateKey, message));
  return {
    spki: new Uint8Array(await crypto.subtle.exportKey('spki', publicKey)),
    point: new Uint8Array(await crypto.subtle.exportKey('raw', publicKey)).slice(1),
    algorithm: hex('300a06082a8648ce3d040302'),
    raw,
    sign: async (message) => {
      const signature = await raw(message);
      const half = signature.length / 2;
      return sequence(unsigned(signature.subarray(0, half)), unsigned(signature.subarray(half)));
    },
  };
}

function unsigned(bytes: Uint8Array): Bytes {
  const start = bytes.findIndex((byte) => byte !== 0);
  const digits = bytes.subarray(start);
  return tlv(0x02, (digits[0] ?? 0) >= 0x80 ? concat(Uint8Array.of(0), digits) : digits);
}

export type Extension = readonly [id: string, value: Uint8Array, critical?: boolean];

/** What may stand in a certificate. */
export interface Content {
  readonly subject: string;
  readonly issuer: string;
  readonly key: Signer;
  readonly by: Signer;
  readonly serial?: number;
  readonly from?: number;
  readonly until?: number;
  readonly extensions?: readonly Extension[];
}

export const NOW = 1_790_000_000_000;
const YEAR = 365 * 86_400_000;

/** An authority's rights: keyCertSign and cRLSign, `below` authorities beneath it. */
export const authority = (below: number): Extension[] => [
  ['551d13', sequence(TRUE, integer(below)), true],
  ['551d0f', hex('03020106'), true],
];

function extensionList(extensions: readonly Extension[]): Bytes {
  return sequence(
    ...extensions.map(([id, value, critical]) =>
      critical ? sequence(oid(id), TRUE, octets(value)) : sequence(oid(id), octets(value)),
    ),
  );
}

export async function certificate(content: Content): Promise<Bytes> {
  const { subject, issuer, key, by, serial = 7, from = NOW - YEAR, until = NOW + YEAR, extensions = [] } = content;
  const validity = sequence(time(from), time(until));
  const version = tlv(0xa0, integer(2));
  const about = tlv(0xa3, extensionList(extensions));
  const tbs = sequence(version, integer(serial), by.algorithm, name(issuer), validity, name(subject), key.spki, about);
  return sequence(tbs, by.algorithm, bits(await by.sign(tbs)));
}

export async function revocationList(
  by: Signer,
  issuer: string,
  revoked: readonly number[],
  { from = NOW - 86_400_000, until = NOW + 86_400_000 } = {},
): Promise<Bytes> {
  const entries = revoked.map((serial) => sequence(integer(serial), time(from)));
  const list = entries.length > 0 ? [sequence(...entries)] : [];
  const tbs = sequence(integer(1), by.algorithm, name(issuer), time(from), time(until), ...list);
  return sequence(tbs, by.algorithm, bits(await by.sign(tbs)));
}

export function pem(...certificates: Bytes[]): string {
  const block = (der: Bytes) => Buffer.from(der).toString('base64').replace(/.{64}/g, '$&\n');
  return certificates.map((der) => `-----BEGIN CERTIFICATE-----\n${block(der)}\n-----END CERTIFICATE-----\n`).join('');
}
