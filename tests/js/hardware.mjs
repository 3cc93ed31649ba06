// What browsers make of an appliance on emulated hardware, whose root no product build trusts: the shipped page refuses
// to send anything, and the verifier package believes the very document that the appliance serves as soon as its caller
// hands it the root, in Node and in Chromium alike.
//
//   node tests/js/hardware.mjs --url https://localhost:8443 --root root.der [--collateral collateral.json]
//                              [--package FILE] [--chromium /usr/bin/chromium] [--screenshots target/screenshots]
//
// `--collateral` is put into the document before the package sees it, where the appliance gathers none by itself. Output:
// TAP, then `N passed, N failed, N skipped`; exit code 0 only if none failed.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { Browser } from '../browser/browser.mjs';
import { Tap } from './lib/tap.mjs';

const here = (path) => new URL(path, import.meta.url).pathname;
const { values } = parseArgs({
  options: {
    url: { type: 'string' },
    root: { type: 'string' },
    collateral: { type: 'string' },
    package: { type: 'string', default: here('../../enclave/web/verifier/dist/cloister-verifier.js') },
    chromium: { type: 'string', default: '/usr/bin/chromium' },
    screenshots: { type: 'string', default: here('../../target/screenshots') },
  },
});
if (!values.url || !values.root) {
  console.log('usage: hardware.mjs --url URL --root FILE [--collateral FILE] [--package FILE] [--chromium PATH]');
  process.exit(2);
}

// The certificate is self-signed; trust comes from the evidence. Node warns about it once.
process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
process.removeAllListeners('warning');

const PATH = '/.well-known/cloister/attestation';
const url = values.url.replace(/\/$/, '');
const code = readFileSync(values.package);
const require = createRequire(import.meta.url);
const nonce = randomBytes(32);
const document = await served();
const tee = document.evidence.tee;
/** Where the chain of trust breaks for whoever knows the roots of AMD and Intel alone. */
const ROOT_CHECK = { 'sev-snp': 'snp.chain.ark', tdx: 'tdx.chain.root' }[tee];
const question = {
  document: JSON.stringify(document),
  nonce: [...nonce],
  root: [...readFileSync(values.root)],
  tee,
  now: Date.now(),
};

const tap = new Tap();
const browser = await Browser.start({
  url,
  chromium: require('playwright-core').chromium,
  executablePath: values.chromium,
  axe: require('axe-core').source,
  screenshots: values.screenshots,
});
try {
  await tap.test(`page: evidence of ${tee} under a root that nobody pins is refused in words, and nothing is sent`, refused);
  await tap.test(`package: Node accepts the served ${tee} document under the root that it is handed, and no other`, inNode);
  await tap.test(`package: so does Chromium`, inChromium);
} finally {
  await browser.stop();
}
process.exitCode = tap.finish();

/** A document of the appliance, with what it lacks. */
async function served() {
  const response = await fetch(`${url}${PATH}?nonce=${nonce.toString('hex')}`);
  assert.equal(response.status, 200);
  const document = await response.json();
  if (values.collateral) document.collateral = JSON.parse(readFileSync(values.collateral, 'utf8'));
  return document;
}

async function refused() {
  const visit = await browser.visit();
  try {
    // With an enrolment code in the address, which a page that trusts would send.
    await visit.page.goto(`${url}/#enrol=AAAAAAAAAAAAAAAAAAAAAA`);
    for (const again of [false, true]) {
      if (again) await visit.button('Verify again').click();
      await visit.heading('Not verified, so nothing is sent').waitFor();
      assert.equal(await visit.page.getByRole('textbox').count(), 0, 'there is nothing to type into');
      assert.equal(await visit.page.getByRole('checkbox').count(), 0, 'nor to agree to');
      assert.equal(await visit.page.getByText('Failed', { exact: true }).count(), 1);
      const failed = visit.page.getByRole('listitem').filter({ hasText: 'Failed' });
      assert.equal(await failed.locator('code').textContent(), ROOT_CHECK);
      assert.match(await failed.textContent(), /The chain begins at (AMD|Intel)’s own root/);
      assert.match(await failed.textContent(), /do not use this appliance/i, 'and what to do');
    }
    for (const request of visit.requests) {
      assert.equal(request.method(), 'GET', request.url());
      assert.ok(request.url().startsWith(url), 'nobody else is asked');
      assert.ok(!request.url().split('#')[0].includes('AAAA'), 'the code stays here');
    }
    assert.equal(visit.requests.filter((request) => request.url().includes(PATH)).length, 2);
    await visit.accessible(`refused: ${tee}`);
    visit.silent();
    await visit.shot(`refused-${tee}-test-root`);
  } finally {
    await visit.context.close();
  }
}

