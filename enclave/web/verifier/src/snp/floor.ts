// Floors for the versions of the firmware's parts, as policies write them.

import { oneOf, upTo } from '../policy';
import { PRODUCTS, type Product } from '../roots';
import { TCB_PARTS } from './report';

/** The least version of each part; a part that is not named may have any. */
export type TcbFloor = Partial<Record<(typeof TCB_PARTS)[number], number>>;

/** What no firmware reaches: the floor for products that a table of floors leaves out. */
export const UNREACHABLE: TcbFloor = { snp: 256 };

/** Reads one floor. */
export function readFloor(value: unknown): TcbFloor | null {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return null;
  const known = (part: string) => (TCB_PARTS as readonly string[]).includes(part);
  const right = Object.entries(value).every(([part, least]) => known(part) && upTo(255)(least) !== null);
  return right ? (value as TcbFloor) : null;
}

/** Reads a table of floors, one per product. */
export function readFloors(value: unknown): ReadonlyMap<Product, TcbFloor> | null {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return null;
  const floors = new Map<Product, TcbFloor>();
  for (const [name, least] of Object.entries(value)) {
    const product = oneOf(PRODUCTS)(name);
    const read = readFloor(least);
    if (product === null || read === null) return null;
    floors.set(product, read);
  }
  return floors;
}
