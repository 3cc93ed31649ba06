// A person's session made of unmodified parts: `@serenity-kit/opaque` for the password, `ehbp` for the encryption, and
// Node's cryptography for the request signature.

import assert from 'node:assert/strict';
import { createHmac, hkdfSync, randomBytes } from 'node:crypto';
import * as opaque from '@serenity-kit/opaque';
import { Identity } from 'ehbp';
import { sha256 } from './evidence.mjs';

/** A problem document, decrypted. */
export class Refused extends Error {
  constructor(status, problem) {
    super(`refused with ${status}: ${JSON.stringify(problem)}`);
    this.status = status;
    this.problem = problem;
  }
}

/** EHBP by hand, with the attested key and `ehbp`'s own Identity. */
export class Client {
  constructor(url, statement) {
    this.url = url;
    this.statement = statement;
  }

  /** Seals a request; gives the wire parts and the context that opens the answer. */
  async seal(path, contentType, body) {
    const identity = await Identity.fromPublicKeyHex(this.statement.hpke_keys[0]);
    const plain = new Request(`${this.url}${path}`, { method: 'POST', headers: { 'content-type': contentType }, body });
    const { request, context } = await identity.encryptRequestWithContext(plain);
    const headers = Object.fromEntries(request.headers);
    return { path, headers, body: Buffer.from(await request.arrayBuffer()), context, identity };
  }

  /** Sends what `seal` made, and opens the answer. */
  async send(sealed) {
    const response = await fetch(`${this.url}${sealed.path}`, { method: 'POST', headers: sealed.headers, body: sealed.body });
    if (!response.headers.has('ehbp-response-nonce')) {
      assert.ok(!response.ok, 'a success is encrypted');
      throw new Refused(response.status, await response.json().catch(() => null));
    }
    const opened = await sealed.identity.decryptResponseWithContext(response, sealed.context);
    if (!opened.ok) throw new Refused(opened.status, await opened.json());
    return opened;
  }

  /** JSON in, JSON out, without a session. */
  async call(path, json) {
    const opened = await this.send(await this.seal(path, 'application/json', JSON.stringify(json)));
    return opened.json();
  }

  /** Registers a password by an enrolment code. */
  async enrol(code, login, password) {
    await opaque.ready;
    const { clientRegistrationState, registrationRequest } = opaque.client.startRegistration({ password });
    const started = await this.call('/api/v1/auth/opaque/register/start', {
      enrolment_code: code,
      login,
      registration_request: registrationRequest,
    });
    const finished = opaque.client.finishRegistration({
      password,
      registrationResponse: started.registration_response,
      clientRegistrationState,
      keyStretching: 'memory-constrained',
    });
    this.#expectServer(finished.serverStaticPublicKey);
    return this.call('/api/v1/auth/opaque/register/finish', {
      enrolment_code: code,
      login,
      registration_record: finished.registrationRecord,
      ksf: 'memory-constrained',
    });
  }

  /** Logs in; undefined for a wrong password or an unknown name. */
  async logIn(login, password) {
    await opaque.ready;
    const { ksf } = await this.call('/api/v1/auth/opaque/login/params', { login });
    const { clientLoginState, startLoginRequest } = opaque.client.startLogin({ password });
    const started = await this.call('/api/v1/auth/opaque/login/start', { login, start_login_request: startLoginRequest });
    const finished = opaque.client.finishLogin({
      clientLoginState,
      loginResponse: started.login_response,
      password,
      keyStretching: ksf,
    });
    if (!finished) return undefined;
    this.#expectServer(finished.serverStaticPublicKey);
    const who = await this.call('/api/v1/auth/opaque/login/finish', {
      login_id: started.login_id,
      finish_login_request: finished.finishLoginRequest,
    });
    return new Session(this, who, Buffer.from(finished.sessionKey, 'base64url'));
  }

  #expectServer(key) {
    assert.equal(Buffer.from(key, 'base64url').toString('hex'), this.statement.opaque_pk, 'the OPAQUE key is attested');
  }
}

/** A session: every request sealed and signed. */
export class Session {
  #key;

  constructor(client, who, sessionKey) {
    this.client = client;
    this.who = who;
    this.#key = Buffer.from(hkdfSync('sha256', sessionKey, Buffer.alloc(0), 'cloister/request-signature/v1', 32));
  }

  /** Seals and signs; RFC 9421. */
  async sign(path, contentType, body, createdS = Math.floor(Date.now() / 1000)) {
    const sealed = await this.client.seal(path, contentType, body);
    const url = new URL(path, this.client.url);
    const digest = `sha-256=:${sha256(sealed.body).toString('base64')}:`;
    const params =
      '("@method" "@path" "@query" "content-digest" "ehbp-encapsulated-key")' +
      `;created=${createdS};nonce="${randomBytes(18).toString('base64url')}";keyid="${this.who.session}"` +
      ';alg="hmac-sha256";tag="cloister-request/v1"';
    const base = [
      '"@method": POST',
      `"@path": ${url.pathname}`,
      `"@query": ${url.search || '?'}`,
      `"content-digest": ${digest}`,
      `"ehbp-encapsulated-key": ${sealed.headers['ehbp-encapsulated-key']}`,
      `"@signature-params": ${params}`,
    ].join('\n');
    const mac = createHmac('sha256', this.#key).update(base).digest('base64');
    Object.assign(sealed.headers, {
      'content-digest': digest,
      'signature-input': `cloister=${params}`,
      signature: `cloister=:${mac}:`,
    });
    return sealed;
  }

  /** JSON in, an opened response out. */
  async post(path, json) {
    return this.client.send(await this.sign(path, 'application/json', JSON.stringify(json)));
  }

  /** JSON in, JSON out. */
  async call(path, json = {}) {
    return (await this.post(path, json)).json();
  }

  /** Uploads a file and waits until it was read. */
  async upload(workspace, name, text) {
    const boundary = `b-${randomBytes(12).toString('hex')}`;
    const body =
      `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="${name}"\r\n` +
      `Content-Type: text/markdown\r\n\r\n${text}\r\n--${boundary}--\r\n`;
    const path = `/api/v1/workspaces/${workspace}/documents`;
    const sealed = await this.sign(path, `multipart/form-data; boundary=${boundary}`, body);
    const uploaded = await (await this.client.send(sealed)).json();
    const deadline = Date.now() + 60_000;
    let document = uploaded.document;
    while (document.state !== 'ready' && document.state !== 'error' && Date.now() < deadline) {
      document = await this.call(`${path}/${document.id}/get`);
    }
    return { ...uploaded, document };
  }
}

/** The events of an answer; throws when it ends before `done` or `failed`. */
export async function readAnswer(response) {
  assert.match(response.headers.get('content-type') ?? '', /^text\/event-stream/);
  const events = [];
  for (const block of (await response.text()).split(/\r?\n\r?\n/)) {
    const event = /^event: ?(.*)$/m.exec(block)?.[1];
    const data = /^data: ?(.*)$/m.exec(block)?.[1];
    if (event && data) events.push({ event, data: JSON.parse(data) });
  }
  const last = events.at(-1)?.event;
  assert.ok(last === 'done' || last === 'failed', `the answer ended with ${last}`);
  return events;
}
