// Conversations and their answers. An answer goes on while another conversation is on the screen.

import { useCallback, useEffect, useRef, useState } from 'react';
import type { Api } from '../api/client';
import type { AnswerEvent, Citation, Conversation, Message } from '../api/types';
import { wordsFor } from '../channel/problem';
import { messageOf } from './documents';

/** An answer that is coming, or that did not come whole. */
export interface Turn {
  readonly question: string;
  readonly text: string;
  readonly citations: Citation[];
  /** Requests ahead in the queue; null when it is our turn. */
  readonly ahead: number | null;
  readonly state: 'running' | 'stopped' | 'broken';
  /** Why it did not come whole. */
  readonly problem: string | null;
}

/** One conversation as far as it is loaded. */
export interface Thread {
  /** Null while loading. */
  readonly messages: Message[] | null;
  readonly turn: Turn | null;
  readonly problem: string | null;
}

/** What the conversation screen works with. */
export interface Threads {
  /** Null while the first list is loading. */
  readonly list: Conversation[] | null;
  readonly problem: string | null;
  readonly threads: Readonly<Record<string, Thread>>;
  /** The last answer that came whole, for screen readers. */
  readonly finished: Message | null;
  load(conversation: string): Promise<void>;
  reload(): Promise<void>;
  /** Asks; makes a conversation first if there is none. Gives the conversation's id. */
  ask(conversation: string | null, assistant: string, question: string): Promise<string>;
  stop(conversation: string): void;
}

/** How long after a stop the stored part of an answer is fetched. */
const STORED_AFTER_MS = 800;

const EMPTY: Thread = { messages: null, turn: null, problem: null };

/** Keeps the conversations of one workspace. */
export function useThreads(api: Api, workspace: string, heed: (error: unknown) => void): Threads {
  const [list, setList] = useState<Conversation[] | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [threads, setThreads] = useState<Record<string, Thread>>({});
  const [finished, setFinished] = useState<Message | null>(null);
  const running = useRef(new Map<string, AbortController>());

  const change = useCallback((id: string, change: (thread: Thread) => Thread) => {
    setThreads((all) => ({ ...all, [id]: change(all[id] ?? EMPTY) }));
  }, []);

  const reload = useCallback(async () => {
    try {
      setList(await api.conversations(workspace));
      setProblem(null);
    } catch (error) {
      heed(error);
      setProblem(messageOf(error));
    }
  }, [api, workspace, heed]);

  useEffect(() => {
    void reload();
    const streams = running.current;
    return () => {
      for (const abort of streams.values()) abort.abort();
    };
  }, [reload]);

  const load = useCallback(
    async (id: string) => {
      try {
        const messages = inOrder(await api.messages(workspace, id));
        const going = running.current.has(id);
        change(id, ({ turn }) => ({ messages, turn: going || !isStored(turn, messages) ? turn : null, problem: null }));
      } catch (error) {
        heed(error);
        change(id, (thread) => ({ ...thread, problem: messageOf(error) }));
      }
    },
    [api, workspace, heed, change],
  );

  const run = useCallback(
    async (id: string, question: string) => {
      const abort = new AbortController();
      running.current.set(id, abort);
      const turn: Turn = { question, text: '', citations: [], ahead: null, state: 'running', problem: null };
      change(id, (thread) => ({ ...thread, messages: thread.messages ?? [], turn, problem: null }));
      const onTurn = (next: Partial<Turn>) =>
        change(id, (thread) => (thread.turn ? { ...thread, turn: { ...thread.turn, ...next } } : thread));
      try {
        for await (const event of api.ask(workspace, id, question, abort.signal)) {
          if (event.event === 'done') {
            const answer = event.data.message;
            change(id, (thread) => ({
              ...thread,
              messages: [...(thread.messages ?? []), asked(question, answer), answer],
              turn: null,
            }));
            setFinished(answer);
          } else if (event.event === 'failed') onTurn({ state: 'broken', problem: wordsFor(event.data.problem) });
          else change(id, (thread) => (thread.turn ? { ...thread, turn: grow(thread.turn, event) } : thread));
        }
      } catch (error) {
        if (abort.signal.aborted) {
          onTurn({ state: 'stopped' });
          // The enclave stores what it had said; a little later it can be read.
          setTimeout(() => void load(id), STORED_AFTER_MS);
        } else {
          heed(error);
          onTurn({ state: 'broken', problem: messageOf(error) });
        }
      } finally {
        running.current.delete(id);
        void reload();
      }
    },
    [api, workspace, heed, change, reload, load],
  );

  const ask = useCallback(
    async (conversation: string | null, assistant: string, question: string) => {
      let id = conversation;
      if (id === null) {
        const made = await api.createConversation(workspace, assistant);
        id = made.id;
        setList((all) => [{ ...made, title: made.title || question.slice(0, 80) }, ...(all ?? [])]);
      } else {
        // What was stopped or broken before is stored by the server as it stands there.
        if (threads[id]?.turn) await load(id);
      }
      void run(id, question);
      return id;
    },
    [api, workspace, run, load, threads],
  );

  const stop = useCallback((id: string) => running.current.get(id)?.abort(), []);

  return { list, problem, threads, finished, load, reload, ask, stop };
}

/** Takes an event into an answer that is coming. */
export function grow(turn: Turn, event: AnswerEvent): Turn {
  switch (event.event) {
    case 'queued':
      return { ...turn, ahead: event.data.ahead };
    case 'delta':
      return { ...turn, ahead: null, text: turn.text + event.data.text };
    case 'citation': {
      const citation = event.data;
      const known = turn.citations.some(({ tag }) => tag === citation.tag);
      return known ? turn : { ...turn, citations: [...turn.citations, citation] };
    }
    default:
      return turn;
  }
}

function asked(question: string, answer: Message): Message {
  return {
    id: `q-${answer.id}`,
    role: 'user',
    text: question,
    kind: null,
    citations: [],
    receipt_id: null,
    created_ms: answer.created_ms,
  };
}

/** Whether the server has the question of a turn that ended early. */
function isStored(turn: Turn | null, messages: Message[]): boolean {
  return turn === null || messages.findLast((message) => message.role === 'user')?.text === turn.question;
}

/** Oldest first, whichever way the server lists them; a question stands before its answer. */
function inOrder(messages: Message[]): Message[] {
  const rank = (message: Message) => (message.role === 'user' ? 0 : 1);
  return messages.toSorted((a, b) => a.created_ms - b.created_ms || rank(a) - rank(b));
}
