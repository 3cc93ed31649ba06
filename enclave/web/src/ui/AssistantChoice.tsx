// Which assistant a new conversation goes to, and making another one.

import { type FormEvent, useRef, useState } from 'react';
import type { DocumentInfo } from '../api/types';
import type { Assistants } from '../state/assistants';
import { messageOf } from '../state/documents';
import { Close, Plus } from './icons';

export function AssistantChoice({ assistants, documents }: { assistants: Assistants; documents: DocumentInfo[] }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const { list, selected } = assistants;
  if (list === null) return assistants.problem === null ? <p className="fine">Loading the assistants…</p> : null;
  return (
    <div className="assistant-choice">
      <label>
        <span>Assistant</span>
        <select value={selected?.id ?? ''} onChange={(event) => assistants.select(event.target.value)}>
          {list.map((assistant) => (
            <option key={assistant.id} value={assistant.id}>
              {assistant.name}
            </option>
          ))}
        </select>
      </label>
      <button type="button" className="secondary" onClick={() => dialog.current?.showModal()}>
        <Plus /> New assistant
      </button>
      {selected && (
        <p className="fine" dir="auto">
          {selected.purpose}
          {selected.document_ids !== null && ` It reads ${selected.document_ids.length} of the documents.`}
        </p>
      )}
      <dialog ref={dialog} className="dialog" aria-labelledby="new-assistant-title">
        <NewAssistant assistants={assistants} documents={documents} onClose={() => dialog.current?.close()} />
      </dialog>
    </div>
  );
}

function NewAssistant(props: { assistants: Assistants; documents: DocumentInfo[]; onClose: () => void }) {
  const [name, setName] = useState('');
  const [purpose, setPurpose] = useState('');
  const [some, setSome] = useState(false);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [problem, setProblem] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);

  async function submit(event: FormEvent) {
    event.preventDefault();
    if (some && chosen.size === 0) {
      setProblem('Choose at least one document, or let it read all of them.');
      return;
    }
    setBusy(true);
    setProblem(null);
    try {
      await props.assistants.create(name.trim(), purpose.trim(), some ? [...chosen] : null);
      setName('');
      setPurpose('');
      props.onClose();
    } catch (error) {
      setProblem(messageOf(error));
    }
    setBusy(false);
  }

  function toggle(id: string) {
    const next = new Set(chosen);
    if (!next.delete(id)) next.add(id);
    setChosen(next);
  }

  return (
    <form onSubmit={(event) => void submit(event)} className="stack">
      <div className="dialog-head">
        <h2 id="new-assistant-title">New assistant</h2>
        <button type="button" className="quiet square" onClick={props.onClose} aria-label="Close">
          <Close />
        </button>
      </div>
      <label className="field">
        <span>Name</span>
        <input value={name} onChange={(event) => setName(event.target.value)} required maxLength={80} dir="auto" />
      </label>
      <label className="field">
        <span>What it is for</span>
        <textarea
          value={purpose}
          onChange={(event) => setPurpose(event.target.value)}
          required
          maxLength={1000}
          rows={3}
          dir="auto"
          placeholder="Answers questions of new colleagues about travel and expenses."
        />
      </label>
      <fieldset className="field">
        <legend>What it reads</legend>
        <label className="option">
          <input type="radio" name="reads" checked={!some} onChange={() => setSome(false)} />
          <span>All documents of the workspace, also those that come later</span>
        </label>
        <label className="option">
          <input type="radio" name="reads" checked={some} onChange={() => setSome(true)} />
          <span>Only some</span>
        </label>
        {some && (
          <ul className="choice-list">
            {props.documents.map((document) => (
              <li key={document.id}>
                <label className="option">
                  <input type="checkbox" checked={chosen.has(document.id)} onChange={() => toggle(document.id)} />
                  <span dir="auto">{document.title}</span>
                </label>
              </li>
            ))}
          </ul>
        )}
      </fieldset>
      <p role="alert" className={problem === null ? 'hidden' : 'notice danger-notice'}>
        {problem}
      </p>
      <div className="actions">
        <button type="button" className="secondary" onClick={props.onClose}>
          Cancel
        </button>
        <button type="submit" className="primary" disabled={busy}>
          {busy ? 'Making…' : 'Make assistant'}
        </button>
      </div>
    </form>
  );
}
