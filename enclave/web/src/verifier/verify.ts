// Verification: bytes, the expected nonce and a time in; checks and claims out. No I/O and no clock in here.
// It follows `verify` of the crate `cloister-attestation`, so that page and command line say the same.

import { type Bytes, concat, equal, toHex, utf8 } from './bytes';
import { type Check, Checklist, type Planned } from './checks';
import { parseDevelopmentReport } from './development';
import { verifyEd25519 } from './ed25519';
import { type Document, Malformed, type Statement, parseDocument } from './statement';

/** What is true about an appliance, once everything that was checked held. */
export interface Claims extends Statement {
  readonly tee: string;
  /** Whether hardware vouches for it; false means DEVELOPMENT, NOT CONFIDENTIAL. */
  readonly hardware: boolean;
}

/** What was found: all checks, and claims only if none failed. Whether they are wanted is judged by `appraise`. */
export interface Verification {
  readonly checks: readonly Check[];
  readonly claims: Claims | null;
}

/** The checks in their order, with the ids of `cloister-verify`. */
export const PLAN: readonly Planned[] = [
  required('doc.format', 'load the page again; if it stays so, this is no Cloister appliance'),
  required('evidence.tee', 'use cloister-verify, which knows more kinds of evidence'),
  required('nonce.match', 'verify again; if it stays so, something between you and the appliance replays old evidence'),
  required('dev.format', 'verify again'),
  required('dev.signature', 'do not use this appliance: the report was altered'),
  required('statement.report_data', 'do not use this appliance: the statement was altered'),
  required('statement.not_after', 'verify again, and check the clock of this device'),
  required('statement.keys', 'report this to whoever runs the appliance'),
  { id: 'channel.match', required: false, fix: 'use cloister-verify, which sees the connection itself' },
];

const DOMAIN = 'cloister/attestation/v1';

/** Verifies a document that was asked for with `nonce`. */
export async function verify(bytes: Uint8Array, nonce: Bytes, nowMs: number): Promise<Verification> {
  const list = new Checklist(PLAN);
  const document = parse(list, bytes);
  const held = document !== null && (await steps(list, document, nonce, nowMs)) && list.allHold;
  return { checks: list.checks, claims: held ? { ...document.statement, tee: document.tee, hardware: false } : null };
}

/** The steps; the first that does not hold is the last. */
async function steps(list: Checklist, document: Document, nonce: Bytes, nowMs: number): Promise<boolean> {
  const { statement, tee } = document;
  if (!list.expect('evidence.tee', tee === 'development', `evidence of the kind ${tee}`, UNKNOWN_TEE)) return false;

  const fresh = document.nonce !== null && equal(document.nonce, nonce);
  if (!list.expect('nonce.match', fresh, 'made for this page, just now', 'made for others, or some time ago'))
    return false;

  const report = parseDevelopmentReport(document.report);
  if (!list.expect('dev.format', report !== null, 'a development report', 'not a development report')) return false;
  if (report === null) return false;

  const signed = verifyEd25519(report.publicKey, report.signed, report.signature);
  if (!list.expect('dev.signature', signed, SIGNED, 'the signature of the report is wrong')) return false;

  const bound = equal(report.reportData, await reportData(statement, nonce));
  if (!list.expect('statement.report_data', bound, BOUND, 'the report speaks of another statement')) return false;

  const good = nowMs <= statement.notAfterMs;
  const until = `${new Date(Math.min(statement.notAfterMs, 8.64e15)).toISOString().replace('T', ' ').slice(0, 16)} UTC`;
  if (!list.expect('statement.not_after', good, `good until ${until}`, `it ran out at ${until}`)) return false;

  const keys = await hasKeys(statement);
  if (!list.expect('statement.keys', keys, 'keys are named and complete', 'a key is missing or misnamed')) return false;

  list.notDone('channel.match', NO_CHANNEL);
  return true;
}

const UNKNOWN_TEE = 'this page cannot judge this kind of evidence';
const SIGNED = 'signed by the key in the report, which chains to nothing';
const BOUND = 'the report speaks of exactly this statement';
const NO_CHANNEL = 'browsers show a page nothing of its connection; it encrypts to the attested key instead';

function parse(list: Checklist, bytes: Uint8Array): Document | null {
  try {
    const document = parseDocument(bytes);
    list.expect('doc.format', true, `${bytes.length} bytes, well formed`, '');
    return document;
  } catch (error) {
    list.expect(
      'doc.format',
      false,
      '',
      `malformed: ${error instanceof Malformed ? error.message : 'it cannot be read'}`,
    );
    return null;
  }
}

/** At least one TLS and one HPKE key, and each receipt key named by the first 16 hex digits of its SHA-256. */
async function hasKeys(statement: Statement): Promise<boolean> {
  if (statement.tlsKeys === 0 || statement.hpkeKeys.length === 0) return false;
  for (const { keyId, publicKey } of statement.receiptKeys) {
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', publicKey));
    if (toHex(digest).slice(0, 16) !== keyId) return false;
  }
  return true;
}

function required(id: string, fix: string): Planned {
  return { id, required: true, fix };
}

/** SHA-512("cloister/attestation/v1" ‖ SHA-256(JCS(statement)) ‖ nonce). */
export async function reportData(statement: Statement, nonce: Bytes): Promise<Bytes> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', statement.jcs));
  return new Uint8Array(await crypto.subtle.digest('SHA-512', concat(utf8(DOMAIN), digest, nonce)));
}
