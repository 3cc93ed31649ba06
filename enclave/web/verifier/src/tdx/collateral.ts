// What Intel publishes about a platform: revocation lists, TCB information and the identity of the quoting enclave. They
// come with the evidence, so every one is checked against the root, and in time. Signatures are over the texts exactly as
// they came: a text that is parsed and written again is another text.

import { equal, fromAnyHex, utf8 } from '../bytes';
import type { Checklist } from '../checks';
import { isEcdsaSha256 } from '../crypto';
import { isObject, parseStrict, type Json } from '../json';
import type { TdxRoots } from '../roots';
import { type Certificate, type Crl, commonName, parseCrl } from '../x509';
import { type PckChain, checkSigner, crlHolds, signedBy } from './chain';
import type { Platform } from './pck';
import { type QeIdentity, type TcbInfo, readQeIdentity, readTcbInfo } from './tcbinfo';

/** Collateral in the form in which the tools of the field pass it on: PEM chains, lists in hex, texts as Intel signed them. */
export interface TdxCollateral {
  readonly pck_crl_issuer_chain: string;
  /** DER in hex. */
  readonly root_ca_crl: string;
  readonly pck_crl: string;
  readonly tcb_info_issuer_chain: string;
  /** The exact text that is signed. */
  readonly tcb_info: string;
  /** r ‖ s in hex. */
  readonly tcb_info_signature: string;
  readonly qe_identity_issuer_chain: string;
  readonly qe_identity: string;
  readonly qe_identity_signature: string;
  /** The chain of the platform's key, for quotes that carry none. */
  readonly pck_certificate_chain?: string | null;
}

/** The most that is looked at, in UTF-16 units over all parts. */
export const MAX_COLLATERAL = 1 << 20;

const TEXTS: readonly string[] = [
  'pck_crl_issuer_chain',
  'root_ca_crl',
  'pck_crl',
  'tcb_info_issuer_chain',
  'tcb_info',
  'tcb_info_signature',
  'qe_identity_issuer_chain',
  'qe_identity',
  'qe_identity_signature',
];

/** Collateral that holds for one platform. */
export interface CheckedCollateral {
  readonly tcbInfo: TcbInfo;
  readonly qeIdentity: QeIdentity;
  /** Until when all of it holds, and from when, Unix milliseconds. */
  readonly validFrom: number;
  readonly validUntil: number;
}

/** A value of the collateral's shape, or null: these strings and no others. What they say is checked later. */
export function readCollateral(json: unknown): TdxCollateral | null {
  if (json === null || typeof json !== 'object') return null;
  const fields = new Map<string, unknown>(Object.entries(json));
  if (fields.get('pck_certificate_chain') === null) fields.delete('pck_certificate_chain');
  const named = [...fields.keys()].every((name) => TEXTS.includes(name) || name === 'pck_certificate_chain');
  const whole = TEXTS.every((name) => fields.has(name));
  const texts = [...fields.values()].every((value) => typeof value === 'string');
  return named && whole && texts ? (json as TdxCollateral) : null;
}

/** How much there is to look at, in UTF-16 units. */
export function collateralSize(collateral: TdxCollateral): number {
  return Object.values(collateral).reduce((size: number, text: string | null) => size + (text?.length ?? 0), 0);
}

/** Checks collateral against the root, the clock and the platform. */
export async function checkCollateral(
  list: Checklist,
  collateral: TdxCollateral,
  chain: PckChain,
  platform: Platform,
  roots: TdxRoots,
  nowMs: number,
): Promise<CheckedCollateral> {
  const { rootCrl, pckCrl } = await checkCrls(list, collateral, chain, roots, nowMs);
  const context = { checks: list, rootCrl, roots, nowMs };

  const tcb = { id: 'tdx.collateral.tcb_info', what: 'TCB_INFO', read: readTcbInfo } as const;
  const { tcb_info, tcb_info_signature, tcb_info_issuer_chain } = collateral;
  const info = await checkText(context, tcb, tcb_info, tcb_info_signature, tcb_info_issuer_chain);

  const qe = { id: 'tdx.collateral.qe_identity', what: 'QE_IDENTITY', read: readQeIdentity } as const;
  const { qe_identity, qe_identity_signature, qe_identity_issuer_chain } = collateral;
  const identity = await checkText(context, qe, qe_identity, qe_identity_signature, qe_identity_issuer_chain);

  const { fmspc, pceId } = info.value;
  list.demand('tdx.collateral.fmspc', fmspc === platform.fmspc, 'FMSPC_MISMATCH', 'the TCB info is of another model');
  list.pass('tdx.collateral.fmspc', 'the TCB info is for this model of platform');
  list.demand('tdx.collateral.pce_id', pceId === platform.pceId, 'PCEID_MISMATCH', 'the TCB info is of another PCE');
  list.pass('tdx.collateral.pce_id', 'the TCB info is for this PCE');

  const dated = [info.value, identity.value].map(({ issueDate, nextUpdate }) => [issueDate, nextUpdate] as const);
  const lists = [rootCrl, pckCrl].map(({ thisUpdate, nextUpdate }) => [thisUpdate, nextUpdate] as const);
  const certificates = [roots.root, chain.ca, chain.pck, info.signer, identity.signer];
  const certified = certificates.map(({ notBefore, notAfter }) => [notBefore, notAfter] as const);
  const windows = [...dated, ...lists, ...certified];
  return {
    tcbInfo: info.value,
    qeIdentity: identity.value,
    validFrom: Math.max(...windows.map(([from]) => from)),
    validUntil: Math.min(...windows.map(([, until]) => until)),
  };
}

