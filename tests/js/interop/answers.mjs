// The main job by the native API: upload, ask, follow the citations, check the receipt, export the log.

import assert from 'node:assert/strict';
import { ed25519Holds, jcs, sha256 } from '../lib/evidence.mjs';
import { readAnswer } from '../lib/session.mjs';
import { KITCHEN, QUESTION, TRAVEL, UNANSWERABLE } from '../lib/texts.mjs';
import { Skip } from '../lib/tap.mjs';

/** Scores are single-precision; how many digits of them are written is nobody's promise. */
const rounded = (message) => ({
  ...message,
  citations: message.citations.map((citation) => ({ ...citation, score: Math.fround(citation.score) })),
});

const plain = (text) => text.replace(/\s+/g, ' ');

/** Gives an API key for the workspace and an assistant, whose id is the name of a chat model. */
export async function answers(tap, session) {
  const { workspaces } = await session.call('/api/v1/me');
  const workspace = workspaces[0].id;
  const base = `/api/v1/workspaces/${workspace}`;

  await tap.test('documents: uploaded, read and ready', async () => {
    for (const [name, text] of [['travel.md', TRAVEL], ['kitchen.md', KITCHEN]]) {
      const { document, outcome } = await session.upload(workspace, name, text);
      assert.equal(document.state, 'ready', document.problem ?? '');
      assert.equal(outcome, 'new');
      assert.equal(document.sha256, sha256(text).toString('hex'));
    }
  });
  await tap.test('documents: the same file again is recognised', async () => {
    const { document, outcome } = await session.upload(workspace, 'travel-again.md', TRAVEL);
    assert.equal(outcome, 'existing');
    assert.equal(document.state, 'ready');
  });
  await tap.test('documents: what cannot be read says why', async () => {
    const { document } = await session.upload(workspace, 'broken.pdf', '%PDF-1.7\nthis is not a PDF');
    assert.equal(document.state, 'error');
    assert.ok(document.problem.length > 20, 'a sentence');
  });

  const assistant = await tap.test('assistants: made', () =>
    session.call(`${base}/assistants`, {
      name: 'Keeper',
      purpose: 'Answers questions about the lighthouse office.',
      document_ids: null,
    }),
  );
  const conversation = await tap.test('conversations: begun', () =>
    session.call(`${base}/conversations`, { assistant_id: assistant.id }),
  );
  const ask = async (text) => {
    if (!conversation) throw new Skip('no conversation');
    const path = `${base}/conversations/${conversation.id}/messages`;
    return readAnswer(await session.post(path, { text, document_ids: null }));
  };

  const answer = await tap.test('answers: streamed, whole, with citations that are words of the document', async () => {
    const events = await ask(QUESTION);
    assert.equal(events[0].event, 'started');
    const { message } = events.at(-1).data;
    assert.equal(message.id, events[0].data.message_id);
    const deltas = events.filter(({ event }) => event === 'delta').map(({ data }) => data.text).join('');
    assert.equal(plain(deltas).trim(), plain(message.text).trim());
    // A chat model with random weights, as the tests use, cites nothing.
    if (message.kind === 'quotation') {
      assert.ok(message.citations.some(({ document_title: title }) => /travel/i.test(title)));
    }
    for (const { quote, document_sha256: digest } of message.citations) {
      const source = [TRAVEL, KITCHEN].find((text) => sha256(text).toString('hex') === digest);
      assert.ok(source && plain(source).includes(plain(quote)), `the quote is in the document: ${quote.slice(0, 40)}`);
    }
    for (const [, tag] of message.text.matchAll(/\[(s\d+)\]/g)) {
      assert.ok(message.citations.some((citation) => citation.tag === tag), `${tag} means something`);
    }
    return message;
  });
  await tap.test('answers: no evidence, no answer', async () => {
    const { message } = (await ask(UNANSWERABLE)).at(-1).data;
    assert.equal(message.kind, 'refusal');
    assert.deepEqual(message.citations, []);
  });
  await tap.test('answers: the conversation is kept as it was', async () => {
    if (!conversation) throw new Skip('no conversation');
    const { items } = await session.call(`${base}/conversations/${conversation.id}/get`);
    assert.deepEqual(items.map(({ role }) => role).sort(), ['assistant', 'assistant', 'user', 'user']);
    if (answer) assert.deepEqual(rounded(items.find(({ id }) => id === answer.id)), rounded(answer));
  });
  await tap.test('receipts: signed by an attested key over the digests of question and answer', async () => {
    if (!answer) throw new Skip('no answer');
    const { signature, ...signed } = await session.call(`/api/v1/receipts/${answer.receipt_id}`);
    const key = session.client.statement.receipt_keys.find(({ key_id: id }) => id === signed.key_id);
    assert.ok(key, 'the key is in the statement');
    const message = Buffer.from(`cloister/receipt/v1\n${jcs(signed)}`);
    assert.ok(ed25519Holds(Buffer.from(key.public_key, 'hex'), message, Buffer.from(signature, 'hex')));
    assert.equal(signed.body.question_sha256, sha256(QUESTION).toString('hex'));
    assert.equal(signed.body.answer_sha256, sha256(answer.text).toString('hex'));
  });
  await tap.test('audit: the export is a tar with a manifest and a checkpoint', async () => {
    const response = await session.post('/api/v1/audit/export', { recipient: null });
    const tar = Buffer.from(await response.arrayBuffer());
    const names = [];
    for (let at = 0; at + 512 <= tar.length && tar[at] !== 0; ) {
      names.push(tar.toString('latin1', at, at + 100).replace(/\0.*$/s, ''));
      const size = Number.parseInt(tar.toString('latin1', at + 124, at + 136), 8);
      at += 512 + Math.ceil(size / 512) * 512;
    }
    for (const name of ['manifest.json', 'log/vkey', 'log/checkpoint']) assert.ok(names.includes(name), name);
    assert.ok(!tar.includes('lighthouse office refunds'), 'no content in the log');
    assert.ok(!tar.includes(QUESTION), 'no question in the log');
  });
  const key = await tap.test('api keys: made, with the secret shown once', async () => {
    const { id, secret } = await session.call('/api/v1/api-keys', { name: 'interop', workspace_id: workspace });
    assert.match(secret, /^clk_[A-Za-z0-9_-]{43}$/);
    const { items } = await session.call('/api/v1/api-keys/list');
    assert.ok(!JSON.stringify(items).includes(secret));
    assert.ok(items.some((item) => item.id === id));
    return secret;
  });
  return { key, assistant: assistant?.id };
}
