// A second, independent reader of the attestation document, on Node's own cryptography: what the page's verifier and
// the Rust one say must also hold here. It accepts the development TEE, because tests run on it.

import assert from 'node:assert/strict';
import { createHash, createPublicKey, randomBytes, verify } from 'node:crypto';

/** RFC 8785 for what stands in our documents: strings, safe integers, lists, objects. */
export function jcs(value) {
  if (Array.isArray(value)) return `[${value.map(jcs).join(',')}]`;
  if (value && typeof value === 'object') {
    const members = Object.keys(value).sort().map((name) => `${JSON.stringify(name)}:${jcs(value[name])}`);
    return `{${members.join(',')}}`;
  }
  return JSON.stringify(value);
}

export const sha256 = (bytes) => createHash('sha256').update(bytes).digest();

/** Whether an Ed25519 signature holds. */
export function ed25519Holds(publicKey, message, signature) {
  const spki = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), publicKey]);
  return verify(null, message, createPublicKey({ key: spki, format: 'der', type: 'spki' }), signature);
}

/** Fetches fresh evidence, verifies it, and gives the statement. */
export async function attestedStatement(url) {
  const nonce = randomBytes(32);
  const response = await fetch(`${url}/.well-known/cloister/attestation?nonce=${nonce.toString('hex')}`);
  assert.equal(response.status, 200);
  const document = await response.json();
  assert.equal(document.format, 'cloister/attestation-document/v1');
  assert.equal(document.nonce, nonce.toString('hex'));
  assert.equal(document.evidence.tee, 'development');
  const report = Buffer.from(document.evidence.report, 'base64');
  assert.equal(report.length, 184);
  assert.equal(report.toString('latin1', 0, 24), 'cloister-development-tee');
  assert.ok(ed25519Holds(report.subarray(24, 56), report.subarray(0, 120), report.subarray(120)), 'the report is signed');
  const expected = createHash('sha512')
    .update('cloister/attestation/v1')
    .update(sha256(jcs(document.statement)))
    .update(nonce)
    .digest();
  assert.equal(report.subarray(56, 120).toString('hex'), expected.toString('hex'), 'the report speaks of the statement');
  assert.ok(document.statement.not_after > Date.now());
  return document.statement;
}
