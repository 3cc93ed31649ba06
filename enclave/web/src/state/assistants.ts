// The assistants of a workspace. There is always one: a default one is made when there is none.

import { useCallback, useEffect, useRef, useState } from 'react';
import type { Api } from '../api/client';
import type { Assistant } from '../api/types';
import { messageOf } from './documents';

/** What the screens work with. */
export interface Assistants {
  /** Null while loading. */
  readonly list: Assistant[] | null;
  readonly problem: string | null;
  /** The one that a new conversation goes to. */
  readonly selected: Assistant | null;
  select(id: string | null): void;
  create(name: string, purpose: string, documentIds: string[] | null): Promise<void>;
  reload(): Promise<void>;
}

const DEFAULT_NAME = 'Librarian';
const DEFAULT_PURPOSE = 'Answers questions from the documents of this workspace, with citations.';

/** Keeps the assistants of one workspace. */
export function useAssistants(api: Api, workspace: string, heed: (error: unknown) => void): Assistants {
  const [list, setList] = useState<Assistant[] | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [selectedId, select] = useState<string | null>(null);
  const loading = useRef(false);

  const reload = useCallback(async () => {
    if (loading.current) return;
    loading.current = true;
    try {
      const known = await api.assistants(workspace);
      setList(known.length > 0 ? known : [await api.createAssistant(workspace, DEFAULT_NAME, DEFAULT_PURPOSE, null)]);
      setProblem(null);
    } catch (error) {
      heed(error);
      setProblem(messageOf(error));
    } finally {
      loading.current = false;
    }
  }, [api, workspace, heed]);

  useEffect(() => {
    void reload();
  }, [reload]);

  const create = useCallback(
    async (name: string, purpose: string, documentIds: string[] | null) => {
      const made = await api.createAssistant(workspace, name, purpose, documentIds);
      setList((all) => [made, ...(all ?? [])]);
      select(made.id);
    },
    [api, workspace],
  );

  // The oldest is the default one.
  const selected = list?.find(({ id }) => id === selectedId) ?? list?.at(-1) ?? null;
  return { list, problem, selected, select, create, reload };
}
