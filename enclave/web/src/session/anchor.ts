// Did the state of the appliance go backwards since this browser was here last? Two witnesses: the epoch of the attested
// statement, which nobody needs to log in for, and the organisation's audit log, which proves that it only grew. The
// epoch of a state that was put back overtakes in time; the log never does.

import type { Api } from '../api/client';
import { ProblemError } from '../channel/problem';
import { fromBase64 } from '@cloister/verifier/bytes';
import { BadLog, isContinued, openCheckpoint } from './log';
import { type SeenState, rememberLog, seenLog } from './seen';

/** What shows that the state went backwards, in words; null if nothing does. */
export type Backwards = string | null;

/** Compares the state of a statement with the one that was seen before it was asked for. */
export function compareStates(before: SeenState | null, now: SeenState): Backwards {
  if (before === null) return null;
  if (now.epoch < before.epoch) {
    return `Its state counts ${now.epoch} writes; this browser has already seen it at ${before.epoch}.`;
  }
  if (now.epoch === before.epoch && now.auditHead !== before.auditHead) {
    return `There are two different states with the count ${now.epoch}: this browser has seen another one.`;
  }
  return null;
}

/** Asks for proof that the organisation's log goes on from the head that this browser saw last, and remembers the new one. */
export async function compareLogs(api: Api, opaquePk: string, org: string): Promise<Backwards> {
  const before = await seenLog(opaquePk, org);
  try {
    const older = before && (await openCheckpoint(before.checkpoint, before.vkey));
    const { checkpoint, vkey, proof } = await api.auditConsistency(older?.size ?? 0);
    if (before && before.vkey !== vkey) return 'The audit log of the organisation has another key than it had.';
    const newer = await openCheckpoint(checkpoint, vkey);
    const hashes = (proof ?? []).map(fromBase64);
    const holds = proof !== null && hashes.every((hash) => hash?.length === 32);
    if (
      older &&
      !(
        holds &&
        (await isContinued(
          older,
          newer,
          hashes.filter((hash) => hash !== null),
        ))
      )
    ) {
      return (
        `The audit log of the organisation has ${newer.size} entries and does not continue the ${older.size} entries ` +
        'that this browser has seen.'
      );
    }
    await rememberLog(opaquePk, org, { vkey, checkpoint });
    return null;
  } catch (error) {
    if (error instanceof BadLog) return `The audit log of the organisation cannot be believed: ${error.message}.`;
    if (before && error instanceof ProblemError && error.status === 404) {
      return 'The audit log of the organisation, which this browser has seen, is gone.';
    }
    throw error;
  }
}
