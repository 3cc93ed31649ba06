// What this page knows about the appliance, and whether it may be spoken to. The channel gets its key only from here.

import type { Trust } from '../channel/channel';
import type { Bytes } from '@cloister/verifier/bytes';
import { type AttestationResult, type Verification, appraise } from '@cloister/verifier';
import { type Backwards, compareStates } from './anchor';
import { fetchAndVerify } from './evidence';
import { forgetSeen, rememberState, seenStates } from './seen';

/** The page does not speak to this appliance: its evidence was refused, or not accepted by the person. */
export class NotTrusted extends Error {
  override readonly name = 'NotTrusted';

  constructor() {
    super('The appliance did not pass verification. Nothing was sent.');
  }
}

/** Evidence is renewed this long before it, or the statement in it, runs out, milliseconds. */
const RENEW_BEFORE_MS = 60_000;

const ACCEPTED = 'cloister.development-accepted';

/** The appliance behind this page's origin. */
export class Appliance implements Trust {
  #verification: Verification | null = null;
  #result: AttestationResult | null = null;
  #backwards: Backwards = null;
  #acceptedFor: string | null = readAcceptance();
  readonly #onChange: () => void;

  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  /** The latest result, if there was one. */
  get result(): AttestationResult | null {
    return this.#result;
  }

  /** Whether private data may go to it. */
  get trusted(): boolean {
    return this.#result !== null && this.#result.verdict !== 'rejected' && this.#backwards === null;
  }

  /** What shows that the state of the appliance went backwards. */
  get backwards(): Backwards {
    return this.#backwards;
  }

  /** Fetches fresh evidence, verifies it and judges it. */
  async verify(): Promise<void> {
    // What was seen is read first: evidence that is made after that cannot be older, however many pages are open.
    const seen = await seenStates();
    this.#verification = await fetchAndVerify();
    const claims = this.#verification.claims;
    if (claims) {
      this.#backwards = compareStates(seen.get(claims.opaquePk) ?? null, claims.state);
      if (this.#backwards === null) await rememberState(claims.opaquePk, claims.state);
    }
    this.#appraise();
  }

  /** Something that only a session can see, the audit log, shows that the state went backwards. */
  distrust(backwards: string): void {
    this.#backwards = backwards;
    this.#onChange();
  }

  /** The person on this page knows why the state went backwards, and begins anew from the state of now. */
  async acceptBackwards(): Promise<void> {
    const claims = this.#verification?.claims;
    if (!claims) return;
    await forgetSeen(claims.opaquePk);
    this.#backwards = null;
    await this.verify();
  }

  /** The person on this page accepts, for this browsing session, that the appliance is not confidential. */
  acceptDevelopment(): void {
    const claims = this.#result?.claims;
    if (!claims || claims.hardware) return;
    this.#acceptedFor = claims.opaquePk;
    try {
      sessionStorage.setItem(ACCEPTED, claims.opaquePk);
    } catch {
      // Storage is blocked: the acceptance lasts until the page is left.
    }
    this.#appraise();
  }

  /** The acceptance is for one appliance, which its OPAQUE key names, and not for whatever stands in its place later. */
  #appraise(): void {
    if (!this.#verification) return;
    const allowed = this.#acceptedFor !== null && this.#acceptedFor === this.#verification.claims?.opaquePk;
    this.#result = appraise(this.#verification, allowed ? 'allow' : 'refuse', Date.now());
    this.#onChange();
  }

  /** The attested OPAQUE key, hex. */
  get opaquePk(): string {
    const claims = this.#result?.claims;
    if (!claims || !this.trusted) throw new NotTrusted();
    return claims.opaquePk;
  }

  async key(): Promise<Bytes> {
    const claims = this.#result?.claims;
    if (claims && Date.now() > claims.validUntilMs - RENEW_BEFORE_MS) return this.renew();
    return this.#trustedKey();
  }

  async renew(): Promise<Bytes> {
    const before = this.#result?.claims?.opaquePk;
    await this.verify();
    // Other keys may change; this one stays for the life of an appliance, so another one is another appliance.
    if (before !== undefined && before !== this.#result?.claims?.opaquePk) throw new NotTrusted();
    return this.#trustedKey();
  }

  #trustedKey(): Bytes {
    const key = this.#result?.claims?.hpkeKeys[0];
    if (!key || !this.trusted) throw new NotTrusted();
    return key;
  }
}

function readAcceptance(): string | null {
  try {
    return sessionStorage.getItem(ACCEPTED);
  } catch {
    return null;
  }
}
