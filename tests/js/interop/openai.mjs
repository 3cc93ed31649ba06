// The unmodified official OpenAI client, in plain TLS and through unmodified `ehbp`.

import assert from 'node:assert/strict';
import { createTransport } from 'ehbp';
import OpenAI, { AuthenticationError } from 'openai';

const messages = [{ role: 'user', content: 'How much is refunded for a hotel night?' }];

/** `key` is an API key; the name of a chat model is the id of an assistant. */
export async function openai(tap, url, key, chatModel) {
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0 });

  const models = await tap.test('openai: models', async () => {
    const { data } = await client.models.list();
    assert.ok(data.length > 0);
    for (const model of data) assert.equal(model.object, 'model');
    const names = data.map(({ id }) => id);
    assert.ok(names.includes(chatModel), names.join(' '));
    return names;
  });
  const embedder = models?.find((id) => /minilm|embed/i.test(id)) ?? 'no embedder';

  await tap.test('openai: a chat completion', async () => {
    const completion = await client.chat.completions.create({ model: chatModel, messages });
    assert.equal(completion.object, 'chat.completion');
    assert.equal(completion.choices[0].message.role, 'assistant');
    assert.ok(completion.choices[0].message.content.length > 0);
    assert.match(completion.choices[0].finish_reason, /^(?:stop|length)$/);
    assert.equal(typeof completion.usage.total_tokens, 'number');
  });
  const streamed = async (openai) => {
    const stream = await openai.chat.completions.create({ model: chatModel, messages, stream: true });
    let text = '';
    let finish = null;
    for await (const chunk of stream) {
      assert.equal(chunk.object, 'chat.completion.chunk');
      text += chunk.choices[0]?.delta?.content ?? '';
      finish = chunk.choices[0]?.finish_reason ?? finish;
    }
    assert.ok(text.length > 0);
    assert.match(finish, /^(?:stop|length)$/);
  };
  await tap.test('openai: a streamed chat completion', () => streamed(client));
  await tap.test('openai: embeddings', async () => {
    const input = ['a lamp on a rock in the sea', 'a lighthouse', 'the price of zinc'];
    const { data } = await client.embeddings.create({ model: embedder, input, encoding_format: 'float' });
    assert.equal(data.length, 3);
    const dot = (a, b) => data[a].embedding.reduce((sum, x, at) => sum + x * data[b].embedding[at], 0);
    assert.ok(Math.abs(dot(0, 0) - 1) < 1e-3, 'unit vectors');
    assert.ok(dot(0, 1) > dot(0, 2), 'near in meaning is near in space');
  });
  await tap.test('openai: embeddings as the client asks for them by default (base64)', async () => {
    const { data } = await client.embeddings.create({ model: embedder, input: 'a lighthouse' });
    assert.equal(data[0].embedding.length, 384);
  });
  await tap.test('openai: a wrong key is an AuthenticationError', async () => {
    const stranger = new OpenAI({ baseURL: `${url}/v1`, apiKey: `clk_${'A'.repeat(43)}`, maxRetries: 0 });
    await assert.rejects(stranger.chat.completions.create({ model: chatModel, messages }), AuthenticationError);
  });
  await tap.test('openai: errors have the shape that the client knows', async () => {
    const error = await client.chat.completions.create({ model: chatModel, messages: 'none' }).catch((error) => error);
    assert.equal(error.status, 400);
    assert.equal(typeof error.error?.message, 'string');
  });
  await tap.test('openai over ehbp: a streamed chat completion, encrypted to the enclave', async () => {
    const transport = await createTransport(url);
    const fetch = (input, init) => transport.request(input, init);
    await streamed(new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0, fetch }));
  });
}
