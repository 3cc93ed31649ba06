// Hex for tests.

import { type Bytes, fromHex, toHex } from '@cloister/verifier/bytes';

export function hex(text: string): Bytes {
  const bytes = fromHex(text, text.length / 2);
  if (!bytes) throw new Error(`not hex: ${text}`);
  return bytes;
}

export { toHex };

/** `length` bytes counting up from `first`. */
export function counting(first: number, length: number): Bytes {
  return Uint8Array.from({ length }, (_, at) => (first + at) & 0xff);
}

/** Bytes as a stream that arrives in pieces of `size`. */
export async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size);
}
