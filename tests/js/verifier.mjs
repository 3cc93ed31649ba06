// Runs every SNP and TDX case of the published vectors in a real Chromium, with the built browser package, and measures
// how long one verification takes there.
//
//   node tests/js/verifier.mjs [--vectors DIR] [--package FILE] [--chromium /usr/bin/chromium] [--json]
//
// DIR holds `attestation/`; without it, CLOISTER_VECTORS says where. Output: one line per wrong verdict, the times, then
// `N passed, M failed`; exit code 0 only if none failed. With --json: one object.

import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('../..', import.meta.url));
const { values } = parseArgs({
  options: {
    vectors: { type: 'string', default: process.env.CLOISTER_VECTORS ?? join(root, '../shared/vectors') },
    package: { type: 'string', default: join(root, 'enclave/web/verifier/dist/cloister-verifier.js') },
    chromium: { type: 'string', default: '/usr/bin/chromium' },
    json: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  },
});
if (values.help) {
  console.log('usage: verifier.mjs [--vectors DIR] [--package FILE] [--chromium PATH] [--json]');
  process.exit(0);
}

const folder = join(values.vectors, 'attestation');
const code = readFileSync(values.package);
const manifest = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8'));
const cases = manifest.cases
  .filter(({ tee }) => tee === 'snp' || tee === 'tdx')
  .map((each) => {
    const read = (name) => [name, readFileSync(join(folder, each.dir, name)).toString('base64')];
    return { ...each, files: Object.fromEntries(Object.keys(each.files).map(read)) };
  });

// Only a secure context has WebCrypto; localhost is one.
const server = createServer((request, response) => {
  const script = request.url === '/cloister-verifier.js';
  response.setHeader('content-type', script ? 'text/javascript' : 'text/html');
  response.end(script ? code : '<!doctype html><title>verifier</title>');
});
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const origin = `http://localhost:${server.address().port}`;

const { chromium } = createRequire(import.meta.url)('playwright-core');
const browser = await chromium.launch({ executablePath: values.chromium, args: ['--no-sandbox', '--disable-gpu'] });
const page = await browser.newPage();
const requests = [];
page.on('request', (request) => requests.push(request.url()));
await page.goto(origin);
const { outcomes, times } = await page.evaluate(inBrowser, cases);
const version = browser.version();
await browser.close();
server.close();

const asked = requests.filter((url) => ![`${origin}/`, `${origin}/cloister-verifier.js`, `${origin}/favicon.ico`].includes(url));
const wrong = outcomes.filter(({ problem }) => problem !== null);
const passed = outcomes.length - wrong.length;
const failed = wrong.length + asked.length;
if (values.json) {
  console.log(JSON.stringify({ chromium: version, passed, failed, times_ms: times }));
} else {
  for (const { id, problem } of wrong) console.log(`${id}: ${problem}`);
  for (const url of asked) console.log(`the verifier asked for ${url}`);
  const spell = ([what, { median, max }]) => `${what}: median ${median} ms, longest ${max} ms`;
  console.log(Object.entries(times).map(spell).join('\n'));
  console.log(`Chromium ${version}: ${passed} passed, ${failed} failed`);
}
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;

/** Runs in the page. */
async function inBrowser(cases) {
  const verifier = await import('/cloister-verifier.js');
  const bytes = (base64) => (base64 === undefined ? null : Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)));

  async function conclude({ tee, files, requires, verify_at, policy }) {
    const injected = requires.includes('root-injection');
    const now = verify_at * 1000;
    if (tee === 'tdx') {
      const roots = injected ? verifier.insecureTdxRoots(bytes(files['root.der'])) : verifier.pinnedTdxRoots();
      const collateral = JSON.parse(new TextDecoder().decode(bytes(files['collateral.json'])));
      const { verified, refusal } = await verifier.verifyTdx({ quote: bytes(files['quote.bin']), collateral }, roots, now);
      return verified ? verifier.judgeTdx(verified, policy).refusal : refusal;
    }
    const [vek, ask, ark, crl] = ['vek', 'ask', 'ark', 'crl'].map((name) => bytes(files[`${name}.der`]));
    const roots = injected ? verifier.insecureSnpRoots(ark) : verifier.pinnedSnpRoots();
    const report = bytes(files['report.bin']);
    if (report === null) return (await verifier.verifySnpChain({ vek, ask, ark, crl }, roots, now)).refusal;
    const { verified, refusal } = await verifier.verifySnp({ report, vek, ask, ark, crl }, roots, now);
    return verified ? verifier.judgeSnp(verified, policy).refusal : refusal;
  }

  async function problemOf(each) {
    const { verdict, stage, reason } = each.expect;
    try {
      const refusal = await conclude(each);
      const found = `${refusal ? 'reject' : 'accept'} @${refusal?.stage ?? null} ${refusal?.code ?? ''}`;
      const right =
        (verdict === 'reject') === (refusal !== null) &&
        (refusal === null || (refusal.stage === stage && reason.includes(refusal.code)));
      return right ? null : `expected ${verdict} @${stage} ${reason.join('|')}, found ${found}`;
    } catch (error) {
      return `threw ${error}`;
    }
  }

  const outcomes = [];
  for (const each of cases) outcomes.push({ id: each.id, problem: await problemOf(each) });

  const times = {};
  for (const id of ['snp-syn-d-crl-clean', 'snp-real-genoa-v5', 'tdx-real-v5-uptodate']) {
    const each = cases.find((other) => other.id === id);
    const taken = [];
    for (let run = 0; run < 60; run++) {
      const started = performance.now();
      await conclude(each);
      taken.push(performance.now() - started);
    }
    taken.sort((a, b) => a - b);
    const tenths = (ms) => Math.round(ms * 10) / 10;
    times[id] = { median: tenths(taken[30]), max: tenths(taken[59]) };
  }
  return { outcomes, times };
}
