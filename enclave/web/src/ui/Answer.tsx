// An answer: its text with numbered citations, how it came about, its sources and its receipt.

import { type ReactNode, useMemo, useState } from 'react';
import type { Api } from '../api/client';
import type { AnswerKind, Citation, Message } from '../api/types';
import { messageOf } from '../state/documents';
import type { Turn } from '../state/threads';
import { parseMarkdown, plainText } from '../text/markdown';
import { Book, Copy, Download } from './icons';
import { MarkdownView } from './MarkdownView';
import { count, sentence } from '../text/words';
import { saveFile } from './words';

type OnSources = (citations: Citation[], tag: string | null) => void;

const KIND_WORDS: Record<AnswerKind, string | null> = {
  generated: null,
  quotation: 'Word for word',
  refusal: 'No answer in the documents',
  stopped: 'Stopped before the end.',
};

export function Answer({ api, message, onSources }: { api: Api; message: Message; onSources: OnSources }) {
  const kind = message.kind && KIND_WORDS[message.kind];
  return (
    <article className="answer">
      <h2 className="hidden">Answer</h2>
      {kind && <p className={`kind ${message.kind}`}>{kind}</p>}
      <Text text={message.text} citations={message.citations} onSources={onSources} />
      <div className="answer-actions">
        <SourcesButton citations={message.citations} onSources={onSources} />
        <CopyButton text={message.text} />
        {message.receipt_id !== null && <ReceiptButton api={api} id={message.receipt_id} />}
      </div>
    </article>
  );
}

/** An answer that is coming, was stopped, or did not come whole. */
export function ComingAnswer(props: { turn: Turn; onSources: OnSources; onAskAgain: () => void }) {
  const { turn, onSources } = props;
  const running = turn.state === 'running';
  return (
    <article className="answer" aria-busy={running}>
      <h2 className="hidden">Answer</h2>
      {turn.text === '' && running && (
        <p className="thinking" role="status">
          <span className="dots" aria-hidden="true">
            <span />
            <span />
            <span />
          </span>
          {turn.ahead === null || turn.ahead === 0
            ? 'Looking through the documents…'
            : `Waiting for a free place: ${count(turn.ahead, 'question')} ahead.`}
        </p>
      )}
      {turn.text !== '' && <Text text={turn.text} citations={turn.citations} onSources={onSources} growing={running} />}
      {turn.state === 'stopped' && <p className="kind stopped">Stopped before the end.</p>}
      {turn.state === 'broken' && (
        <div className="notice danger-notice" role="alert">
          <p>
            <strong>This answer did not come whole.</strong> {sentence(turn.problem ?? '')} Do not rely on what stands
            above.
          </p>
          <button type="button" className="secondary" onClick={props.onAskAgain}>
            Ask again
          </button>
        </div>
      )}
      {turn.citations.length > 0 && (
        <div className="answer-actions">
          <SourcesButton citations={turn.citations} onSources={onSources} />
        </div>
      )}
    </article>
  );
}

function Text(props: { text: string; citations: Citation[]; onSources: OnSources; growing?: boolean }) {
  const { text, citations, onSources } = props;
  const blocks = useMemo(() => parseMarkdown(text), [text]);
  const cite = (tag: string): ReactNode => {
    const number = citations.findIndex((citation) => citation.tag === tag) + 1;
    const citation = citations[number - 1];
    // A tag that means nothing is not shown: a number that leads nowhere is worse than none.
    if (!citation) return null;
    return (
      <button
        type="button"
        className="citation"
        onClick={() => onSources(citations, tag)}
        aria-label={`Source ${number}: ${citation.document_title}${citation.page === null ? '' : `, page ${citation.page}`}`}
      >
        {number}
      </button>
    );
  };
  return (
    <div className={props.growing ? 'prose growing' : 'prose'} dir="auto">
      <MarkdownView blocks={blocks} cite={cite} />
    </div>
  );
}

function SourcesButton({ citations, onSources }: { citations: Citation[]; onSources: OnSources }) {
  if (citations.length === 0) return null;
  return (
    <button type="button" className="small" onClick={() => onSources(citations, null)}>
      <Book /> {count(citations.length, 'source')}
    </button>
  );
}

function CopyButton({ text }: { text: string }) {
  const [copied, setCopied] = useState(false);
  async function copy() {
    await navigator.clipboard.writeText(plainText(parseMarkdown(text)));
    setCopied(true);
    setTimeout(() => setCopied(false), 2000);
  }
  return (
    <button type="button" className="small" onClick={() => void copy().catch(() => {})}>
      <Copy /> <span aria-live="polite">{copied ? 'Copied' : 'Copy'}</span>
    </button>
  );
}

function ReceiptButton({ api, id }: { api: Api; id: string }) {
  const [problem, setProblem] = useState<string | null>(null);
  async function download() {
    try {
      saveFile(`${id}.json`, 'application/json', await api.receipt(id));
      setProblem(null);
    } catch (error) {
      setProblem(messageOf(error));
    }
  }
  return (
    <>
      <button
        type="button"
        className="small"
        onClick={() => void download()}
        title="A signed record of this answer, its sources and its model. Check it with cloister-verify."
      >
        <Download /> Receipt
      </button>
      {problem !== null && (
        <span className="fine" role="alert">
          {problem}
        </span>
      )}
    </>
  );
}
