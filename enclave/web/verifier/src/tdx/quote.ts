// The layout of a TDX quote, versions 4 and 5 (Intel TDX DCAP Quoting Library API, A.3 and A.4). Reading it says nothing
// about whether it is true.
//
// | part | bytes | what |
// |---|---|---|
// | header | 48 | version, key type, TEE type, reserved, vendor of the quoting enclave (QE), user data |
// | version 5 only | 6 | body type (2 bytes) and size (4 bytes) |
// | body | 584, 648 or 885 | the report of the trust domain (TD) |
// | | 4 | length of the signature data |
// | signature data | | signature 64, attestation key 64, certification data of type 6 |
// | of type 6 | | report of the QE 384, its signature 64, authentication data, certification data of type 5 or 3 |
//
// Genuine guests pad their buffers with zeros; anything else behind the quote is refused.

import { type Bytes, isZero, toHex, u16 } from '../bytes';
import type { Checklist } from '../checks';
import { Cursor, TooShort } from '../cursor';

/** The longest quote that is looked at, in bytes. */
export const MAX_QUOTE = 64 << 10;

const QE_VENDOR = '939a7233f79c4ca9940a0db3957f0607';
const BODY_BYTES: Readonly<Record<number, number>> = { 2: 584, 3: 648, 4: 885 };
const QE_AUTH_BYTES = 32;

/** The report of a trust domain, as the quote has it. */
export interface TdReport {
  readonly teeTcbSvn: Bytes;
  readonly mrSeam: Bytes;
  readonly mrSignerSeam: Bytes;
  readonly seamAttributes: Bytes;
  readonly tdAttributes: Bytes;
  readonly xfam: Bytes;
  readonly mrTd: Bytes;
  readonly mrConfigId: Bytes;
  readonly mrOwner: Bytes;
  readonly mrOwnerConfig: Bytes;
  readonly rtmrs: readonly [Bytes, Bytes, Bytes, Bytes];
  readonly reportData: Bytes;
  /** The TCB of the module that runs now, where it was updated under the TD; from body type 3. */
  readonly teeTcbSvn2: Bytes | null;
  /** Service TDs that are bound to this one; from body type 3. */
  readonly mrServiceTd: Bytes | null;
  /** Hashes over the service TDs at creation and now; from body type 4. */
  readonly serviceTdHashes: readonly [Bytes, Bytes] | null;
}

/** The report of the quoting enclave. */
export interface QeReport {
  readonly miscSelect: Bytes;
  readonly attributes: Bytes;
  readonly mrSigner: Bytes;
  readonly isvProdId: number;
  readonly isvSvn: number;
  readonly reportData: Bytes;
  readonly signed: Bytes;
}

/** A quote that could be read, and that nobody vouches for yet. */
export interface UnverifiedQuote {
  readonly version: number;
  readonly bodyType: number;
  readonly report: TdReport;
  /** What the attestation key signed. */
  readonly signed: Bytes;
  readonly signature: Bytes;
  readonly attestationKey: Bytes;
  readonly qe: QeReport;
  readonly qeSignature: Bytes;
  readonly qeAuth: Bytes;
  /** How the chain of the platform's key is conveyed: 5 is PEM right here, 3 is elsewhere. */
  readonly certificationType: number;
  readonly certification: Bytes;
}

/** Reads a quote. */
export function parseQuote(list: Checklist, bytes: Bytes): UnverifiedQuote {
  const cursor = new Cursor(bytes);
  const version = whole(list, 'tdx.quote.header', () => readHeader(list, cursor));
  const { bodyType, report } = whole(list, 'tdx.quote.body', () => readBody(list, cursor, version));
  const signed = bytes.slice(0, cursor.at);
  return {
    version,
    bodyType,
    report,
    signed,
    ...whole(list, 'tdx.quote.signature_data', () => readSignatureData(list, cursor)),
  };
}

function whole<T>(list: Checklist, id: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof TooShort) return list.refuse(id, 'QUOTE_MALFORMED', 'the quote is cut short');
    throw error;
  }
}

