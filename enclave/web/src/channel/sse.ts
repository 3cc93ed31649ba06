// Server-sent events out of a byte stream (WHATWG HTML, 9.2.6), without reconnecting: an answer is read once.
//
// The end of the stream proves nothing, because EHBP has no end marker: whoever reads an answer must wait for its
// `done` event. `readAnswer` does.

import { ChannelError } from './hpke';

/** One event. */
export interface ServerEvent {
  /** `message` where the server gave no name. */
  readonly event: string;
  readonly data: string;
}

/** The most characters of one event; an answer's last event holds all of its citations. */
const MAX_EVENT_CHARS = 4 << 20;

/** Turns pieces of a stream into events. */
export class SseParser {
  readonly #decoder = new TextDecoder('utf-8');
  #rest = '';
  #event = '';
  #data: string[] = [];
  #size = 0;

  /** Takes some bytes and gives the events that are now whole. */
  push(bytes: Uint8Array): ServerEvent[] {
    this.#rest += this.#decoder.decode(bytes, { stream: true });
    const events: ServerEvent[] = [];
    for (;;) {
      // A lone CR at the very end may be the first half of CRLF: wait for what follows.
      const end = this.#rest.search(/\r\n|\n|\r(?!$)/);
      if (end < 0) break;
      const line = this.#rest.slice(0, end);
      this.#rest = this.#rest.slice(end + (this.#rest.startsWith('\r\n', end) ? 2 : 1));
      const event = this.#line(line);
      if (event) events.push(event);
    }
    if (this.#rest.length > MAX_EVENT_CHARS) throw new ChannelError('an event of the stream is too large');
    return events;
  }

  #line(line: string): ServerEvent | null {
    if (line === '') {
      const data = this.#data;
      const event = this.#event || 'message';
      this.#data = [];
      this.#event = '';
      this.#size = 0;
      return data.length > 0 ? { event, data: data.join('\n') } : null;
    }
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') this.#event = value;
    else if (field === 'data') {
      this.#data.push(value);
      this.#size += value.length;
      if (this.#size > MAX_EVENT_CHARS) throw new ChannelError('an event of the stream is too large');
    }
    return null;
  }
}

/** Reads the events of an answer up to `done` or `failed`; a stream that ends before is a truncated answer. */
export async function* readEvents(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<ServerEvent> {
  const parser = new SseParser();
  for await (const chunk of chunks) {
    for (const event of parser.push(chunk)) {
      yield event;
      if (event.event === 'done' || event.event === 'failed') return;
    }
  }
  throw new ChannelError('the answer was cut off before its end');
}
