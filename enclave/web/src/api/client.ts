// The native API as functions. Everything goes through the sealed channel; only logging in is unsigned.

import { fileBody, jsonBody } from '../channel/body';
import { type Channel, type RequestOptions, type UploadProgress, readBytes, readJson } from '../channel/channel';
import { ChannelError } from '../channel/hpke';
import type { SigningSession } from '../channel/signature';
import { readEvents } from '../channel/sse';
import type { Bytes } from '@cloister/verifier/bytes';
import type {
  AnswerEvent,
  Assistant,
  Consistency,
  Conversation,
  DocumentInfo,
  Enrolment,
  List,
  Me,
  Message,
  Role,
  Uploaded,
} from './types';

const BASE = '/api/v1';

/** Calls without a session. */
export function callUnsigned<T>(channel: Channel, path: string, body: unknown): Promise<T> {
  return channel.post(`${BASE}/${path}`, jsonBody(body)).then((response) => readJson<T>(response));
}

/** Calls in a session. */
export class Api {
  readonly #channel: Channel;
  readonly #signing: SigningSession;

  constructor(channel: Channel, signing: SigningSession) {
    this.#channel = channel;
    this.#signing = signing;
  }

  me(): Promise<Me> {
    return this.#json('me', {});
  }

  logout(): Promise<unknown> {
    return this.#post('logout', {}).then(readBytes);
  }

  createEnrolment(role: Role): Promise<Enrolment> {
    return this.#json('enrolments', { role });
  }

  assistants(workspace: string): Promise<Assistant[]> {
    return this.#list(`workspaces/${workspace}/assistants/list`);
  }

  createAssistant(workspace: string, name: string, purpose: string, documentIds: string[] | null): Promise<Assistant> {
    return this.#json(`workspaces/${workspace}/assistants`, { name, purpose, document_ids: documentIds });
  }

  documents(workspace: string): Promise<DocumentInfo[]> {
    return this.#list(`workspaces/${workspace}/documents/list`);
  }

  deleteDocument(workspace: string, document: string): Promise<unknown> {
    return this.#post(`workspaces/${workspace}/documents/${document}/delete`, {}).then(readBytes);
  }

  async upload(
    workspace: string,
    file: File,
    onProgress: (progress: UploadProgress) => void,
    signal: AbortSignal,
  ): Promise<Uploaded> {
    const options = { signing: this.#signing, onProgress, signal };
    const response = await this.#channel.post(`${BASE}/workspaces/${workspace}/documents`, fileBody(file, {}), options);
    return readJson(response);
  }

  conversations(workspace: string): Promise<Conversation[]> {
    return this.#list(`workspaces/${workspace}/conversations/list`);
  }

  createConversation(workspace: string, assistant: string): Promise<Conversation> {
    return this.#json(`workspaces/${workspace}/conversations`, { assistant_id: assistant });
  }

  messages(workspace: string, conversation: string): Promise<Message[]> {
    return this.#list(`workspaces/${workspace}/conversations/${conversation}/get`);
  }

  /** Asks and yields the answer's events; ends after `done` or `failed`, throws when the stream was cut off. */
  async *ask(workspace: string, conversation: string, text: string, signal: AbortSignal): AsyncGenerator<AnswerEvent> {
    const path = `workspaces/${workspace}/conversations/${conversation}/messages`;
    const response = await this.#post(path, { text, document_ids: null }, { signal });
    if (!response.contentType.startsWith('text/event-stream')) throw new ChannelError('the answer is not a stream');
    for await (const { event, data } of readEvents(response.chunks())) {
      if (EVENTS.has(event)) yield { event, data: JSON.parse(data) as unknown } as AnswerEvent;
    }
  }

  receipt(id: string): Promise<Bytes> {
    return this.#post(`receipts/${id}`, {}).then(readBytes);
  }

  exportAudit(recipient: string | null): Promise<Bytes> {
    return this.#post('audit/export', { recipient }).then(readBytes);
  }

  auditConsistency(size: number): Promise<Consistency> {
    return this.#json('audit/consistency', { size });
  }

  #post(path: string, body: unknown, options: RequestOptions = {}) {
    return this.#channel.post(`${BASE}/${path}`, jsonBody(body), { ...options, signing: this.#signing });
  }

  #json<T>(path: string, body: unknown): Promise<T> {
    return this.#post(path, body).then((response) => readJson<T>(response));
  }

  #list<T>(path: string): Promise<T[]> {
    return this.#json<List<T>>(path, {}).then((list) => list.items);
  }
}

const EVENTS: ReadonlySet<string> = new Set(['started', 'queued', 'delta', 'citation', 'done', 'failed']);
