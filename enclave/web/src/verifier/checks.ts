// What a verifier reports: every check by a stable id, whether it passed, failed or was not done, and why. A report
// lists all checks of its plan; what a failure kept from being looked at is not done, and not done is never a pass.

/** How a check came out. */
export type Outcome = 'pass' | 'fail' | 'not_done';

/** One line of a verdict, as `cloister-verify` prints it. */
export interface Check {
  /** Stable: `statement.report_data`. */
  readonly id: string;
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
  readonly required: boolean;
  /** What to do when it does not pass. */
  readonly fix: string;
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

  #set(id: string, result: Outcome, reason: string): void {
    const planned = this.#checks.get(id);
    if (!planned) throw new Error(`the check ${id} is not planned`);
    this.#checks.set(id, { ...planned, result, reason, fix: result === 'pass' ? null : planned.fix });
  }
}
