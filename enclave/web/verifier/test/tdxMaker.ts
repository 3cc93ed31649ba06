// TDX evidence under a root of our own, true but for what a test changes. Tests only.

import { type Bytes, concat, toHex, utf8 } from '../src/bytes';
import { type TdxEvidence, type TdxRoots, insecureTdxRoots } from '../src';
import {
  type Content,
  type EcSigner,
  authority,
  certificate,
  ecSigner,
  hex,
  integer,
  oid,
  octets,
  NOW,
  pem,
  revocationList,
  sequence,
  tlv,
} from './der';

export type Edit = (json: Record<string, any>) => void;

/** What a test changes. */
export interface TdxChange {
  /** 4, or 5 with a body of type 3 or 4. */
  readonly bodyType?: 2 | 3 | 4;
  /** Bytes of the body, by their offset. */
  readonly body?: Readonly<Record<number, readonly number[]>>;
  /** Bytes of the quoting enclave's report. */
  readonly qe?: Readonly<Record<number, readonly number[]>>;
  readonly qeAuth?: Bytes;
  /** What the quoting enclave vouches for, where it is not the key. */
  readonly vouched?: Bytes;
  readonly tcbInfo?: Edit;
  readonly qeIdentity?: Edit;
  readonly pck?: Partial<Content>;
  readonly ca?: Partial<Content>;
  readonly signer?: Partial<Content>;
  /** Serial numbers that the root or the PCK CA has withdrawn. */
  readonly rootRevoked?: readonly number[];
  readonly pckRevoked?: readonly number[];
  readonly root?: Partial<Content>;
  readonly outerType?: number;
  /** How many zeros follow the quote. */
  readonly padding?: number;
  /** The certificates in the quote, where they are not platform, authority and root. */
  readonly chain?: (all: Bytes[]) => Bytes[];
  /** How the chain is conveyed: 5 is in the quote, 3 is in the collateral. */
  readonly certification?: 3 | 5;
}

const five = await Promise.all([1, 2, 3, 4, 5].map(() => ecSigner('P-256')));
const [root, ca, pck, signer, quoteKey] = five as [EcSigner, EcSigner, EcSigner, EcSigner, EcSigner];

export const keys = { root, ca, pck, signer };
export const SERIALS = { root: 1, ca: 2, pck: 3, signer: 4 };
export const REPORT_DATA = new Uint8Array(64).fill(0x33);

const ROOT = 'Intel SGX Root CA';
const CA = 'Intel SGX PCK Platform CA';
const SGX = '2a864886f84d010d01';
const FMSPC = '00a0c0ffee00';

/** The extension that says which platform it is; every SVN is 5, the PCE's 13. */
export function sgxExtension(leaveOut = ''): Bytes {
  const pair = (key: string, value: Uint8Array) =>
    key === leaveOut ? new Uint8Array() : sequence(oid(SGX + key), value);
  const components = Array.from({ length: 16 }, (_, index) =>
    pair(`02${(index + 1).toString(16).padStart(2, '0')}`, integer(5)),
  );
  return sequence(
    pair('01', octets(new Uint8Array(16).fill(9))),
    pair('02', sequence(...components, pair('0211', integer(13)), pair('0212', octets(new Uint8Array(16).fill(5))))),
    pair('03', octets(hex('0000'))),
    pair('04', octets(hex(FMSPC))),
    pair('05', tlv(0x0a, Uint8Array.of(1))),
    pair('07', sequence(pair('0701', hex('0101ff')), pair('0703', hex('010100')))),
  );
}

const level = (tcb: object, tcbStatus: string, advisoryIDs: string[] = []) => ({
  tcb,
  tcbDate: '2025-06-01T00:00:00Z',
  tcbStatus,
  advisoryIDs,
});
const svns = (svn: number) => Array.from({ length: 16 }, () => ({ svn }));
export const platformLevel = (svn: number, pcesvn: number, status: string, advisories: string[] = []) =>
  level({ sgxtcbcomponents: svns(svn), pcesvn, tdxtcbcomponents: svns(svn) }, status, advisories);
export const svnLevel = (isvsvn: number, status: string, advisories: string[] = []) =>
  level({ isvsvn }, status, advisories);

const module = { mrsigner: '00'.repeat(48), attributes: '00'.repeat(8), attributesMask: 'FF'.repeat(8) };
const dates = {
  issueDate: new Date(NOW - 86_400_000).toISOString().replace('.000Z', 'Z'),
  nextUpdate: new Date(NOW + 86_400_000).toISOString().replace('.000Z', 'Z'),
  tcbEvaluationDataNumber: 20,
};

function tcbInfoOf(edit?: Edit): string {
  const info = {
    id: 'TDX',
    version: 3,
    ...dates,
    fmspc: FMSPC.toUpperCase(),
    pceId: '0000',
    tcbType: 0,
    tdxModule: module,
    tdxModuleIdentities: [
      { id: 'TDX_01', ...module, tcbLevels: [svnLevel(6, 'UpToDate'), svnLevel(4, 'OutOfDate', ['M'])] },
    ],
    // Not in order: a verifier that trusts the order takes the wrong one.
    tcbLevels: [platformLevel(3, 11, 'OutOfDate', ['P']), platformLevel(5, 13, 'UpToDate')],
  };
  edit?.(info);
  return JSON.stringify(info);
}

