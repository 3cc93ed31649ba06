// Ed25519 (RFC 8032) by WebCrypto, and in JavaScript where the browser has none.

import { ed25519 } from '@noble/curves/ed25519.js';
import type { Bytes } from './bytes';

/** Whether a signature holds. Never throws: what cannot be checked does not hold. */
export async function verifyEd25519(publicKey: Bytes, message: Bytes, signature: Bytes): Promise<boolean> {
  if (publicKey.length !== 32 || signature.length !== 64) return false;
  let key: CryptoKey;
  try {
    key = await crypto.subtle.importKey('raw', publicKey, 'Ed25519', false, ['verify']);
  } catch {
    return verifyInJavaScript(publicKey, message, signature);
  }
  return crypto.subtle.verify('Ed25519', key, signature, message).catch(() => false);
}

function verifyInJavaScript(publicKey: Bytes, message: Bytes, signature: Bytes): boolean {
  try {
    return ed25519.verify(signature, message, publicKey, { zip215: false });
  } catch {
    return false;
  }
}
