// What a verifier reports: every check by a stable id, whether it passed, failed or was not done, and why. A report
// lists all checks of its plan; what a failure kept from being looked at is not done, and not done is never a pass.

import type { Reason } from './reasons';

/** How a check came out. */
export type Outcome = 'pass' | 'fail' | 'not_done';

/** The part of the trust path that a check belongs to: the document's first, then those of hardware evidence. */
export type Stage =
  | 'format'
  | 'channel'
  | 'evidence'
  | 'statement'
  | 'parse'
  | 'chain'
  | 'signature'
  | 'collateral'
  | 'tcb'
  | 'binding'
  | 'policy';

/** One line of a verdict, as `cloister-verify` prints it. */
export interface Check {
  /** Stable: `statement.report_data`. */
  readonly id: string;
  readonly stage: Stage;
  readonly result: Outcome;
  /** Whether acceptance needs this check to pass. */
  readonly required: boolean;
  /** What was found, in a sentence. */
  readonly reason: string;
  /** What to do about it; null where there is nothing to do. */
  readonly fix: string | null;
}

/** A check as a procedure announces it, before it is made. */
export interface Planned {
  readonly id: string;
  readonly stage: Stage;
  readonly required: boolean;
  /** What to do when it does not pass. */
  readonly fix: string;
}

/** Why a procedure ended without its result. */
export interface Refusal {
  readonly code: Reason;
  readonly stage: Stage;
  /** The id of the check that failed. */
  readonly check: string;
  readonly reason: string;
}

/** A check that must pass. */
export function required(id: string, stage: Stage, fix: string): Planned {
  return { id, stage, required: true, fix };
}

/** A check that says more when it is made but may be left out. */
export function optional(id: string, stage: Stage, fix: string): Planned {
  return { id, stage, required: false, fix };
}

/** Ends a procedure. Never leaves this package: `concluded` turns it into a value. */
export class Stop extends Error {
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super(refusal.reason);
    this.refusal = refusal;
  }
}

/** Collects the outcomes of a procedure against its plan. */
export class Checklist {
  readonly #checks: Map<string, Check>;

  constructor(plan: readonly Planned[]) {
    const reason = 'not reached: an earlier check failed';
    this.#checks = new Map(plan.map((planned) => [planned.id, { ...planned, result: 'not_done', reason }]));
  }

  /** Records a check that was made. Returns whether it held, so that callers can stop. */
  expect(id: string, holds: boolean, passed: string, failed: string): boolean {
    this.#set(id, holds ? 'pass' : 'fail', holds ? passed : failed);
    return holds;
  }

  /** A condition of a check, of which there may be several: ends the procedure where it does not hold. */
  demand(id: string, holds: boolean, code: Reason, failed: string): asserts holds {
    if (!holds) this.refuse(id, code, failed);
  }

  /** Ends the procedure with a failed check. */
  refuse(id: string, code: Reason, reason: string): never {
    this.#set(id, 'fail', reason);
    throw new Stop({ code, stage: this.#get(id).stage, check: id, reason });
  }

  /** Records that a check passed: all its conditions held. */
  pass(id: string, reason: string): void {
    this.#set(id, 'pass', reason);
  }

  /** Records why a check was not made. */
  notDone(id: string, reason: string): void {
    this.#set(id, 'not_done', reason);
  }

  /** The checks, in the order of the plan. */
  get checks(): Check[] {
    return [...this.#checks.values()];
  }

  /** True if every required check passed and none failed. */
  get allHold(): boolean {
    return this.checks.every(({ result, required }) => result === 'pass' || (result === 'not_done' && !required));
  }

  #get(id: string): Check {
    const check = this.#checks.get(id);
    if (!check) throw new Error(`the check ${id} is not planned`);
    return check;
  }

  #set(id: string, result: Outcome, reason: string): void {
    const planned = this.#get(id);
    this.#checks.set(id, { ...planned, result, reason, fix: result === 'pass' ? null : planned.fix });
  }
}

declare const verified: unique symbol;

/** A value that its procedure found to be true. Nothing outside this package can make one. */
export type Verified<T> = T & { readonly [verified]: true };

/** The end of a procedure: something verified, or a refusal; in both cases with every check of the plan. */
export type Conclusion<T> =
  | { readonly verified: Verified<T>; readonly refusal: null; readonly checks: readonly Check[] }
  | { readonly verified: null; readonly refusal: Refusal; readonly checks: readonly Check[] };

/** Runs a procedure to its conclusion: the one place where something becomes verified. */
export async function concluded<T>(
  plan: readonly Planned[],
  steps: (list: Checklist) => Promise<T>,
): Promise<Conclusion<T>> {
  const list = new Checklist(plan);
  try {
    const claims = await steps(list);
    if (!list.allHold) throw new Error('a procedure ended with a required check that was not made');
    return { verified: claims as Verified<T>, refusal: null, checks: list.checks };
  } catch (error) {
    if (error instanceof Stop) return { verified: null, refusal: error.refusal, checks: list.checks };
    throw error;
  }
}
