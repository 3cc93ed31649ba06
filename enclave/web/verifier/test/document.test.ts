// The verifier: a true document passes, and each single lie is refused by the check that is there for it.

import { ed25519 } from '@noble/curves/ed25519.js';
import { describe, expect, it } from 'vitest';
import { type Bytes, concat, toBase64, utf8 } from '../src/bytes';
import { type Json, canonical, parseStrict } from '../src/json';
import { verify } from '../src';
import { counting, hex, toHex } from '../../test/bytes';

const NOW = 1_790_000_000_000;
const NONCE = counting(0x10, 32);
const SECRET = counting(0x80, 32);

type Changeable = Record<string, Json>;

function statement(): Changeable {
  return {
    v: 1,
    build: { version: '0.1.0', commit: 'unknown' },
    tls_spki_sha256: ['aa'.repeat(32)],
    hpke_keys: ['bb'.repeat(32)],
    opaque_pk: 'cc'.repeat(32),
    // The name of a receipt key: the first 16 hex digits of the SHA-256 of 32 zero bytes.
    receipt_keys: [{ key_id: '66687aadf862bd77', public_key: '00'.repeat(32) }],
    log_keys_root: 'dd'.repeat(32),
    models: [{ id: 'all-MiniLM-L6-v2', sha256: 'ee'.repeat(32), role: 'embedder' }],
    policies_sha256: '11'.repeat(32),
    egress_sha256: '22'.repeat(32),
    state: { epoch: 3, audit_head: '33'.repeat(32) },
    not_after: NOW + 60_000,
  };
}

async function sha(name: 'SHA-256' | 'SHA-512', bytes: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest(name, bytes));
}

/** A report as the development TEE makes it. */
async function report(about: Json, nonce: Bytes): Promise<Bytes> {
  const digest = await sha('SHA-256', utf8(canonical(about)));
  const data = await sha('SHA-512', concat(utf8('cloister/attestation/v1'), digest, nonce));
  const signed = concat(utf8('cloister-development-tee'), ed25519.getPublicKey(SECRET), data);
  return concat(signed, ed25519.sign(signed, SECRET));
}

async function document(about: Changeable = statement(), nonce: Bytes = NONCE): Promise<Changeable> {
  return {
    format: 'cloister/attestation-document/v1',
    nonce: toHex(nonce),
    statement: about,
    evidence: { tee: 'development', report: toBase64(await report(about, nonce)) },
    collateral: {},
  };
}

async function failed(json: Json | string, now = NOW): Promise<string | undefined> {
  const bytes = utf8(typeof json === 'string' ? json : JSON.stringify(json));
  const { checks, claims } = await verify(bytes, NONCE, now);
  const failures = checks.filter(({ result }) => result === 'fail').map(({ id }) => id);
  expect(failures.length).toBeLessThanOrEqual(1);
  expect(claims === null).toBe(failures.length === 1);
  return failures[0];
}

describe('a true document', () => {
  it('passes every check but the one that browsers cannot make', async () => {
    const { checks, claims } = await verify(utf8(JSON.stringify(await document())), NONCE, NOW);
    expect(checks.map(({ id, result }) => `${id} ${result}`)).toEqual([
      'doc.format pass',
      'evidence.tee pass',
      'nonce.match pass',
      'dev.format pass',
      'dev.signature pass',
      'statement.report_data pass',
      'statement.not_after pass',
      'statement.keys pass',
      'channel.match not_done',
    ]);
    expect(claims?.hardware).toBe(false);
    expect(claims?.hpkeKeysHex).toEqual(['bb'.repeat(32)]);
  });

  it('is the same however its members are ordered and spaced', async () => {
    const json = await document();
    const turned = Object.fromEntries(Object.entries(json).toReversed());
    expect(await failed(JSON.stringify(turned, null, 3))).toBeUndefined();
  });
});

