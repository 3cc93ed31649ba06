// The signed-in page: navigation, one main view, and at most one panel beside it.

import { useCallback, useEffect, useRef, useState } from 'react';
import type { Api } from '../api/client';
import type { Citation, Me } from '../api/types';
import { useAssistants } from '../state/assistants';
import { useDocuments } from '../state/documents';
import { useThreads } from '../state/threads';
import { AuditView } from './AuditView';
import { ConversationView } from './ConversationView';
import { useCloister } from './context';
import { DocumentsView } from './DocumentsView';
import { DropTarget } from './DropTarget';
import { Page } from './icons';
import { PeopleView } from './PeopleView';
import { ShieldPanel } from './ShieldPanel';
import { Sidebar } from './Sidebar';
import { SourcesPanel } from './SourcesPanel';
import { TopBar } from './TopBar';

/** The main views. */
export type View =
  { name: 'conversation'; id: string | null } | { name: 'documents' } | { name: 'audit' } | { name: 'people' };

/** The panels. */
export type PanelState = { name: 'shield' } | { name: 'sources'; citations: Citation[]; tag: string | null } | null;

export function Workspace({ api, me }: { api: Api; me: Me }) {
  const [workspace, setWorkspace] = useState(me.workspaces[0]?.id ?? null);
  if (me.role === 'auditor' || workspace === null) return <WithoutWorkspace api={api} me={me} />;
  return <InWorkspace key={workspace} api={api} me={me} workspace={workspace} onWorkspace={setWorkspace} />;
}

function InWorkspace(props: { api: Api; me: Me; workspace: string; onWorkspace: (id: string) => void }) {
  const { api, me, workspace } = props;
  const cloister = useCloister();
  const heed = useCallback((error: unknown) => cloister.heed(error), [cloister]);
  const documents = useDocuments(api, workspace, heed);
  const threads = useThreads(api, workspace, heed);
  const assistants = useAssistants(api, workspace, heed);
  const [view, setView] = useState<View>({ name: 'conversation', id: null });
  const { panel, open, close } = usePanel();
  const [menuOpen, setMenuOpen] = useState(false);
  const main = useRef<HTMLElement>(null);

  const go = useCallback(
    (next: View) => {
      setView(next);
      setMenuOpen(false);
      close();
      if (next.name !== 'conversation') main.current?.focus();
    },
    [close],
  );
  const selectAssistant = assistants.select;
  const upload = useCallback(
    (files: Iterable<File>) => {
      documents.upload(files);
      setView({ name: 'documents' });
    },
    [documents.upload],
  );

  return (
    <DropTarget onFiles={upload}>
      <div className="workspace" data-panel={panel !== null} data-menu={menuOpen}>
        <Sidebar
          me={me}
          workspace={workspace}
          onWorkspace={props.onWorkspace}
          view={view}
          onView={go}
          threads={threads}
          documents={documents}
          open={menuOpen}
          onClose={() => setMenuOpen(false)}
        />
        <div className="main-column">
          <TopBar
            title={titleOf(view, threads)}
            onMenu={() => setMenuOpen(true)}
            onShield={() => (panel?.name === 'shield' ? close() : open({ name: 'shield' }))}
            shieldOpen={panel?.name === 'shield'}
          />
          <main id="main" tabIndex={-1} ref={main}>
            {view.name === 'conversation' && (
              <ConversationView
                key={view.id ?? 'new'}
                api={api}
                id={view.id}
                threads={threads}
                assistants={assistants}
                documents={documents}
                onConversation={(id) => setView({ name: 'conversation', id })}
                onDocuments={() => go({ name: 'documents' })}
                onSources={(citations, tag) => open({ name: 'sources', citations, tag })}
              />
            )}
            {view.name === 'documents' && (
              <DocumentsView
                documents={documents}
                onAsk={() => {
                  selectAssistant(null);
                  go({ name: 'conversation', id: null });
                }}
              />
            )}
            {view.name === 'audit' && <AuditView api={api} me={me} heed={heed} />}
            {view.name === 'people' && <PeopleView api={api} heed={heed} />}
          </main>
        </div>
        {panel?.name === 'shield' && <ShieldPanel onClose={close} />}
        {panel?.name === 'sources' && <SourcesPanel citations={panel.citations} tag={panel.tag} onClose={close} />}
      </div>
    </DropTarget>
  );
}

/** For auditors, who read no content, and for people without a workspace. */
function WithoutWorkspace({ api, me }: { api: Api; me: Me }) {
  const cloister = useCloister();
  const { panel, open, close } = usePanel();
  return (
    <div className="without-workspace">
      <div className="workspace" data-panel={panel !== null} data-menu="none">
        <div className="main-column">
          <TopBar
            title={me.org_name}
            onMenu={null}
            onShield={() => (panel ? close() : open({ name: 'shield' }))}
            shieldOpen={panel !== null}
            onLogOut={() => void cloister.logOut()}
          />
          <main id="main" tabIndex={-1}>
            {me.role === 'member' ? (
              <div className="empty">
                <Page />
                <h2>No workspace yet</h2>
                <p>Ask an owner of {me.org_name} to add you to one.</p>
              </div>
            ) : (
              <AuditView api={api} me={me} heed={(error) => cloister.heed(error)} />
            )}
          </main>
        </div>
        {panel && <ShieldPanel onClose={close} />}
      </div>
    </div>
  );
}

/** One panel at a time; closing it gives the focus back to what opened it. */
function usePanel() {
  const [panel, setPanel] = useState<PanelState>(null);
  const opener = useRef<Element | null>(null);
  const open = useCallback((next: NonNullable<PanelState>) => {
    if (!document.activeElement?.closest('.panel')) opener.current = document.activeElement;
    setPanel(next);
  }, []);
  const close = useCallback(() => {
    setPanel((present) => {
      if (present && opener.current instanceof HTMLElement && opener.current.isConnected) {
        const back = opener.current;
        queueMicrotask(() => back.focus());
      }
      return null;
    });
  }, []);
  useEffect(() => {
    if (!panel) return;
    const onKey = (event: KeyboardEvent) => {
      if (event.key === 'Escape' && !document.querySelector('dialog[open]')) close();
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, [panel, close]);
  return { panel, open, close };
}

function titleOf(view: View, threads: ReturnType<typeof useThreads>): string {
  switch (view.name) {
    case 'documents':
      return 'Documents';
    case 'audit':
      return 'Audit log';
    case 'people':
      return 'People';
    case 'conversation':
      return (view.id !== null && threads.list?.find((known) => known.id === view.id)?.title) || 'New conversation';
  }
}
