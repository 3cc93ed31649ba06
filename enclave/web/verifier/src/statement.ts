// The document and the statement in it: parsed strictly, every field with its type and length, nothing unknown.

import { type Bytes, fromBase64, fromHex, fromUtf8, toHex, utf8 } from './bytes';
import { type Json, canonical, isObject, parseStrict } from './json';
import type { SnpEndorsements } from './snp/chain';
import { readCollateral } from './tdx/collateral';

/** The media format of a document. */
export const FORMAT = 'cloister/attestation-document/v1';

/** Bounds, as the crate `cloister-attestation` has them. */
const MAX_DOCUMENT = 512 << 10;
const MAX_REPORT = 64 << 10;
const MAX_ITEMS = 64;
const MAX_TEXT = 200;

/** The statement of an appliance, not yet verified. */
export interface Statement {
  readonly build: { readonly version: string; readonly commit: string };
  /** How many TLS keys it names; a page cannot compare them with the connection. */
  readonly tlsKeys: number;
  readonly receiptKeys: readonly { readonly keyId: string; readonly publicKey: Bytes }[];
  readonly hpkeKeys: readonly Bytes[];
  readonly hpkeKeysHex: readonly string[];
  readonly opaquePk: string;
  readonly models: readonly { readonly id: string; readonly sha256: string; readonly role: string }[];
  readonly policiesSha256: string;
  readonly egressSha256: string;
  /** How far the sealed state has come, and a digest over the heads of all audit logs in it. */
  readonly state: { readonly epoch: number; readonly auditHead: string };
  readonly notAfterMs: number;
  /** RFC 8785 bytes of the statement as it came. */
  readonly jcs: Bytes;
}

/** A parsed document, not yet verified. */
export interface Document {
  readonly nonce: Bytes | null;
  readonly statement: Statement;
  readonly tee: string;
  readonly report: Bytes;
  /** What came along for whoever verifies: certificates, revocation lists, what Intel publishes. */
  readonly collateral: { readonly [name: string]: Json };
}

/** Why a document cannot be read: the field, never its value. */
export class Malformed extends Error {
  override readonly name = 'Malformed';
}

/** Parses a document. */
export function parseDocument(bytes: Uint8Array): Document {
  if (bytes.length > MAX_DOCUMENT) throw new Malformed('the document is too large');
  let json: Json;
  try {
    json = parseStrict(fromUtf8(bytes));
  } catch {
    throw new Malformed('the document is not strict JSON');
  }
  const document = object(json, 'document', ['format', 'nonce', 'statement', 'evidence', 'collateral']);
  if (document.format !== FORMAT) throw new Malformed('the format is not known');
  const nonce = document.nonce === null ? null : fromHex(document.nonce, 32);
  if (document.nonce !== null && nonce === null) throw new Malformed('nonce');
  if (nonce?.every((byte) => byte === 0)) throw new Malformed('a nonce of all zero bytes is not allowed');
  const collateral = object(document.collateral, 'collateral', null);
  // The members of Azure's evidence may stand where they may be needed: kinds that this package does not know.
  const evidence = object(document.evidence, 'evidence', ['tee', 'report'], ['quote', 'tpm_quote']);
  const report = fromBase64(evidence.report);
  if (report === null || report.length > MAX_REPORT) throw new Malformed('evidence.report');
  const tee = text(evidence.tee, 'evidence.tee');
  const known = Object.hasOwn(COLLATERAL, tee) ? COLLATERAL[tee] : undefined;
  if (known) {
    object(document.evidence, 'evidence', ['tee', 'report']);
    if (!known(collateral)) throw new Malformed('collateral');
  }
  return { nonce, statement: parseStatement(document.statement), tee, report, collateral };
}

const CERTIFICATES = ['vek', 'ask', 'ark', 'crl'];

/** What may come along, per kind: nothing, certificates in base64, or what Intel publishes. */
const COLLATERAL: Readonly<Record<string, (collateral: Document['collateral']) => boolean>> = {
  development: (collateral) => Object.keys(collateral).length === 0,
  'sev-snp': (collateral) =>
    Object.entries(collateral).every(([name, der]) => CERTIFICATES.includes(name) && fromBase64(der) !== null),
  tdx: (collateral) => Object.keys(collateral).length === 0 || readCollateral(collateral) !== null,
};