async function inNode() {
  verdictsAreRight(await verdicts({ ...question, module: pathToFileURL(values.package).href }));
}

async function inChromium() {
  // Only a secure context has WebCrypto; localhost is one.
  const server = createServer((request, response) => {
    const script = request.url === '/verifier.js';
    response.setHeader('content-type', script ? 'text/javascript' : 'text/html');
    response.end(script ? code : '<!doctype html><title>verifier</title>');
  });
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  const visit = await browser.visit();
  try {
    await visit.page.goto(`http://localhost:${server.address().port}`);
    verdictsAreRight(await visit.page.evaluate(verdicts, { ...question, module: '/verifier.js' }));
  } finally {
    await visit.context.close();
    server.close();
  }
}

function verdictsAreRight({ told, pinned, altered, other }) {
  assert.deepEqual(told.failed, []);
  assert.deepEqual(told.notDone.filter((id) => id !== 'snp.crl'), ['channel.match']);
  assert.equal(told.hardware, false, 'a root that was handed in makes no hardware');
  assert.deepEqual(told.refused, { verdict: 'rejected', failed: ['policy.hardware'] });
  assert.deepEqual(told.allowed, { verdict: 'accepted-development', failed: [] });
  assert.match(told.words, /^TEST ROOT, NOT CONFIDENTIAL/);
  assert.deepEqual(pinned, [ROOT_CHECK]);
  assert.deepEqual(altered, ['statement.report_data']);
  assert.deepEqual(other, ['nonce.match']);
}

/** Runs in Node and in the page. */
async function verdicts({ module, document, nonce, root, tee, now }) {
  const verifier = await import(module);
  const bytes = (text) => new TextEncoder().encode(text);
  const ids = (checks, result) => checks.filter((check) => check.result === result).map((check) => check.id);
  const der = new Uint8Array(root);
  const injected = tee === 'tdx' ? { tdx: verifier.insecureTdxRoots(der) } : { snp: verifier.insecureSnpRoots(der) };
  const trust = { ...verifier.pinnedTrust(), ...injected };
  const ask = (text, asked = nonce, roots = trust) => verifier.verify(bytes(text), new Uint8Array(asked), now, roots);

  const verification = await ask(document);
  const judged = (consent) => {
    const { verdict, checks } = verifier.appraise(verification, consent, now);
    return { verdict, failed: ids(checks, 'fail') };
  };
  const { checks } = verifier.appraise(verification, 'allow', now);
  const altered = JSON.parse(document);
  altered.statement.hpke_keys = ['ab'.repeat(32)];
  return {
    told: {
      failed: ids(verification.checks, 'fail'),
      notDone: ids(verification.checks, 'not_done'),
      hardware: verification.claims?.hardware ?? null,
      refused: judged('refuse'),
      allowed: judged('allow'),
      words: checks.find(({ id }) => id === 'policy.hardware')?.reason,
    },
    pinned: ids((await ask(document, nonce, verifier.pinnedTrust())).checks, 'fail'),
    altered: ids((await ask(JSON.stringify(altered))).checks, 'fail'),
    other: ids((await ask(document, nonce.map((byte) => byte ^ 1))).checks, 'fail'),
  };
}
