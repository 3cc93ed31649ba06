// What a browser that was here before makes of an appliance whose disk was put back to an older state.
//
//   node tests/js/rollback.mjs --url https://localhost:8443 --profile FOLDER --step STEP [--enrolment-code CODE]
//                              [--chromium /usr/bin/chromium] [--screenshots target/screenshots]
//
// One step a call, all with one profile: `enrol`, `return`, then `backwards` after an older disk was put in place, and
// `forked` after the older state has overtaken the one that was seen. Output: TAP, then `N passed, N failed, N skipped`.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';
import { returningVisit } from '../browser/browser.mjs';
import { Tap } from './lib/tap.mjs';

const { values } = parseArgs({
  options: {
    url: { type: 'string' },
    profile: { type: 'string' },
    step: { type: 'string' },
    'enrolment-code': { type: 'string', default: '' },
    chromium: { type: 'string', default: '/usr/bin/chromium' },
    screenshots: { type: 'string', default: new URL('../../target/screenshots', import.meta.url).pathname },
  },
});
const WENT_BACKWARDS = 'The appliance’s state went backwards';

const STEPS = {
  async enrol(visit) {
    await visit.enrol(values['enrolment-code'], 'Ada', 'four swans on the lake');
  },

  async return(visit) {
    await visit.acceptDevelopment(values.url);
    await visit.button('Log out').waitFor();
  },

  async backwards(visit) {
    await visit.page.goto(values.url);
    await visit.heading(WENT_BACKWARDS).waitFor();
    await visit.page.getByText(/this browser has already seen it at \d+/).waitFor();
    await visit.accessible('a state that went backwards');
    await visit.shot('state-went-backwards');
    await visit.button('Verify again').click();
    await visit.heading(WENT_BACKWARDS).waitFor();
    assert.equal(await visit.page.getByRole('textbox').count(), 0, 'there is nothing to type into');
    assert.deepEqual(visit.posts, [], 'nothing was sent');
  },

  async forked(visit) {
    await visit.acceptDevelopment(values.url);
    await visit.heading(WENT_BACKWARDS).waitFor();
    await visit.page.getByText(/does not continue the \d+ entries/).waitFor();
    await visit.button('Verify again').click();
    await visit.page.getByText(/does not continue the \d+ entries/).waitFor();
    // Who was told why goes on, by keyboard alone, and is not asked again.
    await visit.tabTo('button', 'Verify again');
    await visit.page.keyboard.press('Tab');
    await visit.page.keyboard.press('Enter');
    await visit.tabTo('checkbox', /I was told why/);
    await visit.page.keyboard.press('Space');
    await visit.tabTo('button', 'Go on from this state');
    await visit.page.keyboard.press('Enter');
    await visit.button('Log out').waitFor();
    await visit.page.reload();
    await visit.button('Log out').waitFor();
  },
};

const run = values.step && Object.hasOwn(STEPS, values.step) ? STEPS[values.step] : null;
if (!values.url || !values.profile || !run) {
  console.log('usage: rollback.mjs --url URL --profile FOLDER --step enrol|return|backwards|forked [--enrolment-code CODE]');
  process.exit(2);
}
const require = createRequire(import.meta.url);
const tap = new Tap();
const visit = await returningVisit(values.profile, {
  url: values.url,
  chromium: require('playwright-core').chromium,
  executablePath: values.chromium,
  axe: require('axe-core').source,
  screenshots: values.screenshots,
});
try {
  await tap.test(`page: ${values.step}`, async () => {
    await run(visit);
    visit.silent();
  });
} finally {
  await visit.context.close();
}
process.exitCode = tap.finish();
