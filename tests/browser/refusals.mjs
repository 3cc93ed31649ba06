// What the page must not do: send anything to an appliance whose evidence does not hold, or take a damaged answer for
// a whole one. Every lie is told by a relay that ends TLS, as the host of the appliance could.

import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { KITCHEN, SECOND_QUESTION } from '../js/lib/texts.mjs';
import { Relay } from './relay.mjs';

const PASSWORD = 'seven gulls on the pier';

function foreignKey() {
  const { publicKey } = generateKeyPairSync('x25519');
  return publicKey.export({ type: 'spki', format: 'der' }).subarray(-32).toString('hex');
}

function flipped(document, offset) {
  const report = Buffer.from(document.evidence.report, 'base64');
  report[offset] ^= 1;
  return { ...document, evidence: { ...document.evidence, report: report.toString('base64') } };
}

let recorded = null;

const LIES = [
  ['a key of its own to encrypt to', (document) => ({ ...document, statement: { ...document.statement, hpke_keys: [foreignKey()] } })],
  ['a login key of its own', (document) => ({ ...document, statement: { ...document.statement, opaque_pk: foreignKey() } })],
  ['a report with a flipped bit', (document) => flipped(document, 70)],
  ['a signature with a flipped bit', (document) => flipped(document, 130)],
  ['evidence that it recorded before', (document) => (recorded ??= document)],
  ['evidence recorded before, under our nonce', (document) => ({ ...recorded, nonce: document.nonce })],
  ['a statement that has run out', (document) => ({ ...document, statement: { ...document.statement, not_after: 1 } })],
  ['a hardware TEE that it has not', (document) => ({ ...document, evidence: { ...document.evidence, tee: 'sev-snp' } })],
  ['no evidence', (document) => ({ ...document, evidence: null })],
];

export async function refusals(tap, browser, options) {
  for (const [name, evidence] of LIES) {
    await tap.test(`page: a relay that presents ${name} is refused, and nothing is sent`, async () => {
      const relay = await Relay.start(options.url, { evidence });
      const visit = await browser.visit();
      try {
        await visit.page.goto(`${relay.url}/#enrol=AAAAAAAAAAAAAAAAAAAAAA`);
        if (name === 'evidence that it recorded before') {
          await visit.heading('This appliance is not confidential').waitFor();
          await visit.page.reload();
        }
        await visit.heading('Not verified, so nothing is sent').waitFor();
        assert.equal(await visit.page.getByRole('textbox').count(), 0, 'there is nothing to type into');
        assert.equal(await visit.page.getByText('Failed', { exact: true }).count(), 1);
        assert.deepEqual(relay.posts, []);
        await visit.accessible(`refused: ${name}`);
        if (name.startsWith('a key of its own')) await visit.shot('refused');
      } finally {
        await visit.context.close();
        await relay.stop();
      }
    });
  }
  await tap.test('page: without acceptance of the development TEE nothing is sent', async () => {
    const relay = await Relay.start(options.url);
    const visit = await browser.visit();
    await visit.page.goto(relay.url);
    await visit.heading('This appliance is not confidential').waitFor();
    assert.ok(await visit.button('Continue without confidentiality').isDisabled());
    await visit.page.keyboard.press('Enter');
    assert.equal(await visit.page.getByRole('textbox').count(), 0);
    assert.deepEqual(relay.posts, []);
    await visit.context.close();
    await relay.stop();
  });
  await damaged(tap, browser, options);
}

async function damaged(tap, browser, options) {
  const step = tap.chain();
  const change = {};
  const relay = await Relay.start(options.url, change);
  const visit = await browser.visit();
  visit.options = { ...visit.options, url: relay.url };
  const name = `relayed-${Date.now()}`;

  await step('page: behind an honest relay everything works', async () => {
    await visit.enrol(await options.enrolmentCode('owner'), name, PASSWORD);
    await visit.upload([{ name: `kitchen-${name}.md`, title: 'Kitchen rules', text: KITCHEN }]);
    await visit.button('New conversation').click();
    await visit.ask(SECOND_QUESTION);
  });
  await step('page: an answer that the relay cuts off is shown as not whole', async () => {
    change.stream = (answer, response) => {
      answer.once('data', (chunk) => response.end(chunk));
    };
    await visit.button('New conversation').click();
    await visit.page.getByLabel('Your question').fill(SECOND_QUESTION);
    await visit.page.keyboard.press('Enter');
    await visit.page.getByText('This answer did not come whole.').waitFor();
    await visit.accessible('a broken answer');
    await visit.shot('answer-cut-off');
  });
  await step('page: an answer with a flipped bit is shown as not whole', async () => {
    change.stream = (answer, response) => {
      answer.on('data', (chunk) => {
        chunk[chunk.length - 1] ^= 1;
        response.write(chunk);
      });
      answer.on('end', () => response.end());
    };
    await visit.button('Ask again').click();
    await visit.page.getByText('A response frame does not decrypt.').waitFor();
  });
  await step('page: stop reaches the enclave', async () => {
    // The relay holds the answer back after its first piece, so that there is time to press the button.
    change.stream = (answer, response) => {
      answer.once('data', (chunk) => {
        response.write(chunk);
        answer.pause();
      });
    };
    await visit.button('New conversation').click();
    const gone = new Promise((resolve) => {
      relay.onGone = resolve;
    });
    await visit.page.getByLabel('Your question').fill(SECOND_QUESTION);
    await visit.page.keyboard.press('Enter');
    await visit.button('Stop the answer').click();
    await visit.page.getByText('Stopped before the end.').waitFor();
    await gone;
    delete change.stream;
  });
  await step('page: a plaintext answer is not taken for one', async () => {
    change.answer = (request) => {
      if (!request.url.endsWith('/documents/list')) return null;
      const body = JSON.stringify({ items: [] });
      return { status: 200, headers: { 'content-type': 'application/json' }, body };
    };
    await visit.page.reload();
    await visit.button(/^Documents/).click();
    await visit.page.getByText('The answer is not encrypted.').waitFor();
    delete change.answer;
  });
  await step('page: a key that is refused as stale leads to one new verification and one more try', async () => {
    let refused = 0;
    change.answer = (request) => {
      if (!request.url.endsWith('/documents/list') || refused > 0) return null;
      refused += 1;
      const body = JSON.stringify({ type: 'urn:ietf:params:ehbp:error:key-config', title: 'failed to decrypt request' });
      return { status: 422, headers: { 'content-type': 'application/problem+json' }, body };
    };
    const evidence = () => visit.requests.filter((request) => request.url().includes('/attestation')).length;
    const before = evidence();
    await visit.button('Try again').click();
    await visit.page.getByRole('listitem').filter({ hasText: 'Kitchen rules' }).waitFor();
    assert.equal(refused, 1);
    assert.equal(evidence(), before + 1);
  });
  await step('page: what went over the relay holds no word of the person', async () => {
    for (const request of visit.posts) {
      const body = request.postDataBuffer() ?? Buffer.alloc(0);
      for (const word of [PASSWORD, name, 'samovar', 'Kitchen']) {
        assert.ok(!body.includes(word) && !request.url().includes(word), `${word} in ${request.url()}`);
      }
      assert.match(request.headers()['ehbp-encapsulated-key'] ?? '', /^[0-9a-f]{64}$/);
    }
  });
  await visit.context.close();
  await relay.stop();
}
