// The passages that an answer rests on: document, section, page and the words themselves.

import { useEffect, useRef } from 'react';
import type { Citation } from '../api/types';
import { Panel } from './Panel';

export function SourcesPanel(props: { citations: Citation[]; tag: string | null; onClose: () => void }) {
  const chosen = useRef<HTMLLIElement>(null);
  useEffect(() => {
    const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
    chosen.current?.scrollIntoView({ block: 'nearest', behavior: calm ? 'auto' : 'smooth' });
    chosen.current?.focus({ preventScroll: true });
  }, [props.tag]);
  return (
    <Panel title="Sources" onClose={props.onClose}>
      <ol className="sources">
        {props.citations.map((citation, at) => {
          const isChosen = citation.tag === props.tag;
          return (
            <li
              key={citation.tag}
              ref={isChosen ? chosen : null}
              tabIndex={-1}
              aria-current={isChosen ? 'true' : undefined}
            >
              <Source citation={citation} number={at + 1} />
            </li>
          );
        })}
      </ol>
      <p className="fine">
        Each quotation was compared with the stored document by the enclave. To check that it is your copy, compare the
        SHA-256 of your file.
      </p>
    </Panel>
  );
}

function Source({ citation, number }: { citation: Citation; number: number }) {
  return (
    <>
      <h3 dir="auto">
        <span className="source-number">{number}</span>
        {citation.document_title}
      </h3>
      <p className="source-place" dir="auto">
        {citation.section.join(' › ')}
        {citation.page !== null && (
          <span className="page">
            {citation.section.length > 0 && ' · '}page {citation.page}
          </span>
        )}
      </p>
      <blockquote dir="auto">{citation.quote}</blockquote>
      <details className="disclosure">
        <summary>
          Fingerprint<span className="hidden"> of source {number}</span>
        </summary>
        <code className="digest">{citation.document_sha256}</code>
      </details>
    </>
  );
}