function readHeader(list: Checklist, cursor: Cursor): number {
  const id = 'tdx.quote.header';
  list.demand(id, cursor.rest.length <= MAX_QUOTE, 'QUOTE_MALFORMED', 'the quote is larger than any quote can be');
  const header = cursor.take(48);
  const [version, keyType] = [u16(header, 0), u16(header, 2)];
  // The kind of TEE first, so that a quote of SGX is called what it is.
  list.demand(id, toHex(header.subarray(4, 8)) === '81000000', 'TEE_TYPE', 'not a quote of a TDX trust domain');
  list.demand(id, version === 4 || version === 5, 'QUOTE_VERSION', `version ${version} is not known`);
  list.demand(id, keyType === 2, 'ATT_KEY_TYPE', `attestation key type ${keyType} is not known`);
  const vendor = toHex(header.subarray(12, 28)) === QE_VENDOR;
  list.demand(id, vendor, 'QE_VENDOR', 'not made by a quoting enclave of Intel');
  list.pass(id, 'TDX, by a quoting enclave of Intel, ECDSA P-256');
  return version;
}

function readBody(list: Checklist, cursor: Cursor, version: number): { bodyType: number; report: TdReport } {
  const id = 'tdx.quote.body';
  const bodyType = version === 4 ? 2 : cursor.u16();
  const wanted = BODY_BYTES[bodyType];
  const size = version === 4 ? wanted : cursor.u32();
  list.demand(id, wanted !== undefined, 'BODY_TYPE_UNSUPPORTED', `body type ${bodyType} is not known`);
  if (size === undefined || size > cursor.rest.length) throw new TooShort();
  list.demand(id, size === wanted, 'BODY_SIZE', `a body of type ${bodyType} has not ${size} bytes`);
  const report = readReport(cursor.take(size).slice());
  list.pass(id, `type ${bodyType}, ${size} bytes`);
  return { bodyType, report };
}

function readReport(body: Bytes): TdReport {
  const bytes = (at: number, length: number) => body.subarray(at, at + length);
  const rtmr = (index: number) => bytes(328 + 48 * index, 48);
  return {
    teeTcbSvn: bytes(0, 16),
    mrSeam: bytes(16, 48),
    mrSignerSeam: bytes(64, 48),
    seamAttributes: bytes(112, 8),
    tdAttributes: bytes(120, 8),
    xfam: bytes(128, 8),
    mrTd: bytes(136, 48),
    mrConfigId: bytes(184, 48),
    mrOwner: bytes(232, 48),
    mrOwnerConfig: bytes(280, 48),
    rtmrs: [rtmr(0), rtmr(1), rtmr(2), rtmr(3)],
    reportData: bytes(520, 64),
    teeTcbSvn2: body.length >= 648 ? bytes(584, 16) : null,
    mrServiceTd: body.length >= 648 ? bytes(600, 48) : null,
    serviceTdHashes: body.length >= 885 ? [bytes(729, 48), bytes(829, 48)] : null,
  };
}

type SignatureData = Omit<UnverifiedQuote, 'version' | 'bodyType' | 'report' | 'signed'>;

function readSignatureData(list: Checklist, cursor: Cursor): SignatureData {
  const id = 'tdx.quote.signature_data';
  const data = new Cursor(cursor.take(cursor.u32()).slice());
  const padding = cursor.rest;
  const signature = data.take(64);
  const attestationKey = data.take(64);
  const outerType = data.u16();
  list.demand(id, outerType === 6, 'CERT_DATA_TYPE', `certification data of type ${outerType} instead of 6`);
  const outer = new Cursor(data.take(data.u32()));
  const qe = readQe(outer.take(384));
  const qeSignature = outer.take(64);
  const qeAuth = outer.take(outer.u16());
  const certificationType = outer.u16();
  const certification = outer.take(outer.u32());
  const whole = data.rest.length === 0 && outer.rest.length === 0 && qeAuth.length === QE_AUTH_BYTES;
  list.demand(id, whole, 'QUOTE_MALFORMED', 'the lengths inside the quote do not add up');
  list.demand(id, isZero(padding), 'TRAILING_DATA', 'something other than zeros follows the quote');
  list.pass(id, 'lengths add up, nothing follows');
  return { signature, attestationKey, qe, qeSignature, qeAuth, certificationType, certification };
}

function readQe(report: Bytes): QeReport {
  return {
    miscSelect: report.subarray(16, 20),
    attributes: report.subarray(48, 64),
    mrSigner: report.subarray(128, 160),
    isvProdId: u16(report, 256),
    isvSvn: u16(report, 258),
    reportData: report.subarray(320, 384),
    signed: report,
  };
}

/** Whether a service TD is or was bound. */
export function hasServiceTd({ mrServiceTd, serviceTdHashes }: TdReport): boolean {
  const hashes = [mrServiceTd, ...(serviceTdHashes ?? [])];
  return hashes.some((hash) => hash !== null && !isZero(hash));
}
