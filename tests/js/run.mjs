// Runs the unmodified npm clients and the page in Chromium against a running enclave.
//
//   node tests/js/run.mjs --url https://localhost:8443 --enrolment-code CODE [--only interop|browser] [--test NAME]
//                         [--chromium /usr/bin/chromium] [--screenshots target/screenshots]
//
// The enrolment code is that of the first owner, unused. Output: TAP, then `N passed, N failed, N skipped`; exit code 0
// only if none failed.

import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';
import { answers } from './interop/answers.mjs';
import { ehbp } from './interop/ehbp.mjs';
import { login } from './interop/login.mjs';
import { openai } from './interop/openai.mjs';
import { attestedStatement } from './lib/evidence.mjs';
import { Tap } from './lib/tap.mjs';
import { page } from '../browser/page.mjs';

const { values } = parseArgs({
  options: {
    url: { type: 'string', default: process.env.CLOISTER_URL },
    'enrolment-code': { type: 'string', default: process.env.CLOISTER_ENROLMENT_CODE },
    only: { type: 'string' },
    test: { type: 'string' },
    chromium: { type: 'string', default: '/usr/bin/chromium' },
    screenshots: { type: 'string', default: new URL('../../target/screenshots', import.meta.url).pathname },
    help: { type: 'boolean', short: 'h' },
  },
});
if (values.help || !values.url || !values['enrolment-code']) {
  console.log('usage: run.mjs --url URL --enrolment-code CODE [--only interop|browser] [--test NAME] [--chromium PATH]');
  process.exit(values.help ? 0 : 2);
}

// The certificate is self-signed; trust comes from the evidence, which each client checks. Node warns about it once.
process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
process.removeAllListeners('warning');

const url = values.url.replace(/\/$/, '');
const tap = new Tap(values.test);
const statement = await tap.test('evidence: fresh, signed, and about this statement', () => attestedStatement(url));
const session = statement && (await login(tap, url, statement, values['enrolment-code']));
if (session && values.only !== 'browser') {
  const { key, assistant } = await answers(tap, session);
  if (key && assistant) {
    await openai(tap, url, key, assistant);
    await ehbp(tap, url, statement, key, assistant);
  }
}
if (session && values.only !== 'interop') {
  const require = createRequire(import.meta.url);
  await page(tap, {
    url,
    // A code for one more owner, made by the first.
    enrolmentCode: async (role) => (await session.call('/api/v1/enrolments', { role })).code,
    chromium: require('playwright-core').chromium,
    executablePath: values.chromium,
    axe: require('axe-core').source,
    screenshots: values.screenshots,
  });
}
process.exitCode = tap.finish();