describe('a lie is refused', () => {
  it('when the key to encrypt to was exchanged', async () => {
    const json = await document();
    json.statement = { ...statement(), hpke_keys: ['ab'.repeat(32)] };
    expect(await failed(json)).toBe('statement.report_data');
  });

  it.each(Object.keys(statement()).filter((name) => name !== 'v'))('when statement.%s was changed', async (name) => {
    const json = await document();
    const about = statement();
    const change: Record<string, Json> = {
      build: { version: '0.1.1', commit: 'unknown' },
      state: { epoch: 4, audit_head: '33'.repeat(32) },
      not_after: NOW + 60_001,
    };
    about[name] = change[name] ?? (Array.isArray(about[name]) ? [] : '99'.repeat(32));
    json.statement = about;
    expect(await failed(json)).toBe('statement.report_data');
  });

  it('when it was made for another nonce', async () => {
    expect(await failed(await document(statement(), counting(0x11, 32)))).toBe('nonce.match');
  });

  it('when it says our nonce but was signed for another', async () => {
    const json = await document(statement(), counting(0x11, 32));
    json.nonce = toHex(NONCE);
    expect(await failed(json)).toBe('statement.report_data');
  });

  it('when it has no nonce', async () => {
    expect(await failed({ ...(await document()), nonce: null })).toBe('nonce.match');
  });

  it('when any bit of the report is flipped', async () => {
    const whole = await report(statement(), NONCE);
    for (let at = 0; at < whole.length; at++) {
      const bytes = whole.slice();
      bytes[at] = (bytes[at] ?? 0) ^ 0x10;
      const json = { ...(await document()), evidence: { tee: 'development', report: toBase64(bytes) } };
      expect(await failed(json), `byte ${at}`).toBe(at < 24 ? 'dev.format' : 'dev.signature');
    }
  });

  it('when the report is signed by a key of small order, which signs anything', async () => {
    const identity = hex(`01${'00'.repeat(31)}`);
    const data = (await report(statement(), NONCE)).slice(56, 120);
    const forged = concat(utf8('cloister-development-tee'), identity, data, identity, new Uint8Array(32));
    const json = { ...(await document()), evidence: { tee: 'development', report: toBase64(forged) } };
    expect(await failed(json)).toBe('dev.signature');
  });

  it('when it has run out', async () => {
    expect(await failed(await document(), NOW + 60_000)).toBeUndefined();
    expect(await failed(await document(), NOW + 60_001)).toBe('statement.not_after');
  });

  it.each(['tls_spki_sha256', 'hpke_keys'])('when it names no %s', async (name) => {
    expect(await failed(await document({ ...statement(), [name]: [] }))).toBe('statement.keys');
  });

  it('when a receipt key is wrongly named', async () => {
    const keys = [{ key_id: '0000000000000000', public_key: '00'.repeat(32) }];
    expect(await failed(await document({ ...statement(), receipt_keys: keys }))).toBe('statement.keys');
  });

  it.each(['sgx', 'moon', 'toString', '__proto__', ''])(
    'when it is of the kind %s, which this page cannot judge',
    async (tee) => {
      const json = await document();
      expect(await failed({ ...json, evidence: { ...(json.evidence as Changeable), tee } })).toBe('evidence.tee');
    },
  );
});

describe('a malformed document is refused', () => {
  const spoil: [string, (json: Changeable) => Json | string][] = [
    ['empty', () => ''],
    ['not JSON', () => '<html>'],
    ['a list', () => []],
    ['another format', (json) => ({ ...json, format: 'cloister/attestation-document/v2' })],
    ['a field too many', (json) => ({ ...json, extra: 1 })],
    ['a field too few', ({ collateral: _, ...json }) => json],
    ['an upper-case nonce', (json) => ({ ...json, nonce: String(json.nonce).toUpperCase() })],
    ['a nonce of zeroes', (json) => ({ ...json, nonce: '00'.repeat(32) })],
    ['unpadded base64', (json) => ({ ...json, evidence: { tee: 'development', report: 'QQ' } })],
    ['base64 with stray bits', (json) => ({ ...json, evidence: { tee: 'development', report: 'QR==' } })],
    ['another version', (json) => ({ ...json, statement: { ...statement(), v: 2 } })],
    ['a short key', (json) => ({ ...json, statement: { ...statement(), hpke_keys: ['bb'] } })],
    ['a number as a key', (json) => ({ ...json, statement: { ...statement(), hpke_keys: [7] } })],
    ['65 keys', (json) => ({ ...json, statement: { ...statement(), hpke_keys: Array(65).fill('bb'.repeat(32)) } })],
    ['a null channel', (json) => ({ ...json, statement: { ...statement(), channel: null } })],
    ['an unsafe integer', (json) => JSON.stringify(json).replace(`${NOW + 60_000}`, '9007199254740993')],
    ['a fraction', (json) => JSON.stringify(json).replace('"epoch":3', '"epoch":3.5')],
    ['a name twice', (json) => JSON.stringify(json).replace('"v":1', '"v":1,"v":1')],
    ['a name twice, escaped', (json) => JSON.stringify(json).replace('"v":1', '"v":1,"\\u0076":1')],
    ['a name twice, far away', (json) => JSON.stringify(json).replace('"v":1', `"v":1,"v"${' '.repeat(500)}:1`)],
    ['a prototype', (json) => JSON.stringify(json).replace('"v":1', '"v":1,"__proto__":{}')],
    ['text after it', (json) => `${JSON.stringify(json)} x`],
    [
      'deep nests',
      (json) =>
        JSON.stringify(json).replace('"collateral":{}', `"collateral":{"a":${'['.repeat(99)}${']'.repeat(99)}}`),
    ],
  ];
  it.each(spoil)('%s', async (_, change) => {
    expect(await failed(change(await document()))).toBe('doc.format');
  });

  it('never throws on bytes that were cut or changed', async () => {
    const bytes = utf8(JSON.stringify(await document()));
    for (let at = 0; at < bytes.length; at += 7) {
      const changed = bytes.slice();
      changed[at] = (changed[at] ?? 0) ^ 0x21;
      expect((await verify(changed, NONCE, NOW)).claims, `byte ${at}`).toBeNull();
      expect((await verify(bytes.slice(0, at), NONCE, NOW)).claims, `cut at ${at}`).toBeNull();
    }
  });
});

describe('canonical JSON', () => {
  it('sorts and writes as RFC 8785', () => {
    const text =
      '{"\\u20ac":"Euro","\\r":"CR","1":"One","\\ud83d\\ude00":"Smile","\\u00f6":"o","a":[56,{"d":true,"10":null,"1":[]}]}';
    expect(canonical(parseStrict(text))).toBe(
      '{"\\r":"CR","1":"One","a":[56,{"1":[],"10":null,"d":true}],"ö":"o","€":"Euro","😀":"Smile"}',
    );
  });
});
