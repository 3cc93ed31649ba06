// Verification of a document: bytes, the expected nonce and a time in; checks and claims out. No I/O and no clock in here.
// It follows `verify` of the crate `cloister-attestation`, so that page and command line say the same.

import { type Bytes, concat, equal, toHex, utf8 } from './bytes';
import { type Check, Checklist, type Planned, Stop, type Verified, optional, required } from './checks';
import { digest } from './crypto';
import { parseDevelopmentReport } from './development';
import { verifyEd25519 } from './ed25519';
import { type SnpRoots, type TdxRoots, pinnedSnpRoots, pinnedTdxRoots } from './roots';
import { SNP_PLAN, type SnpClaims, snpSteps } from './snp/verify';
import { type Document, Malformed, type Statement, parseDocument, snpCollateral } from './statement';
import { TDX_PLAN, type TdxClaims, tdxSteps } from './tdx/verify';

/** What hardware says, once it was found to be true. */
export type HardwareEvidence = Verified<SnpClaims> | Verified<TdxClaims>;

/** What is true about an appliance, once everything that was checked held. */
export interface Claims extends Statement {
  readonly tee: string;
  /** Whether hardware vouches for it; false means DEVELOPMENT, NOT CONFIDENTIAL. */
  readonly hardware: boolean;
  /** What the hardware says; null for a development TEE. */
  readonly evidence: HardwareEvidence | null;
  /** The end of the shortest validity of everything that was used, Unix milliseconds. */
  readonly validUntilMs: number;
}

/** What was found: all checks, and claims only if none failed. Whether they are wanted is judged by `appraise`. */
export interface Verification {
  readonly checks: readonly Check[];
  readonly claims: Verified<Claims> | null;
}

/** The roots that hardware evidence must chain to. */
export interface Trust {
  readonly snp: SnpRoots;
  readonly tdx: TdxRoots;
}

/** The roots of AMD and Intel, compiled in. */
export function pinnedTrust(): Trust {
  return { snp: pinnedSnpRoots(), tdx: pinnedTdxRoots() };
}

const BEFORE: readonly Planned[] = [
  required('doc.format', 'format', 'load the page again; if it stays so, this is no Cloister appliance'),
  required('evidence.tee', 'evidence', 'use cloister-verify, which knows more kinds of evidence'),
  required('nonce.match', 'evidence', 'verify again; if it stays so, something on the way replays old evidence'),
];

const DEVELOPMENT: readonly Planned[] = [
  required('dev.format', 'evidence', 'verify again'),
  required('dev.signature', 'evidence', 'do not use this appliance: the report was altered'),
];

const AFTER: readonly Planned[] = [
  required('statement.report_data', 'statement', 'do not use this appliance: the statement was altered'),
  required('statement.not_after', 'statement', 'verify again, and check the clock of this device'),
  required('statement.keys', 'statement', 'report this to whoever runs the appliance'),
  optional('channel.match', 'channel', 'use cloister-verify, which sees the connection itself'),
];

/** The checks of each kind of evidence, in their order, with the ids of `cloister-verify`. */
export const PLANS: Readonly<Record<string, readonly Planned[]>> = {
  development: [...BEFORE, ...DEVELOPMENT, ...AFTER],
  'sev-snp': [...BEFORE, ...SNP_PLAN, ...AFTER],
  tdx: [...BEFORE, ...TDX_PLAN, ...AFTER],
};

const UNKNOWN_PLAN = [...BEFORE, ...AFTER];
const DOMAIN = 'cloister/attestation/v1';

/** Verifies a document that was asked for with `nonce`. */
export async function verify(
  bytes: Uint8Array,
  nonce: Bytes,
  nowMs: number,
  trust: Trust = pinnedTrust(),
): Promise<Verification> {
  const document = parse(bytes);
  if (typeof document === 'string') {
    const list = new Checklist(UNKNOWN_PLAN);
    list.expect('doc.format', false, '', `malformed: ${document}`);
    return { checks: list.checks, claims: null };
  }
  const list = new Checklist(Object.hasOwn(PLANS, document.tee) ? (PLANS[document.tee] ?? []) : UNKNOWN_PLAN);
  list.pass('doc.format', `${bytes.length} bytes, well formed`);
  const claims = await steps(list, document, nonce, nowMs, trust);
  return { checks: list.checks, claims: list.allHold ? (claims as Verified<Claims> | null) : null };
}

