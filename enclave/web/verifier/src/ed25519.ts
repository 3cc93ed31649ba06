// Ed25519 (RFC 8032), strictly: as `verify_strict` of the Rust verifier, points of small order are refused.
//
// Not by WebCrypto: not every browser has it there, and those that do disagree about the edge cases. A verifier must
// say the same everywhere.

import { ed25519 } from '@noble/curves/ed25519.js';
import type { Bytes } from './bytes';

/** Whether a signature holds. Never throws: what cannot be checked does not hold. */
export function verifyEd25519(publicKey: Bytes, message: Bytes, signature: Bytes): boolean {
  if (publicKey.length !== 32 || signature.length !== 64) return false;
  try {
    const points = [publicKey, signature.slice(0, 32)].map((bytes) => ed25519.Point.fromBytes(bytes));
    if (points.some((point) => point.isSmallOrder())) return false;
    return ed25519.verify(signature, message, publicKey, { zip215: false });
  } catch {
    return false;
  }
}
