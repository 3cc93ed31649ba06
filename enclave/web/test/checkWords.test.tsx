// The shield: every check of the verifier has words, and a page shows all of them.

import { renderToStaticMarkup } from 'react-dom/server';
import { describe, expect, it } from 'vitest';
import { PLANS, SNP_POLICY_PLAN, TDX_POLICY_PLAN, type Check } from '@cloister/verifier';
import { CheckList } from '../src/ui/CheckList';
import { CHECK_WORDS, STAGE_WORDS } from '../src/ui/checkWords';

const plans = [...Object.values(PLANS).flat(), ...SNP_POLICY_PLAN, ...TDX_POLICY_PLAN];

/** Those of the page's own appraisal, whose plan is not handed out. */
const APPRAISAL = [
  ...['tee', 'hardware', 'fresh', 'validity', 'commits', 'policies', 'egress', 'models'],
  ...['table', 'image'],
].map((id) => `policy.${id}`);

describe('the words of checks', () => {
  it('are there for every check', () => {
    const ids = [...plans.map(({ id }) => id), ...APPRAISAL];
    expect(ids.filter((id) => !(id in CHECK_WORDS))).toEqual([]);
  });

  it('are there for no check that is not made', () => {
    const known = new Set([...plans.map(({ id }) => id), ...APPRAISAL]);
    expect(Object.keys(CHECK_WORDS).filter((id) => !known.has(id))).toEqual([]);
  });
});

describe.each(['sev-snp', 'tdx'])('the checks of %s', (tee) => {
  const plan = PLANS[tee] ?? [];
  const checks = plan.map((planned): Check => ({ ...planned, result: 'pass', reason: 'it is so', fix: null }));

  it('are all shown, those of the processor by the question that they answer', () => {
    const html = renderToStaticMarkup(<CheckList checks={checks} />);
    for (const { id, stage } of plan) {
      expect(html).toContain(`<code class="check-id">${id}</code>`);
      if (/^(snp|tdx)\./.test(id)) expect(html).toContain(STAGE_WORDS[stage]);
    }
  });

  it('show a failure outside of what can be folded away', () => {
    const failing = checks.map((check): Check =>
      check.id.endsWith('signature') ? { ...check, result: 'fail' } : check,
    );
    const html = renderToStaticMarkup(<CheckList checks={failing} />);
    const [open] = html.split('<details');
    expect(open).toContain('Failed');
    for (const { id } of failing.filter(({ result }) => result === 'fail')) expect(open).toContain(id);
  });

  it('never show a check that was not made as passed', () => {
    const undone = checks.map((check): Check => ({ ...check, result: 'not_done' }));
    expect(renderToStaticMarkup(<CheckList checks={undone} />)).not.toContain('Passed');
  });
});
