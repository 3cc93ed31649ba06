// One conversation: what was said, the answer that is coming, and the place to ask.

import { useEffect, useMemo, useRef, useState } from 'react';
import type { Api } from '../api/client';
import type { Citation, Message } from '../api/types';
import type { Assistants } from '../state/assistants';
import { type Documents, messageOf } from '../state/documents';
import type { Thread, Threads } from '../state/threads';
import { parseMarkdown, plainText } from '../text/markdown';
import { Answer, ComingAnswer } from './Answer';
import { AssistantChoice } from './AssistantChoice';
import { Composer } from './Composer';
import { Upload } from './icons';

export function ConversationView(props: {
  api: Api;
  id: string | null;
  threads: Threads;
  assistants: Assistants;
  documents: Documents;
  onConversation: (id: string) => void;
  onDocuments: () => void;
  onSources: (citations: Citation[], tag: string | null) => void;
}) {
  const { id, threads, assistants, documents } = props;
  const thread: Thread | null = id === null ? null : (threads.threads[id] ?? null);
  const [problem, setProblem] = useState<string | null>(null);
  const load = threads.load;
  const known = thread !== null;
  useEffect(() => {
    if (id !== null && !known) void load(id);
  }, [id, known, load]);

  async function ask(question: string): Promise<boolean> {
    const assistant = assistants.selected;
    if (!assistant) return false;
    setProblem(null);
    try {
      const conversation = await threads.ask(id, assistant.id, question);
      if (id === null) props.onConversation(conversation);
      return true;
    } catch (error) {
      setProblem(messageOf(error));
      return false;
    }
  }

  const running = thread?.turn?.state === 'running';
  const ready = documents.list?.filter((document) => document.state === 'ready').length ?? null;
  return (
    <div className="conversation">
      <Scroller pin={`${thread?.messages?.length ?? 0}:${thread?.turn?.text.length ?? 0}:${thread?.turn?.state}`}>
        {id === null && (
          <Welcome assistants={assistants} documents={documents} ready={ready} onDocuments={props.onDocuments} />
        )}
        {id !== null && thread?.messages == null && !thread?.turn && thread?.problem == null && <Skeleton />}
        {thread?.problem != null && (
          <p className="notice danger-notice" role="alert">
            {thread.problem}{' '}
            <button type="button" className="inline" onClick={() => id !== null && void load(id)}>
              Try again
            </button>
          </p>
        )}
        <ol className="messages" aria-label="Messages">
          {thread?.messages?.map((message) => (
            <li key={message.id} className={message.role}>
              {message.role === 'user' ? (
                <Question text={message.text} />
              ) : (
                <Answer api={props.api} message={message} onSources={props.onSources} />
              )}
            </li>
          ))}
          {thread?.turn && (
            <>
              <li className="user">
                <Question text={thread.turn.question} />
              </li>
              <li className="assistant">
                <ComingAnswer
                  turn={thread.turn}
                  onSources={props.onSources}
                  onAskAgain={() => void ask(thread.turn?.question ?? '')}
                />
              </li>
            </>
          )}
        </ol>
      </Scroller>
      <Announcement message={threads.finished} />
      {problem !== null && (
        <p className="notice danger-notice" role="alert">
          {problem}
        </p>
      )}
      <Composer
        running={running}
        ready={assistants.selected !== null}
        onAsk={ask}
        onStop={() => id !== null && threads.stop(id)}
        focusKey={id ?? 'new'}
      />
    </div>
  );
}

function Question({ text }: { text: string }) {
  return (
    <>
      <h2 className="hidden">You asked</h2>
      <p className="question" dir="auto">
        {text}
      </p>
    </>
  );
}

function Welcome(props: {
  assistants: Assistants;
  documents: Documents;
  ready: number | null;
  onDocuments: () => void;
}) {
  const { assistants, documents, ready } = props;
  return (
    <div className="welcome">
      <h2>Ask your documents</h2>
      <p className="lede">
        Answers come from what you uploaded, with the passages they rest on. If the documents do not answer, you are
        told so.
      </p>
      {assistants.problem !== null && (
        <p className="notice danger-notice" role="alert">
          {assistants.problem}{' '}
          <button type="button" className="inline" onClick={() => void assistants.reload()}>
            Try again
          </button>
        </p>
      )}
      <AssistantChoice assistants={assistants} documents={documents.list ?? []} />
      {ready === 0 && (
        <div className="first-step">
          <p>
            {documents.list?.length === 0
              ? 'There are no documents yet.'
              : 'The documents are still being read; questions can be asked as soon as one is ready.'}
          </p>
          <button type="button" className="secondary" onClick={props.onDocuments}>
            <Upload /> {documents.list?.length === 0 ? 'Add documents' : 'See how far they are'}
          </button>
        </div>
      )}
    </div>
  );
}

function Skeleton() {
  return (
    <div className="skeleton" role="status">
      <span className="hidden">Loading the conversation…</span>
      <span />
      <span />
      <span />
    </div>
  );
}

/** Read out once, when an answer is whole; the growing text itself is not announced. */
function Announcement({ message }: { message: Message | null }) {
  const text = useMemo(() => (message ? plainText(parseMarkdown(message.text)) : ''), [message]);
  const sources = message?.citations.length ?? 0;
  return (
    <div className="hidden" role="log" aria-live="polite" aria-label="Finished answers">
      {message && (
        <p key={message.id}>
          Answer: {text} {sources > 0 && `With ${sources} ${sources === 1 ? 'source' : 'sources'}.`}
        </p>
      )}
    </div>
  );
}

/** Keeps the end in sight while it grows, unless the person scrolled away from it. */
function Scroller({ pin, children }: { pin: string; children: React.ReactNode }) {
  const box = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  useEffect(() => {
    const element = box.current;
    if (element && atEnd.current) element.scrollTop = element.scrollHeight;
  }, [pin]);
  return (
    <div
      className="scroller"
      ref={box}
      tabIndex={0}
      role="region"
      aria-label="Conversation"
      onScroll={(event) => {
        const element = event.currentTarget;
        atEnd.current = element.scrollHeight - element.scrollTop - element.clientHeight < 48;
      }}
    >
      <div className="column">{children}</div>
    </div>
  );
}