/** What vouches for the statement. */
interface Voucher {
  readonly reportData: Bytes;
  readonly evidence: HardwareEvidence | null;
}

/** The steps; the first that does not hold is the last. */
async function steps(
  list: Checklist,
  document: Document,
  nonce: Bytes,
  nowMs: number,
  trust: Trust,
): Promise<Claims | null> {
  const { statement, tee } = document;
  if (!list.expect('evidence.tee', Object.hasOwn(PLANS, tee), `evidence of the kind ${tee}`, UNKNOWN_TEE)) return null;
  const fresh = document.nonce !== null && equal(document.nonce, nonce);
  const old = 'made for others, or some time ago';
  if (!list.expect('nonce.match', fresh, 'made for this page, just now', old)) return null;

  const voucher = tee === 'development' ? development(list, document) : await hardware(list, document, nowMs, trust);
  if (voucher === null) return null;
  const { evidence } = voucher;

  const bound = equal(voucher.reportData, await reportData(statement, nonce));
  if (!list.expect('statement.report_data', bound, BOUND, 'the report speaks of another statement')) return null;

  const good = nowMs <= statement.notAfterMs;
  const until = `${new Date(Math.min(statement.notAfterMs, 8.64e15)).toISOString().replace('T', ' ').slice(0, 16)} UTC`;
  if (!list.expect('statement.not_after', good, `good until ${until}`, `it ran out at ${until}`)) return null;

  const keys = await hasKeys(statement);
  if (!list.expect('statement.keys', keys, 'keys are named and complete', 'a key is missing or misnamed')) return null;

  list.notDone('channel.match', NO_CHANNEL);
  const validUntilMs = Math.min(statement.notAfterMs, evidence?.validUntil ?? Number.POSITIVE_INFINITY);
  return { ...statement, tee, hardware: evidence?.hardware ?? false, evidence, validUntilMs };
}

const UNKNOWN_TEE = 'this page cannot judge this kind of evidence';
const SIGNED = 'signed by the key in the report, which chains to nothing';
const BOUND = 'the report speaks of exactly this statement';
const NO_CHANNEL = 'browsers show a page nothing of its connection; it encrypts to the attested key instead';

function development(list: Checklist, document: Document): Voucher | null {
  const report = parseDevelopmentReport(document.report);
  if (!list.expect('dev.format', report !== null, 'a development report', 'not a development report')) return null;
  if (report === null) return null;
  const signed = verifyEd25519(report.publicKey, report.signed, report.signature);
  if (!list.expect('dev.signature', signed, SIGNED, 'the signature of the report is wrong')) return null;
  return { reportData: report.reportData, evidence: null };
}

async function hardware(list: Checklist, document: Document, nowMs: number, trust: Trust): Promise<Voucher | null> {
  const { tee, report, collateral } = document;
  try {
    const claims =
      tee === 'sev-snp'
        ? await snpSteps(list, { report, ...snpCollateral(collateral) }, trust.snp, nowMs)
        : await tdxSteps(list, { quote: report, collateral }, trust.tdx, nowMs);
    return { reportData: claims.reportData, evidence: claims as HardwareEvidence };
  } catch (error) {
    // The refusal stands in the list; anything else is a mistake in here.
    if (error instanceof Stop) return null;
    throw error;
  }
}

/** The document, or what is wrong with it. */
function parse(bytes: Uint8Array): Document | string {
  try {
    return parseDocument(bytes);
  } catch (error) {
    return error instanceof Malformed ? error.message : 'it cannot be read';
  }
}

/** At least one TLS and one HPKE key, and each receipt key named by the first 16 hex digits of its SHA-256. */
async function hasKeys(statement: Statement): Promise<boolean> {
  if (statement.tlsKeys === 0 || statement.hpkeKeys.length === 0) return false;
  for (const { keyId, publicKey } of statement.receiptKeys) {
    if (toHex(await digest('SHA-256', publicKey)).slice(0, 16) !== keyId) return false;
  }
  return true;
}

/** SHA-512("cloister/attestation/v1" ‖ SHA-256(JCS(statement)) ‖ nonce). */
export async function reportData(statement: Pick<Statement, 'jcs'>, nonce: Bytes): Promise<Bytes> {
  return digest('SHA-512', concat(utf8(DOMAIN), await digest('SHA-256', statement.jcs), nonce));
}
