// Verifies a TDX quote: bytes, collateral, root and a time in, checks and claims out. No I/O and no clock in here. Whether
// what is true is also wanted (measurements, TCB status, debugging) is for `policy.ts` to judge.

import { type Bytes, concat, equal, fromUtf8, isZero } from '../bytes';
import { type Checklist, type Conclusion, type Planned, concluded, required } from '../checks';
import { digest, ecdsaHolds } from '../crypto';
import { wholeSeconds } from '../der';
import type { TdxRoots } from '../roots';
import { checkPckChain, signedBy } from './chain';
import { MAX_COLLATERAL, type TdxCollateral, checkCollateral, collateralSize, readCollateral } from './collateral';
import { type Platform, platformOf } from './pck';
import { type TdReport, type UnverifiedQuote, hasServiceTd, parseQuote } from './quote';
import { type Standing, checkTcb } from './tcb';

/** A quote with what came along. */
export interface TdxEvidence {
  readonly quote: Bytes;
  /** What Intel publishes about the platform. Without it nothing can be said, so the evidence is refused. */
  readonly collateral: unknown;
}

/** What a quote says, once all that was checked held. */
export interface TdxClaims extends TdReport {
  readonly tee: 'tdx';
  /** False where the root was not Intel's own. */
  readonly hardware: boolean;
  readonly version: number;
  readonly bodyType: number;
  readonly serviceTd: boolean;
  readonly tcb: Standing;
  readonly platform: Platform;
  /** The time that was verified for, Unix milliseconds. */
  readonly verifiedAt: number;
  /** The time in which all collateral and certificates hold, Unix milliseconds. */
  readonly validFrom: number;
  readonly validUntil: number;
}

const ALTERED = 'do not use this appliance: its evidence was altered or made up';
const AGAIN = 'verify again; if it stays so, report it to whoever runs the appliance';
const REFETCH = 'let the appliance fetch the collateral from Intel again, and check the clock of this device';
const UPDATE = 'update the firmware and the TDX module of the machine';

/** The checks of a quote in their order, with the ids of `cloister-verify`. */
export const TDX_PLAN: readonly Planned[] = [
  required('tdx.quote.header', 'parse', 'use a verifier that knows this kind of evidence'),
  required('tdx.quote.body', 'parse', AGAIN),
  required('tdx.quote.signature_data', 'parse', AGAIN),
  required('tdx.chain.format', 'chain', AGAIN),
  required('tdx.chain.root', 'chain', ALTERED),
  required('tdx.chain.path', 'chain', ALTERED),
  required('tdx.chain.validity', 'chain', 'check the clock of this device, then ask whoever runs the appliance'),
  required('tdx.chain.platform', 'chain', ALTERED),
  required('tdx.signature.qe_report', 'signature', ALTERED),
  required('tdx.signature.attestation_key', 'signature', ALTERED),
  required('tdx.signature.quote', 'signature', ALTERED),
  required('tdx.collateral.size', 'collateral', 'let the appliance send what Intel publishes about its platform'),
  required('tdx.collateral.root_crl', 'collateral', REFETCH),
  required('tdx.collateral.root_crl.validity', 'collateral', REFETCH),
  required('tdx.collateral.pck_crl', 'collateral', REFETCH),
  required('tdx.collateral.pck_crl.validity', 'collateral', REFETCH),
  required('tdx.collateral.pck_ca_revocation', 'collateral', ALTERED),
  required('tdx.collateral.pck_revocation', 'collateral', ALTERED),
  required('tdx.collateral.tcb_info.signer', 'collateral', REFETCH),
  required('tdx.collateral.tcb_info.signature', 'collateral', REFETCH),
  required('tdx.collateral.tcb_info', 'collateral', REFETCH),
  required('tdx.collateral.tcb_info.validity', 'collateral', REFETCH),
  required('tdx.collateral.qe_identity.signer', 'collateral', REFETCH),
  required('tdx.collateral.qe_identity.signature', 'collateral', REFETCH),
  required('tdx.collateral.qe_identity', 'collateral', REFETCH),
  required('tdx.collateral.qe_identity.validity', 'collateral', REFETCH),
  required('tdx.collateral.fmspc', 'collateral', REFETCH),
  required('tdx.collateral.pce_id', 'collateral', REFETCH),
  required('tdx.tcb.qe_identity', 'tcb', ALTERED),
  required('tdx.tcb.qe_level', 'tcb', UPDATE),
  required('tdx.tcb.module_identity', 'tcb', ALTERED),
  required('tdx.tcb.level', 'tcb', UPDATE),
  required('tdx.tcb.current_level', 'tcb', UPDATE),
  required('tdx.tcb.not_revoked', 'tcb', 'do not use this machine: its keys may be known to others'),
  required('tdx.td_attributes', 'policy', 'start the trust domain without profiling'),
];

