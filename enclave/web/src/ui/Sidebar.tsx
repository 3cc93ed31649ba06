// Navigation: conversations, documents, people, audit log, and the way out. On a phone it is a sheet over the page.

import { useEffect, useRef } from 'react';
import type { Me } from '../api/types';
import type { Documents } from '../state/documents';
import type { Threads } from '../state/threads';
import { useCloister } from './context';
import { Close, Ledger, Leave, Mark, Page, Person, Plus } from './icons';
import type { View } from './Workspace';

export function Sidebar(props: {
  me: Me;
  workspace: string;
  onWorkspace: (id: string) => void;
  view: View;
  onView: (view: View) => void;
  threads: Threads;
  documents: Documents;
  open: boolean;
  onClose: () => void;
}) {
  const { me, view, onView } = props;
  const cloister = useCloister();
  const nav = useRef<HTMLElement>(null);
  useSheet(nav, props.open, props.onClose);
  const here = (name: View['name']) => (view.name === name ? ('page' as const) : undefined);
  return (
    <>
      <div className="sheet-shade" onClick={props.onClose} aria-hidden="true" />
      <nav className="sidebar" aria-label="Workspace" ref={nav} tabIndex={-1}>
        <div className="sidebar-head">
          <Mark />
          <div>
            <p className="brand">Cloister</p>
            <p className="org" dir="auto">
              {me.org_name}
            </p>
          </div>
          <button
            type="button"
            className="quiet square sheet-close"
            onClick={props.onClose}
            aria-label="Close the navigation"
          >
            <Close />
          </button>
        </div>
        {me.workspaces.length > 1 && (
          <label className="workspace-choice">
            <span className="hidden">Workspace</span>
            <select value={props.workspace} onChange={(event) => props.onWorkspace(event.target.value)}>
              {me.workspaces.map((workspace) => (
                <option key={workspace.id} value={workspace.id}>
                  {workspace.name}
                </option>
              ))}
            </select>
          </label>
        )}
        <button
          type="button"
          className="primary wide new-conversation"
          onClick={() => onView({ name: 'conversation', id: null })}
        >
          <Plus /> New conversation
        </button>
        <ul className="nav-list">
          <li>
            <button type="button" aria-current={here('documents')} onClick={() => onView({ name: 'documents' })}>
              <Page /> Documents
              {props.documents.list && <span className="badge">{props.documents.list.length}</span>}
            </button>
          </li>
          {me.role === 'owner' && (
            <>
              <li>
                <button type="button" aria-current={here('people')} onClick={() => onView({ name: 'people' })}>
                  <Person /> People
                </button>
              </li>
              <li>
                <button type="button" aria-current={here('audit')} onClick={() => onView({ name: 'audit' })}>
                  <Ledger /> Audit log
                </button>
              </li>
            </>
          )}
        </ul>
        <Conversations threads={props.threads} view={view} onView={onView} />
        <div className="sidebar-foot">
          <p>
            <span className="who" dir="auto">
              {me.login}
            </span>
            <span className="role">{me.role}</span>
          </p>
          <button type="button" className="quiet" onClick={() => void cloister.logOut()}>
            <Leave /> Log out
          </button>
        </div>
      </nav>
    </>
  );
}

function Conversations(props: { threads: Threads; view: View; onView: (view: View) => void }) {
  const { list, problem, threads } = props.threads;
  const current = props.view.name === 'conversation' ? props.view.id : null;
  return (
    <section className="conversations" aria-labelledby="conversations-title">
      <h2 id="conversations-title">Conversations</h2>
      {problem !== null && (
        <p className="fine">
          {problem}{' '}
          <button type="button" className="inline" onClick={() => void props.threads.reload()}>
            Try again
          </button>
        </p>
      )}
      {list === null && problem === null && <p className="fine">Loading…</p>}
      {list?.length === 0 && <p className="fine">Your questions will be listed here.</p>}
      <ul className="nav-list">
        {list?.map(({ id, title }) => (
          <li key={id}>
            <button
              type="button"
              aria-current={id === current ? 'page' : undefined}
              onClick={() => props.onView({ name: 'conversation', id })}
            >
              <span className="conversation-title" dir="auto">
                {title || 'Untitled'}
              </span>
              {threads[id]?.turn?.state === 'running' && <span className="dot" role="img" aria-label="answering" />}
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** While it is a sheet: takes the focus, gives it back, and closes with Escape. */
function useSheet(nav: React.RefObject<HTMLElement | null>, open: boolean, onClose: () => void) {
  useEffect(() => {
    if (!open) return;
    const before = document.activeElement;
    nav.current?.focus();
    const onKey = (event: KeyboardEvent) => {
      if (event.key === 'Escape') onClose();
    };
    addEventListener('keydown', onKey);
    return () => {
      removeEventListener('keydown', onKey);
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
    // `onClose` is new on each render; the effect is about opening and closing only.
  }, [open, nav]);
}
