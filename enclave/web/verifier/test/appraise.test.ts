// Appraisal: true evidence of a development TEE is rejected until the person says otherwise, and stays marked.

import { describe, expect, it } from 'vitest';
import { type Claims, type Verification, type Verified, appraise, awaitsConsent } from '../src';

const NOW = 1_790_000_000_000;

function verification(hardware: boolean, notAfterMs = NOW + 60_000): Verification {
  const claims = { hardware, tee: hardware ? 'sev-snp' : 'development', notAfterMs, evidence: null } as Claims;
  return { checks: [], claims: claims as Verified<Claims> };
}

const failed = (result: ReturnType<typeof appraise>) =>
  result.checks.filter(({ result }) => result === 'fail').map(({ id }) => id);

describe('appraisal', () => {
  it('rejects a development TEE that nobody allowed', () => {
    const result = appraise(verification(false), 'refuse', NOW);
    expect(result.verdict).toBe('rejected');
    expect(failed(result)).toEqual(['policy.tee', 'policy.hardware']);
    expect(awaitsConsent(result)).toBe(true);
  });

  it('marks a development TEE that was allowed', () => {
    const result = appraise(verification(false), 'allow', NOW);
    expect(result.verdict).toBe('accepted-development');
    expect(result.checks.find(({ id }) => id === 'policy.hardware')?.reason).toMatch(/^DEVELOPMENT, NOT CONFIDENTIAL/);
    expect(awaitsConsent(result)).toBe(false);
  });

  it('accepts hardware without a question', () => {
    expect(appraise(verification(true), 'refuse', NOW).verdict).toBe('accepted');
  });

  it('never offers consent for evidence that is false, nor for a statement that lasts too long', () => {
    expect(awaitsConsent(appraise({ checks: [], claims: null }, 'refuse', NOW))).toBe(false);
    expect(appraise({ checks: [], claims: null }, 'allow', NOW).verdict).toBe('rejected');
    const long = appraise(verification(false, NOW + 3 * 86_400_000), 'allow', NOW);
    expect(failed(long)).toEqual(['policy.validity']);
    expect(awaitsConsent(appraise(verification(false, NOW + 3 * 86_400_000), 'refuse', NOW))).toBe(false);
  });

  it('calls nothing passed that it has no value for', () => {
    const result = appraise(verification(true), 'refuse', NOW);
    for (const id of ['policy.commits', 'policy.policies', 'policy.egress', 'policy.models']) {
      expect(result.checks.find((check) => check.id === id)?.result).toBe('not_done');
    }
  });
});