/** Verifies a quote as of `nowMs`. */
export function verifyTdx(evidence: TdxEvidence, roots: TdxRoots, nowMs: number): Promise<Conclusion<TdxClaims>> {
  return concluded(TDX_PLAN, (list) => tdxSteps(list, evidence, roots, wholeSeconds(nowMs)));
}

/** The steps, for procedures that have more. The first that does not hold is the last. */
export async function tdxSteps(
  list: Checklist,
  evidence: TdxEvidence,
  roots: TdxRoots,
  nowMs: number,
): Promise<TdxClaims> {
  const quote = parseQuote(list, evidence.quote);
  const given = readCollateral(evidence.collateral);
  const chain = await checkPckChain(list, pckChainOf(list, quote, given), roots, nowMs);
  const platform = platformOf(chain.pck);
  if (!platform)
    return list.refuse('tdx.chain.platform', 'PCK_EXTENSION', 'the certificate does not say which platform it is of');
  list.pass('tdx.chain.platform', `a platform of the model ${platform.fmspc}`);

  const qeSigned = await signedBy(chain.pck, quote.qe.signed, quote.qeSignature);
  list.demand(
    'tdx.signature.qe_report',
    qeSigned,
    'QE_REPORT_SIGNATURE',
    'the platform did not sign its quoting enclave',
  );
  list.pass('tdx.signature.qe_report', 'the platform vouches for its quoting enclave');
  await checkSignatures(list, quote);

  const id = 'tdx.collateral.size';
  const present = evidence.collateral !== null && evidence.collateral !== undefined;
  list.demand(id, present, 'COLLATERAL_MISSING', 'nothing of what Intel publishes came with the quote');
  if (!given) return list.refuse(id, 'COLLATERAL_MALFORMED', 'what came with the quote cannot be read');
  const size = collateralSize(given);
  list.demand(id, size <= MAX_COLLATERAL, 'COLLATERAL_MALFORMED', 'what came with the quote is larger than it can be');
  list.pass(id, `${size} characters`);
  const checked = await checkCollateral(list, given, chain, platform, roots, nowMs);
  const tcb = checkTcb(list, quote.report, quote.qe, platform, checked);

  const profiled = ((quote.report.tdAttributes[0] ?? 0) & 0xfe) !== 0;
  const watched = 'the host may profile the trust domain';
  list.demand('tdx.td_attributes', !profiled, 'TD_ATTRIBUTES_RESERVED', watched);
  list.pass('tdx.td_attributes', 'no profiling');
  const { version, bodyType, report } = quote;
  const { validFrom, validUntil } = checked;
  const of = { version, bodyType, tcb, platform, validFrom, validUntil, verifiedAt: nowMs };
  return { ...report, ...of, tee: 'tdx', hardware: roots.pinned, serviceTd: hasServiceTd(report) };
}

/** An encrypted platform id (type 3): the id itself 384, CPUSVN 16, PCESVN 2, PCE id 2. */
const ENCRYPTED_PPID_BYTES = 404;

function pckChainOf(list: Checklist, quote: UnverifiedQuote, given: TdxCollateral | null): string {
  const id = 'tdx.chain.format';
  const { certificationType, certification } = quote;
  const elsewhere = certificationType === 3 && certification.length === ENCRYPTED_PPID_BYTES;
  const carried = certificationType === 5 || (elsewhere && typeof given?.pck_certificate_chain === 'string');
  list.demand(id, carried, 'CERT_DATA_TYPE', `certification data of type ${certificationType} brings no chain`);
  if (elsewhere) return given?.pck_certificate_chain ?? '';
  try {
    return fromUtf8(certification);
  } catch {
    return list.refuse(id, 'QUOTE_MALFORMED', 'the chain of certificates is not text');
  }
}

async function checkSignatures(list: Checklist, quote: UnverifiedQuote): Promise<void> {
  const { attestationKey, qeAuth, qe } = quote;
  const key = await digest('SHA-256', concat(attestationKey, qeAuth));
  const bound = equal(qe.reportData.subarray(0, 32), key) && isZero(qe.reportData.subarray(32));
  list.demand(
    'tdx.signature.attestation_key',
    bound,
    'AK_BINDING',
    'the quoting enclave does not vouch for the key of the quote',
  );
  list.pass('tdx.signature.attestation_key', 'the quoting enclave vouches for the key of the quote');

  const signed = await ecdsaHolds('P-256', attestationKey, quote.signed, quote.signature);
  list.demand('tdx.signature.quote', signed, 'QUOTE_SIGNATURE', 'the signature of the quote is wrong');
  list.pass('tdx.signature.quote', 'the quote is signed by that key');
}
