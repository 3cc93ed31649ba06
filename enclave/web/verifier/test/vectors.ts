// The published cases: evidence of real machines, altered and made-up evidence, each with its verdict. They stay outside
// the repository; CLOISTER_VECTORS says where. Without them a test that needs them fails.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Bytes } from '../src/bytes';

const fallback = fileURLToPath(new URL('../../../../../shared/vectors', import.meta.url));
export const VECTORS = join(process.env.CLOISTER_VECTORS ?? fallback, 'attestation');

if (!existsSync(join(VECTORS, 'manifest.json'))) {
  throw new Error(`no attestation vectors at ${VECTORS}: set CLOISTER_VECTORS to the folder that holds attestation/`);
}

/** One case. */
export interface Case {
  readonly id: string;
  readonly tee: string;
  readonly class: string;
  readonly requires: readonly string[];
  /** Unix seconds. */
  readonly verify_at: number;
  readonly policy: Record<string, unknown>;
  readonly expect: {
    readonly verdict: 'accept' | 'reject';
    readonly stage: string | null;
    readonly reason: readonly string[];
    readonly claims: Record<string, unknown> | null;
    readonly tcb_status?: string;
    readonly advisories?: readonly string[];
    readonly observations?: readonly string[] | null;
    readonly collateral_valid_from?: string;
    readonly collateral_valid_until?: string;
  };
  readonly files: Record<string, unknown>;
  readonly dir: string;
}

/** The cases of one kind of evidence. */
export function casesOf(tee: string): Case[] {
  const { cases } = JSON.parse(readFileSync(join(VECTORS, 'manifest.json'), 'utf8')) as { cases: Case[] };
  return cases.filter((each) => each.tee === tee);
}

/** The case with this name. */
export function caseOf(id: string): Case {
  const found = [...casesOf('snp'), ...casesOf('tdx')].find((each) => each.id === id);
  if (!found) throw new Error(`no case ${id}`);
  return found;
}

/** A file of a case, or null where it has none. */
export function fileOf({ files, dir }: Case, name: string): Bytes | null {
  return name in files ? new Uint8Array(readFileSync(join(VECTORS, dir, name))) : null;
}

/** A file that the case must have. */
export function needed(each: Case, name: string): Bytes {
  const bytes = fileOf(each, name);
  if (!bytes) throw new Error(`${each.id} has no ${name}`);
  return bytes;
}

/** Tampers with one byte. */
export function flipped(bytes: Bytes, at: number, mask = 0x01): Bytes {
  const changed = bytes.slice();
  changed[at] = (changed[at] ?? 0) ^ mask;
  return changed;
}
