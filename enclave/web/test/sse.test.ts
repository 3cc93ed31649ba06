// The event stream of an answer: however it is cut into pieces it reads the same, and an early end is an error.

import { describe, expect, it } from 'vitest';
import { ChannelError } from '../src/channel/hpke';
import { type ServerEvent, SseParser, readEvents } from '../src/channel/sse';
import { utf8 } from '@cloister/verifier/bytes';
import { pieces } from './bytes';

const STREAM =
  [
    ': xxxxxxxxxxxxxxxx padding',
    'event: started\ndata: {"message_id":"msg_1"}\n',
    'event: delta\ndata: {"text":"Grüß Gott, “Welt” 🌍"}\n',
    ': heartbeat\n',
    'event: delta\r\ndata: {"text":"two"}\r\n\r\nevent: done',
    'data: {"message":{}}\n',
  ].join('\n') + '\n';

async function collect(stream: AsyncIterable<Uint8Array>): Promise<ServerEvent[]> {
  const events: ServerEvent[] = [];
  for await (const event of readEvents(stream)) events.push(event);
  return events;
}

describe('answers as server-sent events', () => {
  it.each([1, 2, 3, 7, 1000])('reads the same events in pieces of %i bytes', async (size) => {
    const events = await collect(pieces(utf8(STREAM), size));
    expect(events.map(({ event }) => event)).toEqual(['started', 'delta', 'delta', 'done']);
    expect(JSON.parse(events[1]?.data ?? '')).toEqual({ text: 'Grüß Gott, “Welt” 🌍' });
  });

  it('never takes a stream for whole that ends before `done`', async () => {
    const bytes = utf8(STREAM);
    for (let end = 0; end < bytes.length - 1; end++) {
      await expect(collect(pieces(bytes.slice(0, end), 64)), `cut at ${end}`).rejects.toThrow(ChannelError);
    }
  });

  it('ends at `failed` and reads nothing after it', async () => {
    const stream = 'event: failed\ndata: {"problem":"timeout"}\n\nevent: delta\ndata: {"text":"late"}\n\n';
    expect((await collect(pieces(utf8(stream), 9))).map(({ event }) => event)).toEqual(['failed']);
  });

  it('joins the lines of one event and ignores fields that it does not know', () => {
    const parser = new SseParser();
    expect(parser.push(utf8('id: 7\nretry: 10\ndata: a\ndata:b\nnonsense\n\n'))).toEqual([
      { event: 'message', data: 'a\nb' },
    ]);
  });

  it('refuses an event without an end', () => {
    const parser = new SseParser();
    const much = utf8(`data: ${'x'.repeat(1 << 20)}\n`);
    expect(() => {
      for (let i = 0; i < 6; i++) parser.push(much);
    }).toThrow(ChannelError);
  });
});
