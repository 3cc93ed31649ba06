// Enrolling and logging in by OPAQUE (RFC 9807): the password never leaves the browser, not even encrypted.
//
// The server's static key must be the one of the attested statement; without that comparison a relay could run the
// protocol with a key of its own.

import type { LoggedIn } from '../api/types';
import { callUnsigned } from '../api/client';
import type { Channel } from '../channel/channel';
import { type SigningSession, deriveRequestKey } from '../channel/signature';
import { fromBase64Url, toHex } from '@cloister/verifier/bytes';

/** The fewest characters of a password; the server cannot check it, as it never sees it. */
export const MIN_PASSWORD = 10;

/** Name or password is wrong; which, nobody learns. */
export class WrongPassword extends Error {
  override readonly name = 'WrongPassword';

  constructor() {
    super('Name or password is not right.');
  }
}

/** The server proved another identity than the one that was attested. */
export class WrongServer extends Error {
  override readonly name = 'WrongServer';

  constructor() {
    super(
      'The server that answered the login is not the one that was attested. Nothing was sent to it. Reload the page.',
    );
  }
}

/** A login that succeeded. */
export interface Login extends SigningSession {
  readonly who: LoggedIn;
}

/** Registers a password by an enrolment code. */
export async function enrol(
  channel: Channel,
  opaquePk: string,
  code: string,
  login: string,
  password: string,
): Promise<void> {
  const opaque = await loadOpaque();
  const { clientRegistrationState, registrationRequest } = opaque.client.startRegistration({ password });
  const started = await callUnsigned<{ registration_response: string; server_public_key: string }>(
    channel,
    'auth/opaque/register/start',
    { enrolment_code: code, login, registration_request: registrationRequest },
  );
  await nextFrame();
  const finished = opaque.client.finishRegistration({
    password,
    registrationResponse: started.registration_response,
    clientRegistrationState,
    keyStretching: 'memory-constrained',
  });
  expectServer(finished.serverStaticPublicKey, opaquePk);
  await callUnsigned(channel, 'auth/opaque/register/finish', {
    enrolment_code: code,
    login,
    registration_record: finished.registrationRecord,
    ksf: 'memory-constrained',
  });
}

/** Logs in and derives the key that signs the session's requests. */
export async function logIn(channel: Channel, opaquePk: string, login: string, password: string): Promise<Login> {
  const opaque = await loadOpaque();
  const { ksf } = await callUnsigned<{ ksf: string }>(channel, 'auth/opaque/login/params', { login });
  const { clientLoginState, startLoginRequest } = opaque.client.startLogin({ password });
  const started = await callUnsigned<{ login_id: string; login_response: string }>(channel, 'auth/opaque/login/start', {
    login,
    start_login_request: startLoginRequest,
  });
  await nextFrame();
  const finished = opaque.client.finishLogin({
    clientLoginState,
    loginResponse: started.login_response,
    password,
    // Not what the server likes: a hostile one could ask for a weaker function and learn faster from a guess.
    keyStretching: ksf === 'rfc-recommended' ? 'rfc-recommended' : 'memory-constrained',
  });
  if (!finished) throw new WrongPassword();
  expectServer(finished.serverStaticPublicKey, opaquePk);
  const sessionKey = fromBase64Url(finished.sessionKey);
  if (!sessionKey) throw new WrongServer();
  const key = await deriveRequestKey(sessionKey);
  sessionKey.fill(0);
  const who = await callUnsigned<LoggedIn>(channel, 'auth/opaque/login/finish', {
    login_id: started.login_id,
    finish_login_request: finished.finishLoginRequest,
  });
  return { session: who.session, key, who };
}

/** Loaded when needed: it is the largest part of the page. */
async function loadOpaque() {
  const opaque = await import('@serenity-kit/opaque');
  await opaque.ready;
  return opaque;
}

function expectServer(serverStaticPublicKey: string, opaquePk: string): void {
  const key = fromBase64Url(serverStaticPublicKey);
  if (!key || toHex(key) !== opaquePk) throw new WrongServer();
}

/** Lets the page show that it is busy before the key stretching blocks it for some tenths of a second. */
function nextFrame(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 32));
}