function qeIdentityOf(edit?: Edit): string {
  const identity = {
    id: 'TD_QE',
    version: 2,
    ...dates,
    miscselect: '00000000',
    miscselectMask: 'FFFFFFFF',
    attributes: `11${'00'.repeat(15)}`,
    attributesMask: `FB${'FF'.repeat(7)}${'00'.repeat(8)}`,
    mrsigner: 'DC'.repeat(32),
    isvprodid: 2,
    tcbLevels: [svnLevel(2, 'OutOfDate', ['Q']), svnLevel(4, 'UpToDate')],
  };
  edit?.(identity);
  return JSON.stringify(identity);
}

/** Evidence with its root. */
export async function tdx(change: TdxChange = {}): Promise<{ evidence: TdxEvidence; roots: TdxRoots }> {
  const rootName = { subject: ROOT, issuer: ROOT, key: keys.root, by: keys.root, serial: SERIALS.root };
  const root = await certificate({ ...rootName, extensions: authority(1), ...change.root });
  const caName = { subject: CA, issuer: ROOT, key: keys.ca, by: keys.root, serial: SERIALS.ca };
  const ca = await certificate({ ...caName, extensions: authority(0), ...change.ca });
  const pckName = { subject: 'Intel SGX PCK Certificate', issuer: CA, key: keys.pck, by: keys.ca, serial: SERIALS.pck };
  const pck = await certificate({ ...pckName, extensions: [[SGX, sgxExtension()]], ...change.pck });
  const signerName = { subject: 'Intel SGX TCB Signing', issuer: ROOT, key: keys.signer, by: keys.root };
  const signer = await certificate({ ...signerName, serial: SERIALS.signer, ...change.signer });
  const certificates = [pck, ca, root];
  const chain = pem(...(change.chain?.(certificates) ?? certificates));
  const tcb_info = tcbInfoOf(change.tcbInfo);
  const qe_identity = qeIdentityOf(change.qeIdentity);
  const elsewhere = change.certification === 3;
  const collateral = {
    pck_crl_issuer_chain: '',
    root_ca_crl: toHex(await revocationList(keys.root, ROOT, change.rootRevoked ?? [])),
    pck_crl: toHex(await revocationList(keys.ca, CA, change.pckRevoked ?? [])),
    tcb_info_issuer_chain: pem(signer, root),
    tcb_info,
    tcb_info_signature: toHex(await keys.signer.raw(utf8(tcb_info))),
    qe_identity_issuer_chain: pem(signer, root),
    qe_identity,
    qe_identity_signature: toHex(await keys.signer.raw(utf8(qe_identity))),
    ...(elsewhere && { pck_certificate_chain: chain }),
  };
  const roots = insecureTdxRoots(root);
  if (!roots) throw new Error('the root cannot be read');
  const quote = await quoteOf(change, elsewhere ? new Uint8Array(404) : utf8(chain));
  return { evidence: { quote, collateral }, roots };
}

const le16 = (value: number) => Uint8Array.of(value & 0xff, value >> 8);
const le32 = (value: number) => concat(le16(value & 0xffff), le16(value >>> 16));

async function quoteOf(change: TdxChange, certification: Bytes): Promise<Bytes> {
  const { bodyType = 2, qeAuth = new Uint8Array(32).fill(7) } = change;
  const size = { 2: 584, 3: 648, 4: 885 }[bodyType];
  const version = bodyType === 2 ? 4 : 5;
  const vendor = hex('939a7233f79c4ca9940a0db3957f0607');
  const header = concat(le16(version), le16(2), hex('8100000000000000'), vendor, new Uint8Array(20));
  const body = new Uint8Array(size);
  const fill = (at: number, ...values: number[]) => body.set(values, at);
  for (const at of bodyType === 2 ? [0] : [0, 584]) fill(at, 6, 1, ...Array<number>(14).fill(5));
  fill(120, 0, 0, 0, 0x10);
  fill(128, 0xe7, 2, 6);
  body.fill(0x41, 136, 184);
  // Each register has a value of its own, so that none passes for another.
  for (const index of [0, 1, 2, 3]) body.fill(0x60 + index, 328 + 48 * index, 376 + 48 * index);
  body.set(REPORT_DATA, 520);
  for (const [at, values] of Object.entries(change.body ?? {})) body.set(values, Number(at));
  const signed = version === 4 ? concat(header, body) : concat(header, le16(bodyType), le32(size), body);

  const qe = new Uint8Array(384);
  qe[48] = 0x11;
  qe.fill(0xdc, 128, 160);
  qe.set(le16(2), 256);
  qe.set(le16(4), 258);
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', concat(quoteKey.point, qeAuth)));
  qe.set(change.vouched ?? hash, 320);
  for (const [at, values] of Object.entries(change.qe ?? {})) qe.set(values, Number(at));
  const type = le16(change.certification ?? 5);
  const parts = [
    qe,
    await keys.pck.raw(qe),
    le16(qeAuth.length),
    qeAuth,
    type,
    le32(certification.length),
    certification,
  ];
  const outer = concat(...parts);
  const data = concat(
    await quoteKey.raw(signed),
    quoteKey.point,
    le16(change.outerType ?? 6),
    le32(outer.length),
    outer,
  );
  return concat(signed, le32(data.length), data, new Uint8Array(change.padding ?? 0));
}
