// The only way out of this page for private data: POST, sealed to a key of a verified statement, signed when there
// is a session. There is no plaintext way; a response that does not decrypt is an error and never data.

import { type Bytes, concat, fromHex, fromUtf8, toHex } from '@cloister/verifier/bytes';
import { type PlainBody, sealBody } from './body';
import { ChannelError, type Opener, Sealer } from './hpke';
import { ProblemError, Unreachable, isStaleKey, problemOf } from './problem';
import { type SigningSession, signRequest } from './signature';
import { sendByXhr } from './upload';

/** Where the key of a request comes from: a verified and accepted appliance, or a refusal by exception. */
export interface Trust {
  /** The HPKE key to seal to, 32 bytes. Verifies again when the statement has run out. */
  key(): Promise<Bytes>;
  /** Verifies again, because the key was refused as stale. */
  renew(): Promise<Bytes>;
}

/** How a request is made. */
export interface RequestOptions {
  readonly signing?: SigningSession | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Makes the request by XMLHttpRequest, which tells how many of the sealed bytes have left. */
  readonly onProgress?: ((progress: UploadProgress) => void) | undefined;
}

/** How far an upload has come. */
export interface UploadProgress {
  readonly phase: 'sealing' | 'sending';
  readonly bytes: number;
  readonly total: number;
}

/** What came back, before it is opened. */
export interface RawResponse {
  readonly status: number;
  header(name: string): string | null;
  chunks(): AsyncIterable<Uint8Array>;
}

/** An opened response with a 2xx status. */
export interface OpenedResponse {
  readonly status: number;
  readonly contentType: string;
  /** Plaintext, frame by frame; throws when the stream was damaged or cut inside a frame. */
  chunks(): AsyncGenerator<Bytes>;
}

/** EHBP to one origin. */
export class Channel {
  readonly #trust: Trust;

  constructor(trust: Trust) {
    this.#trust = trust;
  }

  /** Sends a sealed POST; a stale key leads to one new verification and one more try. */
  async post(path: string, body: PlainBody, options: RequestOptions = {}): Promise<OpenedResponse> {
    const first = await this.#attempt(await this.#trust.key(), path, body, options);
    if (first !== 'stale-key') return first;
    const second = await this.#attempt(await this.#trust.renew(), path, body, options);
    if (second !== 'stale-key') return second;
    throw new ChannelError('the appliance refuses the key that it attests');
  }

  async #attempt(
    key: Bytes,
    path: string,
    body: PlainBody,
    options: RequestOptions,
  ): Promise<OpenedResponse | 'stale-key'> {
    const sealer = await Sealer.to(key);
    const total = body.parts.reduce((sum, part) => sum + (part instanceof Blob ? part.size : part.length), 0);
    const sealed = await sealBody(sealer, body, (bytes) => options.onProgress?.({ phase: 'sealing', bytes, total }));
    const headers: Record<string, string> = {
      'Content-Type': body.contentType,
      'Ehbp-Encapsulated-Key': toHex(sealer.enc),
    };
    if (options.signing) {
      const url = new URL(path, 'https://enclave.invalid');
      const parts = {
        method: 'POST',
        path: url.pathname,
        query: url.search || '?',
        contentSha256: sealed.sha256,
        enc: sealer.enc,
      };
      Object.assign(headers, await signRequest(options.signing, parts));
    }
    options.signal?.throwIfAborted();
    const send = options.onProgress ? sendByXhr : sendByFetch;
    return open(sealer, await send(path, headers, sealed.blob, options));
  }
}

/** Reads a JSON answer to its end. */
export async function readJson<T>(response: OpenedResponse): Promise<T> {
  return JSON.parse(fromUtf8(await readBytes(response))) as T;
}

/** Reads an answer to its end. */
export async function readBytes(response: OpenedResponse): Promise<Bytes> {
  const parts: Bytes[] = [];
  for await (const part of response.chunks()) parts.push(part);
  return concat(...parts);
}

/** Opens a response, or throws what it says. */
async function open(sealer: Sealer, raw: RawResponse): Promise<OpenedResponse | 'stale-key'> {
  const header = raw.header('Ehbp-Response-Nonce');
  if (header === null) {
    const text = await readCapped(raw);
    if (isStaleKey(raw.status, raw.header('Content-Type'), text)) return 'stale-key';
    if (raw.status >= 200 && raw.status < 300) throw new ChannelError('the answer is not encrypted');
    throw problemOf(raw.status, text, raw.header('Retry-After'), 'unauthenticated-answer');
  }
  const nonce = fromHex(header, 32);
  if (!nonce) throw new ChannelError('the response nonce is malformed');
  const opener = await sealer.opener(nonce);
  const contentType = raw.header('Content-Type') ?? '';
  const opened = { status: raw.status, contentType, chunks: () => openChunks(opener, raw) };
  if (raw.status >= 200 && raw.status < 300) return opened;
  const text = fromUtf8(await readBytes(opened));
  throw problemOf(raw.status, text, raw.header('Retry-After'), 'from-enclave');
}

async function* openChunks(opener: Opener, raw: RawResponse): AsyncGenerator<Bytes> {
  for await (const bytes of raw.chunks()) yield* await opener.push(bytes);
  opener.finish();
}

/** An answer in plaintext comes from anyone: a little of it is read, to name the problem. */
async function readCapped(raw: RawResponse): Promise<string> {
  let text = '';
  const decoder = new TextDecoder();
  for await (const bytes of raw.chunks()) {
    text += decoder.decode(bytes, { stream: true });
    if (text.length > 16_384) break;
  }
  return text;
}

async function sendByFetch(
  path: string,
  headers: Record<string, string>,
  body: Blob,
  options: RequestOptions,
): Promise<RawResponse> {
  let response: Response;
  try {
    response = await fetch(path, {
      method: 'POST',
      headers,
      body,
      signal: options.signal ?? null,
      credentials: 'omit',
      cache: 'no-store',
      redirect: 'error',
      referrerPolicy: 'no-referrer',
    });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new Unreachable();
  }
  return {
    status: response.status,
    header: (name) => response.headers.get(name),
    chunks: () => streamOf(response, options.signal),
  };
}

async function* streamOf(response: Response, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  if (!response.body) return;
  const reader = response.body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } catch (error) {
    if (signal?.aborted || error instanceof ProblemError) throw error;
    throw new ChannelError('the connection broke before the answer was whole');
  } finally {
    // Leaving early (stop, or an error in what was read) must reach the enclave, so that it stops too.
    await reader.cancel().catch(() => {});
  }
}