async function checkCrls(
  list: Checklist,
  { root_ca_crl, pck_crl }: TdxCollateral,
  { pck, ca }: PckChain,
  { root }: TdxRoots,
  nowMs: number,
): Promise<{ rootCrl: Crl; pckCrl: Crl }> {
  const rootCrl = await checkCrl(list, 'tdx.collateral.root_crl', root_ca_crl, root, 'ROOT_CRL', nowMs);
  const pckCrl = await checkCrl(list, 'tdx.collateral.pck_crl', pck_crl, ca, 'PCK_CRL', nowMs);
  const [caId, pckId] = ['tdx.collateral.pck_ca_revocation', 'tdx.collateral.pck_revocation'] as const;
  list.demand(caId, !rootCrl.revoked.has(ca.serial), 'INTERMEDIATE_REVOKED', 'Intel has withdrawn the PCK CA');
  list.pass(caId, 'the PCK CA is not revoked');
  list.demand(pckId, !pckCrl.revoked.has(pck.serial), 'PCK_REVOKED', 'Intel has withdrawn the key of this platform');
  list.pass(pckId, 'the key of the platform is not revoked');
  return { rootCrl, pckCrl };
}

/** A list of another authority than the one that certified says nothing about what was certified. */
async function checkCrl(
  list: Checklist,
  id: string,
  hex: string,
  authority: Certificate,
  what: 'ROOT_CRL' | 'PCK_CRL',
  nowMs: number,
): Promise<Crl> {
  const crl = readCrl(list, id, hex);
  list.demand(id, await crlHolds(crl, authority), `${what}_SIGNATURE`, 'the list is not signed by its authority');
  list.demand(id, equal(crl.issuer, authority.subject), 'REVOCATION_UNKNOWN', 'the list is that of another authority');
  list.pass(id, `signed by ${commonName(authority.subject)}`);
  checkDates(list, `${id}.validity`, crl.thisUpdate, crl.nextUpdate, what, nowMs);
  return crl;
}

function readCrl(list: Checklist, id: string, hex: string): Crl {
  try {
    const crl = parseCrl(fromAnyHex(hex, hex.length / 2) ?? new Uint8Array());
    if (isEcdsaSha256(crl.algorithm)) return crl;
  } catch {
    // Reported below, like a list that is signed in another way.
  }
  return list.refuse(id, 'COLLATERAL_MALFORMED', 'the revocation list cannot be read');
}

interface Context {
  readonly checks: Checklist;
  readonly rootCrl: Crl;
  readonly roots: TdxRoots;
  readonly nowMs: number;
}

/** One of the two texts that Intel signs. */
interface SignedText<T> {
  readonly id: string;
  readonly what: 'TCB_INFO' | 'QE_IDENTITY';
  readonly read: (list: Checklist, json: { [name: string]: Json }) => T;
}

async function checkText<T extends { issueDate: number; nextUpdate: number; evaluationNumber: number }>(
  { checks, rootCrl, roots, nowMs }: Context,
  { id, what, read }: SignedText<T>,
  text: string,
  signatureHex: string,
  chain: string,
): Promise<{ value: T; signer: Certificate }> {
  const list: Checklist = checks;
  const signer = await checkSigner(list, `${id}.signer`, chain, roots, nowMs);
  list.demand(`${id}.signer`, !rootCrl.revoked.has(signer.serial), 'TCB_SIGNER', 'Intel has withdrawn its signer');
  list.pass(`${id}.signer`, 'directly under the root, not revoked');
  const signature = fromAnyHex(signatureHex, 64);
  const signed = signature !== null && (await signedBy(signer, utf8(text), signature));
  list.demand(`${id}.signature`, signed, `${what}_SIGNATURE`, 'its signature is wrong');
  list.pass(`${id}.signature`, 'signed, byte for byte as it came');
  const value = read(list, json(list, id, text));
  list.pass(id, `number ${value.evaluationNumber} of Intel's evaluations`);
  checkDates(list, `${id}.validity`, value.issueDate, value.nextUpdate, what, nowMs);
  return { value, signer };
}

function json(list: Checklist, id: string, text: string): { [name: string]: Json } {
  try {
    const value = parseStrict(text);
    if (isObject(value)) return value;
  } catch {
    // Reported below, like JSON that is not an object.
  }
  return list.refuse(id, 'COLLATERAL_MALFORMED', 'it is not strict JSON');
}

type Dated = 'TCB_INFO' | 'QE_IDENTITY' | 'PCK_CRL' | 'ROOT_CRL';

function checkDates(list: Checklist, id: string, from: number, until: number, what: Dated, nowMs: number): void {
  list.demand(id, nowMs >= from, `${what}_NOT_YET_VALID`, 'it is of the future');
  list.demand(id, nowMs <= until, `${what}_EXPIRED`, 'it has run out');
  list.pass(id, `good until ${new Date(until).toISOString().slice(0, 10)}`);
}
