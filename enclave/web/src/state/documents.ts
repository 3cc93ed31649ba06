// The documents of a workspace: the server's list, kept fresh while something is being processed, and uploads.

import { useCallback, useEffect, useRef, useState } from 'react';
import type { Api } from '../api/client';
import type { DocumentInfo } from '../api/types';
import type { UploadProgress } from '../channel/channel';
import { sentence } from '../text/words';

/** An upload that the server has not confirmed yet, or that failed. */
export interface Upload {
  readonly key: number;
  readonly file: File;
  readonly progress: UploadProgress | null;
  readonly problem: string | null;
}

/** What the documents screen works with. */
export interface Documents {
  /** Null while the first list is loading. */
  readonly list: DocumentInfo[] | null;
  readonly problem: string | null;
  readonly uploads: Upload[];
  /** A word about the last upload, for the screen and for screen readers. */
  readonly notice: string;
  reload(): Promise<void>;
  upload(files: Iterable<File>): void;
  cancel(key: number): void;
  remove(document: DocumentInfo): Promise<void>;
}

const POLL_MS = 1200;

const OUTCOME_WORDS = {
  new: (title: string) => `“${title}” is uploaded and is now being read.`,
  existing: (title: string) => `“${title}” is already here; nothing was read again.`,
  access_granted: (title: string) => `“${title}” was already in your organisation; it is available here at once.`,
};

/** The most uploads at a time; the others wait. */
const PARALLEL = 2;

/** Keeps the documents of one workspace. */
export function useDocuments(api: Api, workspace: string, heed: (error: unknown) => void): Documents {
  const [list, setList] = useState<DocumentInfo[] | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [uploads, setUploads] = useState<Upload[]>([]);
  const [notice, setNotice] = useState('');
  const nextKey = useRef(1);
  const running = useRef(new Map<number, AbortController>());

  const reload = useCallback(async () => {
    try {
      setList(await api.documents(workspace));
      setProblem(null);
    } catch (error) {
      heed(error);
      setProblem(messageOf(error));
    }
  }, [api, workspace, heed]);

  useEffect(() => {
    void reload();
  }, [reload]);

  const busy = list?.some((document) => document.state === 'uploaded' || document.state === 'processing') ?? false;
  useEffect(() => {
    if (!busy) return;
    let timer: ReturnType<typeof setTimeout>;
    let stopped = false;
    const poll = async () => {
      if (!document.hidden) await reload();
      if (!stopped) timer = setTimeout(poll, POLL_MS);
    };
    timer = setTimeout(poll, POLL_MS);
    return () => {
      stopped = true;
      clearTimeout(timer);
    };
  }, [busy, reload]);

  const change = useCallback((key: number, change: Partial<Upload> | null) => {
    setUploads((all) =>
      all.flatMap((upload) => (upload.key !== key ? [upload] : change === null ? [] : [{ ...upload, ...change }])),
    );
  }, []);

  const send = useCallback(
    async (key: number, file: File) => {
      const abort = new AbortController();
      running.current.set(key, abort);
      try {
        const uploaded = await api.upload(workspace, file, (progress) => change(key, { progress }), abort.signal);
        change(key, null);
        setNotice(OUTCOME_WORDS[uploaded.outcome](uploaded.document.title));
        setList((all) => [uploaded.document, ...(all ?? []).filter((known) => known.id !== uploaded.document.id)]);
      } catch (error) {
        heed(error);
        if (abort.signal.aborted) change(key, null);
        else change(key, { progress: null, problem: messageOf(error) });
      } finally {
        running.current.delete(key);
      }
    },
    [api, workspace, heed, change],
  );

  // Starts what waits, as places come free.
  useEffect(() => {
    const waiting = uploads.filter((upload) => upload.problem === null && !running.current.has(upload.key));
    for (const { key, file } of waiting.slice(0, Math.max(0, PARALLEL - running.current.size))) void send(key, file);
  }, [uploads, send]);

  const upload = useCallback((files: Iterable<File>) => {
    const added = Array.from(files, (file) => ({
      key: nextKey.current++,
      file,
      progress: null,
      problem: file.size === 0 ? 'The file is empty.' : null,
    }));
    setUploads((all) => [...all, ...added]);
  }, []);

  const cancel = useCallback(
    (key: number) => {
      running.current.get(key)?.abort();
      change(key, null);
    },
    [change],
  );

  const remove = useCallback(
    async (gone: DocumentInfo) => {
      await api.deleteDocument(workspace, gone.id);
      setNotice(`“${gone.title}” is deleted.`);
      setList((all) => all?.filter((known) => known.id !== gone.id) ?? null);
    },
    [api, workspace],
  );

  return { list, problem, uploads, notice, reload, upload, cancel, remove };
}

/** The sentence of an error. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? sentence(error.message) : 'Something went wrong.';
}
