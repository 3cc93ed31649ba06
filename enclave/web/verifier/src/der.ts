// A reader for DER (X.690), strict where it matters: definite and minimal lengths only, one byte of tag, nothing beyond
// the bytes at hand, nothing left over. Certificates come from whoever runs the machine.

import { type Bytes, toHex } from './bytes';

/** The tags that certificates and CRLs use. */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  enumerated: 0x0a,
  utf8String: 0x0c,
  printableString: 0x13,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** The bytes are not the DER that was expected. */
export class NotDer extends Error {
  override readonly name = 'NotDer';
}

/** Reads elements one after another. */
export class Reader {
  readonly #bytes: Bytes;
  #at = 0;

  constructor(bytes: Bytes) {
    this.#bytes = bytes;
  }

  /** Whether everything was read. */
  get done(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** Refuses bytes that nobody read. */
  finish(): void {
    if (!this.done) throw new NotDer('trailing bytes');
  }

  /** The tag that comes next, or null at the end. */
  get tag(): number | null {
    return this.#bytes[this.#at] ?? null;
  }

  /** The content of the next element, which must have this tag. */
  content(tag: number): Bytes {
    return this.#element(tag).content;
  }

  /** The next element with its tag and length. */
  raw(tag: number): Bytes {
    return this.#element(tag).raw;
  }

  /** A reader for what is inside the next element. */
  inside(tag: number): Reader {
    return new Reader(this.content(tag));
  }

  /** The content of the next element if it has this tag. */
  maybe(tag: number): Bytes | null {
    return this.tag === tag ? this.content(tag) : null;
  }

  #element(tag: number): { raw: Bytes; content: Bytes } {
    const start = this.#at;
    if (this.tag !== tag) throw new NotDer('another tag than expected');
    const { length, header } = lengthAt(this.#bytes, start + 1);
    const from = start + 1 + header;
    const to = from + length;
    if (to > this.#bytes.length) throw new NotDer('an element reaches beyond the end');
    this.#at = to;
    return { raw: this.#bytes.subarray(start, to), content: this.#bytes.subarray(from, to) };
  }
}

function lengthAt(bytes: Bytes, at: number): { length: number; header: number } {
  const first = bytes[at];
  if (first === undefined) throw new NotDer('an element without a length');
  if (first < 0x80) return { length: first, header: 1 };
  const count = first & 0x7f;
  if (count === 0 || count > 3) throw new NotDer('an indefinite or excessive length');
  let length = 0;
  for (let i = 1; i <= count; i++) length = length * 256 + (bytes[at + i] ?? Number.NaN);
  if (!(length >= 0x80 && length >= 256 ** (count - 1))) throw new NotDer('a length that is not minimal');
  return { length, header: 1 + count };
}

/** Reads one element that fills all the bytes. */
export function whole<T>(bytes: Bytes, tag: number, read: (inside: Reader) => T): T {
  const outer = new Reader(bytes);
  const inside = outer.inside(tag);
  outer.finish();
  const value = read(inside);
  inside.finish();
  return value;
}

/** An object identifier, as the hex of its content. */
export function oid(reader: Reader): string {
  return toHex(reader.content(TAG.oid));
}

/** The minimal two's complement content of a non-negative INTEGER. */
export function unsigned(reader: Reader): Bytes {
  const content = reader.content(TAG.integer);
  const [first, second] = content;
  if (first === undefined || first >= 0x80) throw new NotDer('an integer that is empty or negative');
  if (first === 0 && second !== undefined && second < 0x80) throw new NotDer('an integer that is not minimal');
  return content;
}

/** A non-negative INTEGER of at most 31 bits. */
export function small(reader: Reader): number {
  const content = unsigned(reader);
  if (content.length > 4) throw new NotDer('an integer that is too large');
  return content.reduce((value, byte) => value * 256 + byte, 0);
}

/** The bytes of a BIT STRING that has whole bytes only. */
export function wholeBits(reader: Reader): Bytes {
  const content = reader.content(TAG.bitString);
  if (content[0] !== 0) throw new NotDer('a bit string that is not of whole bytes');
  return content.subarray(1);
}

/** A UTCTime or GeneralizedTime as RFC 5280 (4.1.2.5) has it, in Unix milliseconds. */
export function time(reader: Reader): number {
  const short = reader.tag === TAG.utcTime;
  const text = String.fromCharCode(...reader.content(short ? TAG.utcTime : TAG.generalizedTime).subarray(0, 16));
  const digits = short ? `${text < '5' ? '20' : '19'}${text}` : text;
  const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(digits);
  if (!parts) throw new NotDer('a time of another form');
  return instant(`${parts[1]}-${parts[2]}-${parts[3]}T${parts[4]}:${parts[5]}:${parts[6]}Z`);
}

/** Unix milliseconds of `YYYY-MM-DDThh:mm:ssZ`; refuses days and hours that no calendar has. */
export function instant(text: string): number {
  const ms = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms) || new Date(ms).toISOString() !== text.replace('Z', '.000Z')) throw new NotDer('not a time');
  return ms;
}

/** A time cut to the second: certificates know no shorter time, and their last second is within. */
export function wholeSeconds(nowMs: number): number {
  return Math.floor(nowMs / 1000) * 1000;
}
