// Takes bytes off the front of a fixed layout. Every length is compared with what is left before it is used.

import { type Bytes, u16, u32 } from './bytes';

/** The layout needs more bytes than there are. */
export class TooShort extends Error {
  override readonly name = 'TooShort';
}

/** Reads little-endian fields one after another. */
export class Cursor {
  readonly #bytes: Bytes;
  #at = 0;

  constructor(bytes: Bytes) {
    this.#bytes = bytes;
  }

  /** How many bytes were read. */
  get at(): number {
    return this.#at;
  }

  /** What is left. */
  get rest(): Bytes {
    return this.#bytes.subarray(this.#at);
  }

  take(length: number): Bytes {
    if (length > this.#bytes.length - this.#at) throw new TooShort();
    const taken = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return taken;
  }

  u16(): number {
    return u16(this.take(2), 0);
  }

  u32(): number {
    return u32(this.take(4), 0);
  }
}
