// Inviting people: an enrolment link works once and is shown once.

import { type FormEvent, useState } from 'react';
import type { Api } from '../api/client';
import type { Enrolment, Role } from '../api/types';
import { messageOf } from '../state/documents';
import { Copy, Plus } from './icons';
import { timeOf } from '../text/words';

const ROLES: [Role, string, string][] = [
  ['member', 'Member', 'asks, uploads documents and makes assistants'],
  ['auditor', 'Auditor', 'exports and verifies the audit log; reads no content'],
  ['owner', 'Owner', 'may do everything, invitations included'],
];

export function PeopleView({ api, heed }: { api: Api; heed: (error: unknown) => void }) {
  const [role, setRole] = useState<Role>('member');
  const [enrolment, setEnrolment] = useState<Enrolment | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [copied, setCopied] = useState(false);
  const link = enrolment ? `${location.origin}/#enrol=${enrolment.code}` : '';

  async function submit(event: FormEvent) {
    event.preventDefault();
    setProblem(null);
    setCopied(false);
    try {
      setEnrolment(await api.createEnrolment(role));
    } catch (error) {
      heed(error);
      setProblem(messageOf(error));
    }
  }

  return (
    <div className="column plain-view">
      <p className="lede">Invite someone by a link. They choose a name and a password; the password stays with them.</p>
      <form onSubmit={(event) => void submit(event)} className="stack">
        <fieldset className="field">
          <legend>Role</legend>
          {ROLES.map(([value, name, what]) => (
            <label className="option" key={value}>
              <input type="radio" name="role" checked={role === value} onChange={() => setRole(value)} />
              <span>
                <strong>{name}</strong> {what}
              </span>
            </label>
          ))}
        </fieldset>
        <p role="alert" className={problem === null ? 'hidden' : 'notice danger-notice'}>
          {problem}
        </p>
        <div className="actions">
          <button type="submit" className="primary">
            <Plus /> Make an enrolment link
          </button>
        </div>
      </form>
      <div role="status">
        {enrolment && (
          <div className="notice link-box">
            <p>
              For one {enrolment.role}, once, until {timeOf(enrolment.expires_ms)}. Give it to nobody else: whoever
              opens it first gets the account.
            </p>
            <code className="digest">{link}</code>
            <button
              type="button"
              className="secondary"
              onClick={() =>
                void navigator.clipboard.writeText(link).then(
                  () => setCopied(true),
                  () => {},
                )
              }
            >
              <Copy /> {copied ? 'Copied' : 'Copy the link'}
            </button>
          </div>
        )}
      </div>
    </div>
  );
}
