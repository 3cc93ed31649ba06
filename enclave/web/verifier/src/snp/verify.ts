// Verifies an SNP report: bytes, roots and a time in, checks and claims out. No I/O and no clock in here. Whether what is
// true is also wanted (measurement, versions, debugging) is for `policy.ts` to judge.

import { type Bytes, isZero, toHex } from '../bytes';
import { type Checklist, type Conclusion, type Planned, Stop, concluded, optional, required } from '../checks';
import { ecdsaHolds } from '../crypto';
import { wholeSeconds } from '../der';
import type { Product, SnpRoots } from '../roots';
import { type SnpChain, type SnpEndorsements, checkChain, chipIdOf } from './chain';
import {
  type SigningKey,
  type Tcb,
  type UnverifiedReport,
  atLeast,
  parseReport,
  productOf,
  tcbOf,
  tcbReservedZero,
} from './report';

/** A report with what came along. */
export interface SnpEvidence extends SnpEndorsements {
  readonly report: Bytes;
}

/** What a report says, once all that was checked held. */
export interface SnpClaims extends Omit<UnverifiedReport, 'tcb' | 'signed' | 'signature' | 'reservedZero' | 'flags'> {
  readonly tee: 'sev-snp';
  /** False where the root was not AMD's own. */
  readonly hardware: boolean;
  readonly product: Product;
  readonly productName: string;
  readonly signingKey: SigningKey;
  readonly cspId: string | null;
  readonly tcb: { readonly current: Tcb; readonly reported: Tcb; readonly committed: Tcb; readonly launch: Tcb };
  /** The same as the report has them: eight bytes each. */
  readonly rawTcb: UnverifiedReport['tcb'];
  /** Whether the digest of the author's key means anything. */
  readonly authorKeyEnabled: boolean;
  /** Until when the verdict holds, Unix milliseconds. */
  readonly validUntil: number;
  readonly vekNotAfter: number;
  /** Whether a revocation list was looked at. */
  readonly crlChecked: boolean;
}

const ALTERED = 'do not use this appliance: its evidence was altered or made up';
const AGAIN = 'verify again; if it stays so, report it to whoever runs the appliance';
const RENEW = 'let the appliance fetch its certificates from AMD again, and check the clock of this device';

const CHAIN_PLAN: readonly Planned[] = [
  required('snp.vek.present', 'chain', 'let the appliance send the certificate of its signing key'),
  required('snp.vek.format', 'chain', RENEW),
  required('snp.ask.format', 'chain', RENEW),
  required('snp.chain.ark', 'chain', ALTERED),
  required('snp.chain.ask', 'chain', ALTERED),
  required('snp.chain.vek', 'chain', ALTERED),
  required('snp.chain.validity', 'chain', RENEW),
  optional('snp.crl', 'chain', 'let the appliance send the current revocation list of AMD'),
  required('snp.vek.kind', 'chain', ALTERED),
  required('snp.vek.key', 'chain', ALTERED),
  required('snp.vek.extensions', 'chain', ALTERED),
  required('snp.vek.product', 'chain', ALTERED),
];

/** The checks of a report in their order, with the ids of `cloister-verify`. */
export const SNP_PLAN: readonly Planned[] = [
  required('snp.report.size', 'parse', AGAIN),
  required('snp.report.version', 'parse', 'use a newer verifier'),
  required('snp.report.signature_algo', 'parse', AGAIN),
  required('snp.report.unsigned', 'parse', AGAIN),
  required('snp.report.signing_key', 'chain', 'let the host unmask the key of its chip, then verify again'),
  ...CHAIN_PLAN,
  required('snp.report.key_kind', 'chain', RENEW),
  required('snp.report.signature', 'signature', ALTERED),
  // Version 2 names no processor; in later versions the check is always made.
  optional('snp.report.product', 'chain', ALTERED),
  required('snp.report.reserved', 'parse', 'use a newer verifier, which knows this firmware'),
  required('snp.vek.tcb', 'chain', 'let the appliance fetch the certificate for its present firmware'),
  required('snp.vek.chip', 'chain', 'let the appliance send the certificate of its own chip'),
  required('snp.report.guest', 'policy', 'launch the appliance anew; the report must be asked for inside it'),
  required('snp.policy.reserved', 'policy', 'launch the appliance anew with a valid guest policy'),
  required('snp.tcb.order', 'policy', ALTERED),
];

/** Verifies a report as of `nowMs`. */
export function verifySnp(evidence: SnpEvidence, roots: SnpRoots, nowMs: number): Promise<Conclusion<SnpClaims>> {
  return concluded(SNP_PLAN, (list) => snpSteps(list, evidence, roots, wholeSeconds(nowMs)));
}

/** Verifies only the certificates, where there is no report. */
export function verifySnpChain(given: SnpEndorsements, roots: SnpRoots, nowMs: number): Promise<Conclusion<SnpChain>> {
  return concluded(CHAIN_PLAN, (list) => checkChain(list, given, roots, wholeSeconds(nowMs)));
}

