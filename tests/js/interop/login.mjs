// Unmodified `@serenity-kit/opaque` against the enclave, and what request signatures must refuse.

import assert from 'node:assert/strict';
import { Client, Refused } from '../lib/session.mjs';
import { Skip } from '../lib/tap.mjs';

const PASSWORD = 'four lamps on the skerry';

/** Enrols the owner by the code and logs in. Gives the session, which the other suites use. */
export async function login(tap, url, statement, code) {
  const client = new Client(url, statement);
  const name = `owner-${Date.now()}@lighthouse.example`;

  await tap.test('opaque: a wrong enrolment code is refused', async () => {
    await assert.rejects(client.enrol('AAAAAAAAAAAAAAAAAAAAAA', name, PASSWORD), Refused);
  });
  const registered = await tap.test('opaque: registration by an enrolment code', () => client.enrol(code, name, PASSWORD));
  await tap.test('opaque: an enrolment code works once', async () => {
    if (!registered) throw new Skip('not registered');
    await assert.rejects(client.enrol(code, `other-${name}`, PASSWORD), Refused);
  });
  await tap.test('opaque: a wrong password and an unknown name look alike and let nobody in', async () => {
    assert.equal(await client.logIn(name, `${PASSWORD}!`), undefined);
    assert.equal(await client.logIn(`nobody-${name}`, PASSWORD), undefined);
  });
  const session = await tap.test('opaque: login, with the attested server key', async () => {
    const session = await client.logIn(name, PASSWORD);
    assert.ok(session, 'the right password lets in');
    assert.match(session.who.session, /^[A-Za-z0-9_-]{43}$/);
    assert.equal(session.who.role, 'owner');
    return session;
  });
  if (session) await signatures(tap, session, name);
  return session;
}

async function signatures(tap, session, name) {
  const me = () => session.sign('/api/v1/me', 'application/json', '{}');
  const refused = (status) => (error) => error instanceof Refused && status.includes(error.status);

  await tap.test('signature: a signed request is answered', async () => {
    const answer = await (await session.client.send(await me())).json();
    assert.equal(answer.login, name);
    assert.ok(answer.workspaces.length >= 1, 'an owner has a workspace');
  });
  await tap.test('signature: the same request again is refused', async () => {
    const request = await me();
    await session.client.send(request);
    await assert.rejects(session.client.send(request), refused([401, 409]));
  });
  await tap.test('signature: a request without one is refused', async () => {
    const { path, headers, body, context, identity } = await me();
    const { signature: _, ...rest } = headers;
    await assert.rejects(session.client.send({ path, headers: rest, body, context, identity }), refused([401]));
  });
  await tap.test('signature: it covers path and query', async () => {
    const request = await me();
    await assert.rejects(session.client.send({ ...request, path: '/api/v1/logout' }), refused([401]));
    const again = await me();
    await assert.rejects(session.client.send({ ...again, path: '/api/v1/me?x=1' }), refused([401]));
  });
  await tap.test('signature: it covers the body as sent', async () => {
    const request = await me();
    const body = Buffer.from(request.body);
    body[body.length - 1] ^= 1;
    await assert.rejects(session.client.send({ ...request, body }), refused([400, 401]));
  });
  await tap.test('signature: an old one is refused', async () => {
    const old = await session.sign('/api/v1/me', 'application/json', '{}', Math.floor(Date.now() / 1000) - 3600);
    await assert.rejects(session.client.send(old), refused([401]));
  });
  await tap.test('signature: a session in plaintext is refused', async () => {
    const { headers } = await me();
    const { 'ehbp-encapsulated-key': _, ...rest } = headers;
    const response = await fetch(`${session.client.url}/api/v1/me`, { method: 'POST', headers: rest, body: '{}' });
    assert.ok(response.status >= 400 && response.status < 500, `status ${response.status}`);
  });
  await tap.test('signature: the name of a session alone is no credential', async () => {
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${session.who.session}` };
    const response = await fetch(`${session.client.url}/api/v1/me`, { method: 'POST', headers, body: '{}' });
    assert.ok(response.status >= 400 && response.status < 500, `status ${response.status}`);
  });
}
