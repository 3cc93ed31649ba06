// Request signatures against the vectors that the enclave's implementation is tested with too.

import { describe, expect, it } from 'vitest';
import vectors from '../../protocol/vectors/request-signature.json';
import { deriveRequestKey, signRequest, signatureBase, signatureParams } from '../src/channel/signature';
import { hex } from './bytes';

describe('request signatures', () => {
  it.each(vectors.cases)('signs as the vector $name', async (vector) => {
    const key = await deriveRequestKey(hex(vectors.opaque_session_key_hex));
    const body = hex(vectors.body_hex);
    const parts = {
      method: vector.method,
      path: vector.path,
      query: vector.query,
      contentSha256: new Uint8Array(await crypto.subtle.digest('SHA-256', body)),
      enc: hex(vector.headers['Ehbp-Encapsulated-Key']),
    };
    const time = { createdS: vectors.created_s, nonce: vectors.nonce };
    expect(signatureBase(parts, signatureParams(vectors.session, time))).toBe(vector.signature_base);
    const signed = await signRequest({ session: vectors.session, key }, parts, time);
    const { 'Ehbp-Encapsulated-Key': _, ...expected } = vector.headers;
    expect(signed).toEqual(expected);
  });

  it('keeps the key where scripts cannot read it', async () => {
    const key = await deriveRequestKey(hex(vectors.opaque_session_key_hex));
    expect(key.extractable).toBe(false);
    await expect(crypto.subtle.exportKey('raw', key)).rejects.toThrow();
  });

  it('uses a new nonce for each request', async () => {
    const key = await deriveRequestKey(hex(vectors.opaque_session_key_hex));
    const parts = { method: 'POST', path: '/', query: '?', contentSha256: new Uint8Array(32), enc: new Uint8Array(32) };
    const inputs = await Promise.all(Array.from({ length: 64 }, () => signRequest({ session: 's', key }, parts)));
    const nonces = inputs.map((headers) => /nonce="([A-Za-z0-9_-]{22,})"/.exec(headers['Signature-Input'] ?? '')?.[1]);
    expect(new Set(nonces).size).toBe(64);
  });
});
