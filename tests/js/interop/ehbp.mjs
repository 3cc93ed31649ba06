// Unmodified npm `ehbp` 0.1.7 against the enclave.

import assert from 'node:assert/strict';
import { Identity, KeyConfigMismatchError, Transport, createTransport } from 'ehbp';

/** `key` is an API key and `model` a chat model's name. */
export async function ehbp(tap, url, statement, key, model) {
  const authorization = `Bearer ${key}`;
  const headers = { 'content-type': 'application/json', authorization };
  const ask = (extra = {}) =>
    JSON.stringify({ model, messages: [{ role: 'user', content: 'How much is refunded for a hotel night?' }], ...extra });
  const chat = `${url}/v1/chat/completions`;

  await tap.test('ehbp: the key of /.well-known/hpke-keys is the attested one', async () => {
    const transport = await createTransport(url);
    assert.equal(await transport.getServerPublicKeyHex(), statement.hpke_keys[0]);
  });
  await tap.test('ehbp: POST, with the answer decrypted', async () => {
    const transport = await createTransport(url);
    const response = await transport.request(chat, { method: 'POST', headers, body: ask() });
    assert.equal(response.status, 200);
    assert.ok(response.headers.get('ehbp-response-nonce'));
    assert.ok((await response.json()).choices[0].message.content.length > 0);
  });
  await tap.test('ehbp: POST to an event stream', async () => {
    const transport = await createTransport(url);
    const response = await transport.request(chat, { method: 'POST', headers, body: ask({ stream: true }) });
    assert.match(response.headers.get('content-type') ?? '', /^text\/event-stream/);
    const text = await response.text();
    assert.match(text, /data: \{/);
    assert.match(text, /data: \[DONE\]\s*$/);
  });
  await tap.test('ehbp: errors of handlers come encrypted, with their status', async () => {
    const transport = await createTransport(url);
    const response = await transport.request(`${url}/api/v1/nothing-here`, { method: 'POST', headers, body: '{}' });
    assert.equal(response.status, 404);
    assert.ok(response.headers.get('ehbp-response-nonce'));
    assert.match(await response.text(), /not-found/);
    const login = await transport.request(`${url}/api/v1/auth/opaque/login/start`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"login":1}',
    });
    assert.equal(login.status, 400);
    assert.match(await login.text(), /invalid-request/);
  });
  await tap.test('ehbp: a stale key is a KeyConfigMismatchError', async () => {
    const other = await Identity.fromPublicKeyHex('675dd574ed7789310b3d2e7681f3790b466c773b1521fecf36577958371ea52f');
    const transport = new Transport(other, new URL(url).host);
    await assert.rejects(transport.request(chat, { method: 'POST', headers, body: ask() }), KeyConfigMismatchError);
  });
  await tap.test('ehbp: the same sealed bytes a second time are refused', async () => {
    const identity = await Identity.fromPublicKeyHex(statement.hpke_keys[0]);
    const plain = new Request(chat, { method: 'POST', headers, body: ask() });
    const { request } = await identity.encryptRequestWithContext(plain);
    const body = Buffer.from(await request.arrayBuffer());
    const send = () => fetch(chat, { method: 'POST', headers: Object.fromEntries(request.headers), body });
    const first = await send();
    assert.equal(first.status, 200);
    await first.arrayBuffer();
    const second = await send();
    assert.ok(second.status >= 400, `status ${second.status}`);
  });
  await tap.test('ehbp: malformed bodies are refused without an answer that is encrypted to nobody', async () => {
    const bodies = ['00000000', '00', 'ffffffff00', '0000001000112233445566778899aabbccddeeff'];
    for (const body of bodies) {
      const response = await fetch(chat, {
        method: 'POST',
        headers: { ...headers, 'ehbp-encapsulated-key': 'a0'.repeat(32) },
        body: Buffer.from(body, 'hex'),
      });
      assert.ok([400, 413, 422].includes(response.status), `${body}: status ${response.status}`);
      assert.equal(response.headers.get('ehbp-response-nonce'), null, body);
    }
  });
}
