// Appraisal: given evidence that is true, is it wanted? Judgement apart from truth, as in `cloister-policies`, with the
// same checks. The page has no pinned values of its own: whoever serves it could change them.

import { type Check, Checklist, type Planned, type Verified, optional, required } from './checks';
import type { Claims, Verification } from './document';
import { type Image, judgeImage } from './image';
import type { Judgement } from './policy';
import { DEFAULT_SNP_POLICY, type SnpPolicy, judgeSnp } from './snp/policy';
import { DEFAULT_TDX_POLICY, type TdxPolicy, judgeTdx } from './tdx/policy';

/** Whether the person on this page said that a development TEE will do. */
export type DevelopmentTee = 'refuse' | 'allow';

/** The judgement. */
export type Verdict = 'accepted' | 'accepted-development' | 'rejected';

/** The outcome: all checks, and claims only if the evidence is true. */
export interface AttestationResult {
  readonly verdict: Verdict;
  readonly checks: readonly Check[];
  readonly claims: Verified<Claims> | null;
  /** The name of the image that runs, where the policy names it. */
  readonly image: string | null;
}

/** What is wanted of the hardware, per kind: hardware of a kind without a table is not accepted. */
export interface HardwarePolicies {
  readonly snp?: SnpPolicy;
  readonly tdx?: TdxPolicy;
  /** The images that may run; without it any software is accepted, and an empty list accepts nothing. */
  readonly measurement?: readonly Image[];
}

/** What is wanted of the hardware unless a caller says otherwise. */
export const DEFAULT_POLICIES: HardwarePolicies = { snp: DEFAULT_SNP_POLICY, tdx: DEFAULT_TDX_POLICY };

/** A statement may be valid for at most this long from now: two days, as in `policies/appraisal/default.toml`. */
const MAX_VALIDITY_S = 172_800;

const PLAN: readonly Planned[] = [
  required('policy.tee', 'policy', 'run the appliance on hardware with confidential computing'),
  required('policy.hardware', 'policy', 'run the appliance in a confidential VM; without one, trust it with nothing'),
  required('policy.fresh', 'policy', 'verify again'),
  required('policy.validity', 'policy', 'let the appliance renew its statement more often'),
  optional('policy.commits', 'policy', 'pin the commit of the release that you reviewed, with cloister-verify'),
  optional('policy.policies', 'policy', 'pin the digest of the policies that you reviewed, with cloister-verify'),
  optional('policy.egress', 'policy', 'pin the digest of the egress policy that you reviewed, with cloister-verify'),
  optional('policy.models', 'policy', 'pin the digests of the models that you accept, with cloister-verify'),
];

const PINNED = ['policy.commits', 'policy.policies', 'policy.egress', 'policy.models'];

/** Judges the outcome of a verification. */
export function appraise(
  verification: Verification,
  development: DevelopmentTee,
  nowMs: number,
  policies: HardwarePolicies = DEFAULT_POLICIES,
): AttestationResult {
  const list = new Checklist(PLAN);
  const { claims } = verification;
  if (claims === null) {
    return { verdict: 'rejected', checks: [...verification.checks, ...list.checks], claims: null, image: null };
  }

  const wanted = claims.hardware || development === 'allow';
  const kind = claims.tee;
  const test = claims.evidence !== null;
  list.expect('policy.tee', wanted || test, `${kind} is accepted`, `${kind} is not accepted`);
  const protectedBy = claims.hardware ? 'memory is protected by hardware' : test ? TEST_ROOT : ALLOWED;
  const exposed = test ? 'test root: whoever holds its key can make any evidence' : EXPOSED;
  list.expect('policy.hardware', wanted, protectedBy, exposed);
  list.expect('policy.fresh', true, 'the evidence answers a random number of this page', '');
  const seconds = Math.max(0, Math.floor((claims.notAfterMs - nowMs) / 1000));
  const valid = `valid for ${seconds} s, at most ${MAX_VALIDITY_S} s are accepted`;
  list.expect('policy.validity', seconds <= MAX_VALIDITY_S, valid, valid);
  for (const id of PINNED) list.notDone(id, 'this page pins no value');

  const machine = judgeMachine(claims, policies, nowMs);
  const accepted = list.allHold && machine.accepted;
  const verdict = !accepted ? 'rejected' : claims.hardware ? 'accepted' : 'accepted-development';
  const checks = [...verification.checks, ...list.checks, ...machine.checks];
  return { verdict, checks, claims, image: machine.image };
}

/** Judges the hardware; where there is none, there is nothing to say against it. */
function judgeMachine(
  { evidence }: Claims,
  { snp, tdx, measurement }: HardwarePolicies,
  nowMs: number,
): Pick<Judgement, 'accepted' | 'checks'> & { image: string | null } {
  if (evidence === null) return { accepted: true, checks: [], image: null };
  const table = evidence.tee === 'sev-snp' ? snp : tdx;
  const { list, image } = judgeImage(evidence, table, measurement, nowMs);
  if (table === undefined) return { accepted: false, checks: list.checks, image };
  const judged = evidence.tee === 'sev-snp' ? judgeSnp(evidence, table) : judgeTdx(evidence, table);
  return { accepted: list.allHold && judged.accepted, checks: [...list.checks, ...judged.checks], image };
}

/** Whether nothing but the person's word is missing: true evidence of a development TEE. */
export function awaitsConsent(result: AttestationResult): boolean {
  if (result.verdict !== 'rejected' || result.claims === null || result.claims.hardware) return false;
  const failed = result.checks.filter((check) => check.result === 'fail').map((check) => check.id);
  return failed.every((id) => id === 'policy.tee' || id === 'policy.hardware');
}

const EXPOSED = 'whoever runs the machine can read everything';
const TEST_ROOT = 'TEST ROOT, NOT CONFIDENTIAL: not AMD’s or Intel’s, allowed by you';
const ALLOWED = 'DEVELOPMENT, NOT CONFIDENTIAL: no hardware, allowed by you';
