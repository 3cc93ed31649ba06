// Checkpoints and consistency proofs, against a checkpoint of an independent maker and trees built by RFC 6962's own
// definition.

import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { type Bytes, toBase64 } from '@cloister/verifier/bytes';
import { compareStates } from '../src/session/anchor';
import { BadLog, isContinued, openCheckpoint } from '../src/session/log';

// The worked example of the contract for logs: a tree of 70,000 leaves.
const ORIGIN = 'appliance.example/audit/tenant-7';
const VKEY = `${ORIGIN}+414d67b2+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4`;
const ROOT = 'NzBZoAhvh1XeCemezwJZed2wVexBtQqD6kGjae47nhk=';
const SIGNATURE = 'QU1nsry7wVrDD8kVlggNTNZUuJwztmruDxXsBgwm87veuabA7rkegFcww+Uo6cjF3kulZhR5o8/1qBZkD8b6OuGiTgs=';
const NOTE = `${ORIGIN}\n70000\n${ROOT}\n\n— ${ORIGIN} ${SIGNATURE}\n`;

describe('checkpoints', () => {
  it('dc-04: opens the one of the contract', async () => {
    const { origin, size, root } = await openCheckpoint(NOTE, VKEY);
    expect({ origin, size, root: toBase64(root) }).toEqual({ origin: ORIGIN, size: 70_000, root: ROOT });
  });

  it('dc-04: finds the signature of the log among those of witnesses', async () => {
    const witness = `— witness.example ${toBase64(new Uint8Array(76))}\n`;
    const cosigned = NOTE.replace('\n\n', `\n\n${witness}`);
    expect((await openCheckpoint(cosigned, VKEY)).size).toBe(70_000);
  });

  it.each([
    ['another size', NOTE.replace('70000', '70001')],
    ['another root', NOTE.replace(ROOT, toBase64(new Uint8Array(32)))],
    ['another origin', NOTE.replaceAll('tenant-7', 'tenant-8')],
    ['no signature', NOTE.slice(0, NOTE.indexOf('—'))],
    ['a flipped signature', NOTE.replace('QU1nsry7', 'QU1nsrz7')],
    ['a further line', NOTE.replace('\n\n', '\nmore\n\n')],
    ['a size with a leading zero', NOTE.replace('70000', '070000')],
    ['nothing', ''],
  ])('dc-04: refuses %s', async (_, note) => {
    await expect(openCheckpoint(note, VKEY)).rejects.toThrow(BadLog);
  });

  it.each([
    ['another key', VKEY.replace('AQOhB7', 'AQOhB8')],
    ['another key id', VKEY.replace('414d67b2', '414d67b3')],
    ['no key', ''],
  ])('dc-04: refuses %s', async (_, vkey) => {
    await expect(openCheckpoint(NOTE, vkey)).rejects.toThrow(BadLog);
  });
});

const sha256 = (...parts: Uint8Array[]): Bytes =>
  Uint8Array.from(createHash('sha256').update(Buffer.concat(parts)).digest());
const leaf = (index: number) => sha256(Uint8Array.of(0), Uint8Array.of(index));
const split = (size: number) => 2 ** Math.ceil(Math.log2(size) - 1);

/** MTH of RFC 6962, 2.1. */
function root(leaves: Bytes[]): Bytes {
  if (leaves.length === 0) return sha256();
  if (leaves.length === 1) return leaves[0] as Bytes;
  const k = split(leaves.length);
  return sha256(Uint8Array.of(1), root(leaves.slice(0, k)), root(leaves.slice(k)));
}

/** SUBPROOF of RFC 6962, 2.1.2. */
function prove(m: number, leaves: Bytes[], complete = true): Bytes[] {
  if (m === leaves.length) return complete ? [] : [root(leaves)];
  const k = split(leaves.length);
  return m <= k
    ? [...prove(m, leaves.slice(0, k), complete), root(leaves.slice(k))]
    : [...prove(m - k, leaves.slice(k), false), root(leaves.slice(0, k))];
}

const leaves = Array.from({ length: 40 }, (_, index) => leaf(index));
const head = (size: number) => ({ origin: ORIGIN, size, root: root(leaves.slice(0, size)) });
const proof = (old: number, now: number) => (old === 0 ? [] : prove(old, leaves.slice(0, now)));

describe('consistency', () => {
  it('dc-04: holds between all sizes of a log that only grew', async () => {
    for (let now = 0; now <= leaves.length; now++) {
      for (let old = 0; old <= now; old++) {
        expect(await isContinued(head(old), head(now), proof(old, now)), `${old} of ${now}`).toBe(true);
      }
    }
  });

  it('dc-04: fails with a flipped, missing or further hash, another root, another log, and backwards', async () => {
    for (const [old, now] of [
      [1, 2],
      [3, 7],
      [4, 8],
      [6, 40],
      [31, 33],
      [32, 40],
    ] as const) {
      const good = proof(old, now);
      for (let at = 0; at < good.length; at++) {
        const flipped = good.map((hash, index) => (index === at ? hash.map((byte) => byte ^ 1) : hash));
        expect(await isContinued(head(old), head(now), flipped)).toBe(false);
        expect(await isContinued(head(old), head(now), good.toSpliced(at, 1))).toBe(false);
      }
      expect(await isContinued(head(old), head(now), [...good, leaf(0)])).toBe(false);
      expect(await isContinued({ ...head(old), root: leaf(99) }, head(now), good)).toBe(false);
      expect(await isContinued(head(old), { ...head(now), root: leaf(99) }, good)).toBe(false);
      expect(await isContinued({ ...head(old), origin: 'other' }, head(now), good)).toBe(false);
      expect(await isContinued(head(now), head(old), good)).toBe(false);
    }
    expect(await isContinued(head(5), { ...head(5), root: leaf(99) }, [])).toBe(false);
    expect(await isContinued(head(0), head(5), [leaf(0)])).toBe(false);
  });

  it('dc-04: a proof of numbers beyond 2^32 is judged like any other', async () => {
    const old = { ...head(7), size: 2 ** 33 + 7 };
    expect(await isContinued(old, { ...head(9), size: 2 ** 33 + 9 }, proof(7, 9))).toBe(false);
  });
});

describe('states', () => {
  const state = (epoch: number, auditHead = 'a') => ({ epoch, auditHead });

  it('dc-04: a later state, the same one and the first one are as they should be', () => {
    expect(compareStates(null, state(1))).toBeNull();
    expect(compareStates(state(3), state(3))).toBeNull();
    expect(compareStates(state(3), state(4, 'b'))).toBeNull();
  });

  it('dc-04: an earlier state, and another one of the same count, went backwards', () => {
    expect(compareStates(state(3), state(2))).toMatch(/counts 2 writes/);
    expect(compareStates(state(3), state(3, 'b'))).toMatch(/two different states/);
  });
});
