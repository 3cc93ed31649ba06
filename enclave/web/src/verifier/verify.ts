// Verification: bytes, the expected nonce and a time in; checks and claims out. No I/O and no clock in here.
// It follows `verify` of the crate `cloister-attestation`, so that page and command line say the same.

import { type Bytes, concat, equal, utf8 } from './bytes';
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

/** The outcome: all checks, and claims only if none failed. */
export interface AttestationResult {
  readonly checks: readonly Check[];
  readonly claims: Claims | null;
}

/** The checks in their order; ids as in `cloister-verify`. */
export const PLAN: readonly Planned[] = [
  required('doc.format', 'check that this address is an appliance of a version that this page knows'),
  required('nonce.match', 'verify again; if it stays so, something between you and the appliance replays old evidence'),
  required('statement.report_data', 'do not use this appliance: its statement is not the one that was signed'),
  required('dev.signature', 'do not use this appliance: its evidence was altered'),
  required('statement.not_after', 'check the clocks of this device and of the appliance'),
  required('statement.hpke_keys', 'update the appliance'),
  { id: 'tls.spki', required: false, fix: 'use cloister-verify, which sees the certificate' },
];

const DOMAIN = 'cloister/attestation/v1';

/** Verifies a document that was asked for with `nonce`. */
export async function verify(bytes: Uint8Array, nonce: Bytes, nowMs: number): Promise<AttestationResult> {
  const list = new Checklist(PLAN);
  const claims = await run(list, bytes, nonce, nowMs);
  return { checks: list.checks, claims: list.allHold ? claims : null };
}

async function run(list: Checklist, bytes: Uint8Array, nonce: Bytes, nowMs: number): Promise<Claims | null> {
  let document: Document;
  try {
    document = parseDocument(bytes);
  } catch (error) {
    list.expect('doc.format', false, '', `malformed: ${error instanceof Malformed ? error.message : 'it cannot be read'}`);
    return null;
  }
  const { statement, tee } = document;
  list.expect('doc.format', true, 'the evidence is well formed', '');
  const fresh = document.nonce !== null && equal(document.nonce, nonce);
  if (!list.expect('nonce.match', fresh, 'made for this request, just now', 'made for another request')) return null;
  if (tee !== 'development') {
    list.expect('dev.signature', false, '', `this page cannot judge evidence of the kind ${JSON.stringify(tee)}`);
    return null;
  }
  const report = parseDevelopmentReport(document.report);
  const bound = report !== null && equal(report.reportData, await reportData(statement, nonce));
  if (!list.expect('statement.report_data', bound, 'the evidence speaks of exactly this statement', 'the evidence speaks of another statement')) return null;
  const signed = report !== null && (await verifyEd25519(report.publicKey, report.signed, report.signature));
  if (!list.expect('dev.signature', signed, 'signed by the key that the development TEE made at its start', 'the signature is wrong')) return null;
  const good = nowMs <= statement.notAfterMs;
  const until = new Date(statement.notAfterMs).toISOString();
  list.expect('statement.not_after', good, `good until ${until}`, `it ran out at ${until}`);
  const keys = statement.hpkeKeys.length > 0;
  list.expect('statement.hpke_keys', keys, 'what you send is encrypted to a key of the statement', 'the statement names no key to encrypt to');
  list.notDone('tls.spki', 'browsers hide the certificate from pages; this page encrypts to the attested key instead');
  return { ...statement, tee, hardware: false };
}

function required(id: string, fix: string): Planned {
  return { id, required: true, fix };
}

/** SHA-512("cloister/attestation/v1" ‖ SHA-256(JCS(statement)) ‖ nonce). */
export async function reportData(statement: Statement, nonce: Bytes): Promise<Bytes> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', statement.jcs));
  return new Uint8Array(await crypto.subtle.digest('SHA-512', concat(utf8(DOMAIN), digest, nonce)));
}
