// Verifies what a confidential machine says about itself: SEV-SNP reports, TDX quotes, and the documents of Cloister that
// hold them. No network, no clock, no framework: time, roots, nonce and policy are arguments, and everything that is
// refused is refused by a value that says why. Two steps, kept apart:
//
// 1. `verifySnp`, `verifyTdx`, `verify`: is it true? Their `Verified` results cannot be made in any other way.
// 2. `judgeSnp`, `judgeTdx`, `appraise`: is it wanted?

export type { Check, Conclusion, Outcome, Planned, Refusal, Stage, Verified } from './checks';
export type { Judgement } from './policy';
export type { Reason, SnpReason, TdxReason } from './reasons';
export {
  type Product,
  type SnpRoots,
  type TdxRoots,
  insecureSnpRoots,
  insecureTdxRoots,
  pinnedSnpRoots,
  pinnedTdxRoots,
} from './roots';
export type { SnpChain, SnpEndorsements } from './snp/chain';
export { SNP_PLAN, type SnpClaims, type SnpEvidence, verifySnp, verifySnpChain } from './snp/verify';
export { DEFAULT_SNP_POLICY, SNP_POLICY_PLAN, type SnpPolicy, judgeSnp } from './snp/policy';
export type { TdxCollateral } from './tdx/collateral';
export type { TcbStatus } from './tdx/tcb';
export { TDX_PLAN, type TdxClaims, type TdxEvidence, verifyTdx } from './tdx/verify';
export { DEFAULT_TDX_POLICY, TDX_POLICY_PLAN, type TdxPolicy, judgeTdx } from './tdx/policy';
export {
  type Claims,
  type HardwareEvidence,
  PLANS,
  type Trust,
  type Verification,
  pinnedTrust,
  reportData,
  verify,
} from './document';
export type { Image } from './image';
export {
  type AttestationResult,
  DEFAULT_POLICIES,
  type DevelopmentTee,
  type HardwarePolicies,
  type Verdict,
  appraise,
  awaitsConsent,
} from './appraise';
