// Request signatures: RFC 9421 with hmac-sha256 under K_req, which both sides derive from the OPAQUE session key.
//
// The session is therefore no bearer secret: whoever sees a request on the wire cannot make another one. The
// signature covers the body as it is sent, which is ciphertext, so it is made after sealing.

import { type Bytes, randomBytes, toBase64, toBase64Url, toHex, utf8 } from '@cloister/verifier/bytes';

/** What a signature covers; a change here is a change of the protocol. */
const COMPONENTS = '("@method" "@path" "@query" "content-digest" "ehbp-encapsulated-key")';

/** A session: its public name and the key that stays in WebCrypto. */
export interface SigningSession {
  /** `keyid`: 32 random bytes in base64url. */
  readonly session: string;
  /** K_req, not extractable. */
  readonly key: CryptoKey;
}

/** The parts of a request that are signed. */
export interface SignedParts {
  readonly method: string;
  readonly path: string;
  /** With its question mark; `?` when there is none (RFC 9421 §2.2.7). */
  readonly query: string;
  readonly contentSha256: Uint8Array;
  readonly enc: Uint8Array;
}

/** When and with which nonce. */
export interface SignatureTime {
  readonly createdS: number;
  readonly nonce: string;
}

/** K_req = HKDF-SHA256(session_key, no salt, "cloister/request-signature/v1", 32 bytes), not extractable. */
export async function deriveRequestKey(sessionKey: Bytes): Promise<CryptoKey> {
  const base = await crypto.subtle.importKey('raw', sessionKey, 'HKDF', false, ['deriveKey']);
  const info = utf8('cloister/request-signature/v1');
  const hkdf = { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(0), info };
  return crypto.subtle.deriveKey(hkdf, base, { name: 'HMAC', hash: 'SHA-256', length: 256 }, false, ['sign']);
}

/** `Content-Digest` (RFC 9530). */
export function contentDigest(sha256: Uint8Array): string {
  return `sha-256=:${toBase64(sha256)}:`;
}

/** The value of `Signature-Input` after `cloister=`. */
export function signatureParams(session: string, time: SignatureTime): string {
  return (
    `${COMPONENTS};created=${time.createdS};nonce="${time.nonce}";keyid="${session}"` +
    ';alg="hmac-sha256";tag="cloister-request/v1"'
  );
}

/** The signature base (RFC 9421 §2.5). */
export function signatureBase(parts: SignedParts, params: string): string {
  return [
    `"@method": ${parts.method}`,
    `"@path": ${parts.path}`,
    `"@query": ${parts.query}`,
    `"content-digest": ${contentDigest(parts.contentSha256)}`,
    `"ehbp-encapsulated-key": ${toHex(parts.enc)}`,
    `"@signature-params": ${params}`,
  ].join('\n');
}

/** The three headers of a signed request. */
export async function signRequest(
  signing: SigningSession,
  parts: SignedParts,
  time: SignatureTime = { createdS: Math.floor(Date.now() / 1000), nonce: toBase64Url(randomBytes(18)) },
): Promise<Record<string, string>> {
  const params = signatureParams(signing.session, time);
  const mac = await crypto.subtle.sign('HMAC', signing.key, utf8(signatureBase(parts, params)));
  return {
    'Content-Digest': contentDigest(parts.contentSha256),
    'Signature-Input': `cloister=${params}`,
    Signature: `cloister=:${toBase64(new Uint8Array(mac))}:`,
  };
}
