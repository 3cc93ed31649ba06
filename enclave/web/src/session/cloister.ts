// The state of the page, from opening to the workspace, in one place and without a framework.

import { Api } from '../api/client';
import type { Me } from '../api/types';
import { Channel } from '../channel/channel';
import { ProblemError } from '../channel/problem';
import { type AttestationResult, awaitsConsent } from '@cloister/verifier';
import { compareLogs } from './anchor';
import { Appliance, NotTrusted } from './appliance';
import { forgetSession, keepSession, restoreSession } from './keep';
import { enrol, logIn } from './opaque';

/** Where the page is. */
export type Phase =
  | { name: 'verifying' }
  /** No evidence could be fetched. */
  | { name: 'unreachable'; message: string }
  /** The evidence is false or not acceptable: nothing is sent. */
  | { name: 'refused' }
  /** The evidence is true, but this browser has seen a later state: nothing is sent. */
  | { name: 'backwards'; what: string }
  /** The evidence is true but of a development TEE: the person has to decide. */
  | { name: 'development' }
  | { name: 'signed-out'; notice: string | null }
  | { name: 'signed-in'; api: Api; me: Me };

/** What components see; a new object on each change. */
export interface Snapshot {
  readonly phase: Phase;
  readonly result: AttestationResult | null;
  /** When the evidence was last verified, Unix milliseconds. */
  readonly verifiedMs: number | null;
}

/** The page's state machine. */
export class Cloister {
  #snapshot: Snapshot = { phase: { name: 'verifying' }, result: null, verifiedMs: null };
  readonly #listeners = new Set<() => void>();
  readonly #appliance = new Appliance(() => this.#onEvidence());
  readonly #channel = new Channel(this.#appliance);

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly snapshot = (): Snapshot => this.#snapshot;

  /** Verifies the appliance, and goes on to the kept session if there is one. */
  async start(): Promise<void> {
    this.#go({ name: 'verifying' });
    try {
      await this.#appliance.verify();
    } catch (error) {
      this.#go({ name: 'unreachable', message: error instanceof Error ? error.message : 'No answer.' });
      return;
    }
    await this.#proceed();
  }

  /** Fetches fresh evidence once more, from the shield. */
  async verifyAgain(): Promise<void> {
    await this.#appliance.verify();
  }

  /** The person accepts a development TEE. */
  async acceptDevelopment(): Promise<void> {
    this.#appliance.acceptDevelopment();
    await this.#proceed();
  }

  /** Registers by an enrolment code, which is used up by it. */
  enrol(code: string, login: string, password: string): Promise<void> {
    return enrol(this.#channel, this.#appliance.opaquePk, code, login, password);
  }

  /** Logs in and opens the workspace. */
  async logIn(login: string, password: string): Promise<void> {
    const opaquePk = this.#appliance.opaquePk;
    const session = await logIn(this.#channel, opaquePk, login, password);
    await keepSession({ session: session.session, key: session.key, who: session.who, login, opaquePk });
    await this.#enter(new Api(this.#channel, session));
  }

  /** The person knows why the state went backwards, a restored backup for one, and goes on from the state of now. */
  async acceptBackwards(): Promise<void> {
    await this.#appliance.acceptBackwards();
    await this.#proceed();
  }

  /** Ends the session on the server and here; here in any case. */
  async logOut(): Promise<void> {
    const phase = this.#snapshot.phase;
    if (phase.name === 'signed-in') await phase.api.logout().catch(() => {});
    await this.endSession(null);
  }

  /** Forgets the session, with a word to the person why. */
  async endSession(notice: string | null): Promise<void> {
    await forgetSession();
    this.#go({ name: 'signed-out', notice });
  }

  /** Looks at an error of any request: a session that ended, or trust that was lost, changes the page. */
  heed(error: unknown): void {
    if (this.#snapshot.phase.name !== 'signed-in') return;
    if (error instanceof ProblemError && error.status === 401)
      void this.endSession('Your session has ended. Log in again.');
    if (error instanceof NotTrusted) this.#go(this.#mistrust());
  }

  #mistrust(): Phase {
    const what = this.#appliance.backwards;
    return what === null ? { name: 'refused' } : { name: 'backwards', what };
  }

  /** Opens the workspace, unless the organisation's audit log shows that the state went backwards. */
  async #enter(api: Api): Promise<void> {
    const me = await api.me();
    const backwards = await compareLogs(api, this.#appliance.opaquePk, me.org_id);
    if (backwards === null) return this.#go({ name: 'signed-in', api, me });
    this.#appliance.distrust(backwards);
    this.#go(this.#mistrust());
  }

  async #proceed(): Promise<void> {
    const result = this.#appliance.result;
    if (!result?.claims || !this.#appliance.trusted) {
      const consent = result && awaitsConsent(result) && this.#appliance.backwards === null;
      return this.#go(consent ? { name: 'development' } : this.#mistrust());
    }
    const kept = await restoreSession(result.claims.opaquePk, Date.now());
    if (!kept) return this.#go({ name: 'signed-out', notice: null });
    const api = new Api(this.#channel, kept);
    try {
      await this.#enter(api);
    } catch (error) {
      if (error instanceof ProblemError && error.status === 401)
        await this.endSession('Your session has ended. Log in again.');
      else this.#go({ name: 'unreachable', message: error instanceof Error ? error.message : 'No answer.' });
    }
  }

  #onEvidence(): void {
    const result = this.#appliance.result;
    const lost = this.#snapshot.phase.name === 'signed-in' && !this.#appliance.trusted;
    const phase = lost ? this.#mistrust() : this.#snapshot.phase;
    this.#set({ phase, result, verifiedMs: Date.now() });
  }

  #go(phase: Phase): void {
    this.#set({ ...this.#snapshot, phase });
  }

  #set(snapshot: Snapshot): void {
    this.#snapshot = snapshot;
    for (const listener of this.#listeners) listener();
  }
}