/** The steps, for procedures that have more. The first that does not hold is the last. */
export async function snpSteps(
  list: Checklist,
  evidence: SnpEvidence,
  roots: SnpRoots,
  nowMs: number,
): Promise<SnpClaims> {
  const report = parseReport(list, evidence.report);
  const kind = (report.flags >>> 2) & 7;
  list.demand('snp.report.signing_key', kind <= 1, 'SIGNING_KEY', `signing key ${kind} is neither VCEK nor VLEK`);
  const said: SigningKey = kind === 1 ? 'VLEK' : 'VCEK';
  list.pass('snp.report.signing_key', said);

  const chain = await chainOf(list, report, evidence, roots, nowMs);
  const same = said === chain.signingKey;
  list.demand(
    'snp.report.key_kind',
    same,
    'SIGNING_KEY_MISMATCH',
    `the report says ${said}, the certificate says another`,
  );
  list.pass('snp.report.key_kind', 'report and certificate name one kind of key');

  const { signature } = report;
  const signed = signature !== null && (await ecdsaHolds('P-384', chain.point, report.signed, signature));
  list.demand('snp.report.signature', signed, 'REPORT_SIGNATURE', 'the signature of the report is wrong');
  list.pass('snp.report.signature', 'signed by the key in the certificate');
  // The product first: what is reserved in a TCB version depends on it.
  checkProduct(list, report, chain);
  const unused = report.reservedZero && Object.values(report.tcb).every((tcb) => tcbReservedZero(chain.product, tcb));
  list.demand('snp.report.reserved', unused, 'RESERVED_NONZERO', 'a field without a meaning is not zero');
  list.pass('snp.report.reserved', 'all zero');
  const tcb = checkTcb(list, report, chain);
  checkChip(list, report, chain);
  checkInvariants(list, report, tcb);
  return claims(report, chain, tcb, roots.pinned);
}

/** A processor without a root here is not a forgery, only unknown. */
async function chainOf(
  list: Checklist,
  { cpu }: UnverifiedReport,
  evidence: SnpEvidence,
  roots: SnpRoots,
  nowMs: number,
): Promise<SnpChain> {
  try {
    return await checkChain(list, evidence, roots, nowMs);
  } catch (error) {
    const untrusted = error instanceof Stop && error.refusal.code === 'ROOT_UNTRUSTED';
    if (untrusted && cpu !== null && productOf(cpu) === null)
      list.refuse('snp.report.product', 'PRODUCT_UNKNOWN', UNKNOWN);
    throw error;
  }
}

const UNKNOWN = 'a processor that has no root here';

function checkProduct(list: Checklist, { cpu }: UnverifiedReport, { product }: SnpChain): void {
  const id = 'snp.report.product';
  if (cpu === null) {
    list.notDone(id, `reports of version 2 name no processor: ${product} is that of the chain`);
    return;
  }
  const own = productOf(cpu);
  list.demand(id, own !== null, 'PRODUCT_UNKNOWN', UNKNOWN);
  list.demand(id, own === product, 'PRODUCT_MISMATCH', `the report is of ${own}, its chain of ${product}`);
  list.pass(id, `${product}, as the chain`);
}

type Tcbs = SnpClaims['tcb'];

function checkTcb(list: Checklist, { tcb }: UnverifiedReport, { product, tcb: certified }: SnpChain): Tcbs {
  const reported = tcbOf(product, tcb.reported);
  const same = atLeast(reported, certified) && atLeast(certified, reported);
  list.demand('snp.vek.tcb', same, 'TCB_CERT_MISMATCH', 'the certificate is for other versions than the report says');
  list.pass('snp.vek.tcb', `the certificate is for ${spell(reported)}`);
  return {
    reported,
    current: tcbOf(product, tcb.current),
    committed: tcbOf(product, tcb.committed),
    launch: tcbOf(product, tcb.launch),
  };
}

function checkChip(list: Checklist, { chipId }: UnverifiedReport, { hwid, cspId }: SnpChain): void {
  const right = hwid === null ? isZero(chipId) : toHex(chipId) === chipIdOf(hwid);
  list.demand('snp.vek.chip', right, 'HWID_MISMATCH', 'the certificate is that of another chip');
  list.pass('snp.vek.chip', hwid === null ? `no single machine: the key of ${cspId}` : 'the key of this chip');
}

/** What genuine firmware never says, whatever a policy allows. */
function checkInvariants(list: Checklist, { policy, vmpl }: UnverifiedReport, tcb: Tcbs): void {
  list.demand('snp.report.guest', vmpl <= 3, 'VMPL', 'the host asked for the report, not the guest');
  list.pass('snp.report.guest', `asked for by the guest, at privilege level ${vmpl}`);
  const known = ((policy >> 17n) & 1n) === 1n && policy >> 26n === 0n;
  list.demand('snp.policy.reserved', known, 'POLICY_RESERVED', 'reserved bits of the guest policy are wrong');
  list.pass('snp.policy.reserved', 'as they must be');
  const ordered = atLeast(tcb.current, tcb.reported) && atLeast(tcb.current, tcb.committed);
  list.demand('snp.tcb.order', ordered, 'TCB_INCONSISTENT', 'the firmware claims to be newer than it is');
  list.pass('snp.tcb.order', `runs ${spell(tcb.current)}`);
}

function claims(report: UnverifiedReport, chain: SnpChain, tcb: Tcbs, pinned: boolean): SnpClaims {
  const { signed: _, signature: _s, reservedZero: _z, flags, tcb: rawTcb, ...rest } = report;
  const { product, productName, signingKey, cspId, validUntil, vekNotAfter, crlChecked } = chain;
  const authorKeyEnabled = (flags & 1) === 1;
  const of = { product, productName, signingKey, cspId, validUntil, vekNotAfter, crlChecked, authorKeyEnabled };
  return { ...rest, ...of, tee: 'sev-snp', hardware: pinned, tcb, rawTcb };
}

/** `bootloader 4, tee 0, snp 24, microcode 219`. */
export function spell(tcb: Tcb): string {
  const parts = Object.entries(tcb).filter(([, version]) => version !== null);
  return parts.map(([part, version]) => `${part} ${version}`).join(', ');
}
