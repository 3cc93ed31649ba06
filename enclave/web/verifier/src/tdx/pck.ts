// What the platform's certificate says about the platform: Intel's SGX extension (PCK Certificate Specification, 1.4).

import { type Bytes, toHex } from '../bytes';
import { NotDer, Reader, TAG, oid, small } from '../der';
import type { Certificate } from '../x509';

/** The platform, as its certificate has it. */
export interface Platform {
  /** The 16 SGX components of the TCB. */
  readonly components: readonly number[];
  readonly pceSvn: number;
  readonly cpuSvn: Bytes;
  /** Model of the platform, hex. */
  readonly fmspc: string;
  /** Provisioning certification enclave, hex. */
  readonly pceId: string;
  /** The platform itself, hex. */
  readonly ppid: string;
  /** Facts of the platform that certificates of the processor CA do not tell. */
  readonly dynamic: boolean | null;
  readonly cachedKeys: boolean | null;
  readonly smt: boolean | null;
}

/** 1.2.840.113741.1.13.1 as the content of an object identifier. */
const SGX = '2a864886f84d010d01';

/** Reads the extension; null where it is missing or any part of it is. */
export function platformOf(certificate: Certificate): Platform | null {
  const extension = certificate.extensions.get(SGX);
  if (!extension) return null;
  try {
    const parts = pairs(new Reader(extension));
    const fixed = (key: string, length: number) => {
      const bytes = one(parts, key).content(TAG.octetString);
      if (bytes.length !== length) throw new NotDer('a value of another length');
      return toHex(bytes);
    };
    const tcb = pairs(one(parts, '02'));
    const components: number[] = [];
    for (let index = 1; index <= 16; index++)
      components.push(byte(one(tcb, `02${index.toString(16).padStart(2, '0')}`)));
    one(parts, '05').content(TAG.enumerated);
    const cpuSvn = one(tcb, '0212').content(TAG.octetString);
    if (cpuSvn.length !== 16) throw new NotDer('a value of another length');
    const pceSvn = small(one(tcb, '0211'));
    if (pceSvn > 0xffff) throw new NotDer('a number that is too large');
    const configuration = parts.has('07') ? pairs(one(parts, '07')) : null;
    const told = (key: string) => (configuration?.has(key) ? flag(one(configuration, key)) : null);
    const facts = { dynamic: told('0701'), cachedKeys: told('0702'), smt: told('0703') };
    return {
      ...facts,
      components,
      pceSvn,
      cpuSvn,
      ppid: fixed('01', 16),
      pceId: fixed('03', 2),
      fmspc: fixed('04', 6),
    };
  } catch {
    return null;
  }
}

function byte(reader: Reader): number {
  const value = small(reader);
  if (value > 255) throw new NotDer('a number that is too large');
  return value;
}

function flag(reader: Reader): boolean {
  const value = toHex(reader.content(TAG.boolean));
  if (value !== '00' && value !== 'ff') throw new NotDer('not a boolean');
  return value === 'ff';
}

type Parts = ReadonlyMap<string, Reader>;

/** A sequence of pairs of an identifier below `SGX` and a value, none twice. */
function pairs(list: Reader): Parts {
  const found = new Map<string, Reader>();
  const inside = list.inside(TAG.sequence);
  list.finish();
  while (!inside.done) {
    const pair = inside.inside(TAG.sequence);
    const id = oid(pair);
    const tag = pair.tag;
    if (tag === null || !id.startsWith(SGX)) throw new NotDer('not a pair of the extension');
    const key = id.slice(SGX.length);
    const value = new Reader(pair.raw(tag));
    pair.finish();
    if (found.has(key)) throw new NotDer('a value that occurs twice');
    found.set(key, value);
  }
  return found;
}

function one(parts: Parts, key: string): Reader {
  const value = parts.get(key);
  if (!value) throw new NotDer('a value is missing');
  return value;
}
