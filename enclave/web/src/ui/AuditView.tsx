// The audit log: exporting it, for owners and auditors.

import { type FormEvent, useState } from 'react';
import type { Api } from '../api/client';
import type { Me } from '../api/types';
import { messageOf } from '../state/documents';
import { Download } from './icons';
import { fileSize } from '../text/words';
import { saveFile } from './words';

export function AuditView(props: { api: Api; me: Me; heed: (error: unknown) => void }) {
  const [recipient, setRecipient] = useState('');
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const [done, setDone] = useState<string | null>(null);

  async function submit(event: FormEvent) {
    event.preventDefault();
    const age = recipient.trim();
    if (age !== '' && !/^age1[0-9a-z]{58}$/.test(age)) {
      setProblem('An age recipient begins with “age1” and has 62 characters. Leave the field empty for a plain file.');
      return;
    }
    setBusy(true);
    setProblem(null);
    setDone(null);
    try {
      const bytes = await props.api.exportAudit(age === '' ? null : age);
      const name = `audit-${new Date().toISOString().slice(0, 10)}.tar${age === '' ? '' : '.age'}`;
      saveFile(name, 'application/x-tar', bytes);
      setDone(`${name} is saved, ${fileSize(bytes.length)}.`);
    } catch (error) {
      props.heed(error);
      setProblem(messageOf(error));
    }
    setBusy(false);
  }

  return (
    <div className="column plain-view">
      <p className="lede">
        Everything that happens in {props.me.org_name} is recorded in a log that cannot be changed unnoticed. It says
        who did what and when; it holds no questions, answers or documents.
      </p>
      <form onSubmit={(event) => void submit(event)} className="stack">
        <label className="field">
          <span>Encrypt the export to (optional)</span>
          <input
            value={recipient}
            onChange={(event) => setRecipient(event.target.value)}
            placeholder="age1…"
            spellCheck={false}
            autoComplete="off"
            dir="ltr"
          />
        </label>
        <p role="alert" className={problem === null ? 'hidden' : 'notice danger-notice'}>
          {problem}
        </p>
        <div className="actions">
          <button type="submit" className="primary" disabled={busy}>
            <Download /> {busy ? 'Exporting…' : 'Export audit log'}
          </button>
        </div>
        <p role="status" className="fine">
          {done}
        </p>
      </form>
      <section className="how-to">
        <h2>Verify it anywhere, without this appliance</h2>
        <pre tabIndex={0}>
          <code>cloister-verify audit audit-….tar</code>
        </pre>
      </section>
    </div>
  );
}
