// The documents: adding them, how far they are, what went wrong, and taking them away.

import { useRef, useState } from 'react';
import type { DocumentInfo } from '../api/types';
import { type Documents, type Upload as UploadInfo, messageOf } from '../state/documents';
import { Bin, Chat, Close, Page, Upload } from './icons';
import { count, fileSize, timeOf } from '../text/words';

const ACCEPT = '.pdf,.md,.markdown,.html,.htm,.txt,text/plain,text/html,text/markdown,application/pdf';

export function DocumentsView({ documents, onAsk }: { documents: Documents; onAsk: () => void }) {
  const picker = useRef<HTMLInputElement>(null);
  const { list, problem, uploads, notice } = documents;
  const empty = list?.length === 0 && uploads.length === 0;
  return (
    <div className="documents column">
      <div className="documents-head">
        <p className="lede">
          PDF, Markdown, HTML and plain text. Files are encrypted to the enclave before they leave this browser.
        </p>
        <div className="actions">
          <button type="button" className="primary" onClick={() => picker.current?.click()}>
            <Upload /> Add documents
          </button>
          {list?.some((document) => document.state === 'ready') && (
            <button type="button" className="secondary" onClick={onAsk}>
              <Chat /> Ask
            </button>
          )}
        </div>
        <input
          ref={picker}
          type="file"
          multiple
          accept={ACCEPT}
          className="hidden"
          tabIndex={-1}
          aria-label="Files to add"
          onChange={(event) => {
            if (event.target.files) documents.upload([...event.target.files]);
            event.target.value = '';
          }}
        />
      </div>
      <p className="hidden" role="status">
        {notice}
      </p>
      {problem !== null && (
        <p className="notice danger-notice" role="alert">
          {problem}{' '}
          <button type="button" className="inline" onClick={() => void documents.reload()}>
            Try again
          </button>
        </p>
      )}
      {list === null && problem === null && <p className="fine">Loading the documents…</p>}
      {empty && (
        <button type="button" className="drop-here" onClick={() => picker.current?.click()}>
          <Upload />
          <strong>Drop documents here</strong>
          <span>or choose them from this device</span>
        </button>
      )}
      <ul className="document-list" aria-label="Documents">
        {uploads.map((upload) => (
          <UploadRow key={upload.key} upload={upload} onCancel={() => documents.cancel(upload.key)} />
        ))}
        {list?.map((document) => (
          <DocumentRow key={document.id} document={document} onRemove={() => documents.remove(document)} />
        ))}
      </ul>
    </div>
  );
}

function UploadRow({ upload, onCancel }: { upload: UploadInfo; onCancel: () => void }) {
  const { progress, problem, file } = upload;
  return (
    <li className={problem === null ? 'busy' : 'error'}>
      <Page />
      <div className="document-words">
        <p className="document-title" dir="auto">
          {file.name}
        </p>
        {problem !== null ? (
          <p className="document-problem" role="alert">
            {problem}
          </p>
        ) : (
          <>
            <p className="document-facts">
              {progress === null && 'Waiting…'}
              {progress?.phase === 'sealing' && `Encrypting ${fileSize(file.size)}…`}
              {progress?.phase === 'sending' && `Sending ${fileSize(progress.bytes)} of ${fileSize(progress.total)}`}
            </p>
            <progress
              aria-label={`Upload of ${file.name}`}
              max={100}
              value={progress?.phase === 'sending' ? (100 * progress.bytes) / Math.max(1, progress.total) : 0}
            />
          </>
        )}
      </div>
      <button
        type="button"
        className="quiet square"
        onClick={onCancel}
        aria-label={`${problem === null ? 'Stop the upload of' : 'Dismiss'} ${file.name}`}
      >
        <Close />
      </button>
    </li>
  );
}

function DocumentRow({ document, onRemove }: { document: DocumentInfo; onRemove: () => Promise<void> }) {
  const [asking, setAsking] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const busy = document.state === 'uploaded' || document.state === 'processing';
  return (
    <li className={document.state === 'error' ? 'error' : busy ? 'busy' : 'ready'}>
      <Page />
      <div className="document-words">
        <p className="document-title" dir="auto">
          {document.title || document.file_name}
        </p>
        <p className="document-facts">{facts(document)}</p>
        {busy && <progress aria-label={`Reading ${document.title}`} max={100} value={document.progress} />}
        {document.state === 'error' && (
          <p className="document-problem">{document.problem ?? 'It could not be read.'}</p>
        )}
        {problem !== null && (
          <p className="document-problem" role="alert">
            {problem}
          </p>
        )}
      </div>
      {asking ? (
        <div className="confirm">
          <button
            type="button"
            className="danger"
            autoFocus
            onClick={() => {
              setAsking(false);
              onRemove().catch((error: unknown) => setProblem(messageOf(error)));
            }}
          >
            Delete for everyone
          </button>
          <button type="button" className="secondary" onClick={() => setAsking(false)}>
            Keep
          </button>
        </div>
      ) : (
        <button
          type="button"
          className="quiet square"
          onClick={() => setAsking(true)}
          aria-label={`Delete ${document.title}`}
        >
          <Bin />
        </button>
      )}
    </li>
  );
}

function facts(document: DocumentInfo): string {
  const parts = [document.format.toUpperCase(), fileSize(document.size_bytes)];
  if (document.page_count !== null) parts.push(count(document.page_count, 'page'));
  switch (document.state) {
    case 'uploaded':
      parts.push('waiting to be read');
      break;
    case 'processing':
      parts.push(`being read, ${document.progress} %`);
      break;
    case 'error':
      parts.push('not readable');
      break;
    case 'ready':
      if (document.chunk_count !== null) parts.push(count(document.chunk_count, 'passage'));
      parts.push(`added ${timeOf(document.created_ms)}`);
      break;
  }
  return parts.join(' · ');
}
