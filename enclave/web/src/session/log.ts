// The organisation's audit log as this page needs it: is the log of today the one of last time, only longer?
//
// Checkpoints are C2SP signed notes, proofs those of RFC 6962, 2.1.2, verified as in RFC 9162, 2.1.4.2.

import { verifyEd25519 } from '@cloister/verifier/ed25519';
import { type Bytes, concat, equal, fromBase64, utf8 } from '@cloister/verifier/bytes';

/** The head of a log. */
export interface Checkpoint {
  readonly origin: string;
  readonly size: number;
  readonly root: Bytes;
}

/** The log cannot be believed: a note, a key or a proof is not what it has to be. */
export class BadLog extends Error {
  override readonly name = 'BadLog';
}

/** A key as notes name it: `<name>+<key id>+<base64 of 01 and the public key>`. */
async function parseVkey(vkey: string): Promise<{ name: string; id: Bytes; publicKey: Bytes }> {
  const [, name, idHex, encoded] = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/.exec(vkey) ?? [];
  const key = fromBase64(encoded);
  if (!name || !idHex || key?.length !== 33 || key[0] !== 1) throw new BadLog('the key of the log is none');
  const id = (await sha256(concat(utf8(`${name}\n`), key))).subarray(0, 4);
  if (
    !equal(
      id,
      Uint8Array.from(idHex.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16)),
    )
  )
    throw new BadLog('the key of the log has the id of another');
  return { name, id, publicKey: key.subarray(1) };
}

/** Opens a signed note that this key signed. */
export async function openCheckpoint(note: string, vkey: string): Promise<Checkpoint> {
  const { name, id, publicKey } = await parseVkey(vkey);
  const end = note.indexOf('\n\n');
  const text = note.slice(0, end + 1);
  const [origin, size, root, ...more] = text.split('\n');
  const bytes = fromBase64(root);
  const whole = end > 0 && origin === name && /^(0|[1-9]\d{0,15})$/.test(size ?? '') && bytes?.length === 32;
  if (!whole || more.length !== 1) throw new BadLog('the checkpoint is none of this log');
  const signed = note
    .slice(end + 2)
    .split('\n')
    .some((line) => {
      const signature = line.startsWith(`— ${name} `) ? fromBase64(line.slice(name.length + 3)) : null;
      return (
        signature?.length === 68 &&
        equal(signature.subarray(0, 4), id) &&
        verifyEd25519(publicKey, utf8(text), signature.slice(4))
      );
    });
  if (!signed) throw new BadLog('the checkpoint is not signed by the key of the log');
  return { origin: name, size: Number(size), root: bytes };
}

/** Whether the log with the newer head begins with all that the log with the older head had. */
export async function isContinued(older: Checkpoint, newer: Checkpoint, proof: readonly Bytes[]): Promise<boolean> {
  if (older.origin !== newer.origin || older.size > newer.size) return false;
  if (older.size === newer.size) return proof.length === 0 && equal(older.root, newer.root);
  if (older.size === 0) return proof.length === 0 && equal(older.root, await sha256(new Uint8Array()));
  return leadsToBoth(older, newer, proof);
}

async function leadsToBoth(older: Checkpoint, newer: Checkpoint, proof: readonly Bytes[]): Promise<boolean> {
  // A power of two is its own first node.
  const isPerfect = Number.isInteger(Math.log2(older.size));
  const [first, ...rest] = isPerfect ? [older.root, ...proof] : proof;
  if (!first) return false;
  // Sizes are below 2^53, which shifts of numbers are not: division by two takes their place.
  let position = older.size - 1;
  let last = newer.size - 1;
  const up = () => {
    position = Math.floor(position / 2);
    last = Math.floor(last / 2);
  };
  while (position % 2 === 1) up();
  let [old, now] = [first, first];
  for (const hash of rest) {
    if (last === 0) return false;
    if (position % 2 === 1 || position === last) {
      [old, now] = [await node(hash, old), await node(hash, now)];
      while (position % 2 === 0 && position !== 0) up();
    } else {
      now = await node(now, hash);
    }
    up();
  }
  return last === 0 && equal(old, older.root) && equal(now, newer.root);
}

function node(left: Bytes, right: Bytes): Promise<Bytes> {
  return sha256(concat(Uint8Array.of(1), left, right));
}

async function sha256(bytes: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
}