/** The certificates of an SNP report in the collateral of a document: `vek`, `ask`, `ark` and `crl`, each DER in base64. */
export function snpCollateral(collateral: Document['collateral']): SnpEndorsements {
  const der = (name: string) => {
    const value = collateral[name];
    return value === undefined ? null : (fromBase64(value) ?? new Uint8Array());
  };
  return { vek: der('vek'), ask: der('ask'), ark: der('ark'), crl: der('crl') };
}

const STATEMENT_FIELDS = [
  'v',
  'build',
  'tls_spki_sha256',
  'hpke_keys',
  'opaque_pk',
  'receipt_keys',
  'log_keys_root',
  'models',
  'policies_sha256',
  'egress_sha256',
  'state',
  'not_after',
];

function parseStatement(json: Json | undefined): Statement {
  const statement = object(json, 'statement', STATEMENT_FIELDS, ['channel']);
  if (statement.v !== 1) throw new Malformed('statement.v');
  const receiptKeys = list(statement.receipt_keys, 'statement.receipt_keys').map((json) => {
    const key = object(json, 'statement.receipt_keys', ['key_id', 'public_key']);
    const keyId = text(key.key_id, 'statement.receipt_keys.key_id');
    return { keyId, publicKey: bytes32(key.public_key, 'statement.receipt_keys.public_key') };
  });
  const state = object(statement.state, 'statement.state', ['epoch', 'audit_head']);
  const epoch = integer(state.epoch, 'statement.state.epoch');
  const auditHead = hex32(state.audit_head, 'statement.state.audit_head');
  hex32(statement.log_keys_root, 'statement.log_keys_root');
  if ('channel' in statement) hex32(statement.channel, 'statement.channel');
  const build = object(statement.build, 'statement.build', ['version', 'commit']);
  const tlsKeys = list(statement.tls_spki_sha256, 'statement.tls_spki_sha256').map((digest) =>
    hex32(digest, 'statement.tls_spki_sha256'),
  );
  const hpkeKeys = list(statement.hpke_keys, 'statement.hpke_keys').map((key) => bytes32(key, 'statement.hpke_keys'));
  const models = list(statement.models, 'statement.models').map((json) => {
    const model = object(json, 'statement.models', ['id', 'sha256', 'role']);
    return {
      id: text(model.id, 'statement.models.id'),
      sha256: hex32(model.sha256, 'statement.models.sha256'),
      role: text(model.role, 'statement.models.role'),
    };
  });
  return {
    build: {
      version: text(build.version, 'statement.build.version'),
      commit: text(build.commit, 'statement.build.commit'),
    },
    tlsKeys: tlsKeys.length,
    receiptKeys,
    hpkeKeysHex: hpkeKeys.map(toHex),
    hpkeKeys,
    opaquePk: hex32(statement.opaque_pk, 'statement.opaque_pk'),
    models,
    policiesSha256: hex32(statement.policies_sha256, 'statement.policies_sha256'),
    egressSha256: hex32(statement.egress_sha256, 'statement.egress_sha256'),
    state: { epoch, auditHead },
    notAfterMs: integer(statement.not_after, 'statement.not_after'),
    jcs: utf8(canonical(statement)),
  };
}

/** An object with exactly these fields; null means any. */
function object(
  json: Json | undefined,
  name: string,
  fields: string[] | null,
  optional: string[] = [],
): { [name: string]: Json } {
  if (!isObject(json)) throw new Malformed(name);
  if (fields === null) return json;
  for (const field of fields) if (!(field in json)) throw new Malformed(`${name}.${field} is missing`);
  for (const field of Object.keys(json)) {
    if (!fields.includes(field) && !optional.includes(field))
      throw new Malformed(`${name} has a field that is not known`);
  }
  return json;
}

function list(json: Json | undefined, name: string): Json[] {
  if (!Array.isArray(json) || json.length > MAX_ITEMS) throw new Malformed(name);
  return json;
}

function text(json: Json | undefined, name: string): string {
  if (typeof json !== 'string' || utf8(json).length > MAX_TEXT) throw new Malformed(name);
  return json;
}

function integer(json: Json | undefined, name: string): number {
  if (typeof json !== 'number' || json < 0) throw new Malformed(name);
  return json;
}

function hex32(json: Json | undefined, name: string): string {
  return toHex(bytes32(json, name));
}

function bytes32(json: Json | undefined, name: string): Bytes {
  const bytes = fromHex(json, 32);
  if (bytes === null) throw new Malformed(name);
  return bytes;
}
