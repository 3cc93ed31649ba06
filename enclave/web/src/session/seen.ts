// What this browser has seen of appliances: how far their state had come, and the heads of their audit logs.
//
// Whoever owns the disk of an appliance can put back an older state of all of it, and the appliance cannot know. Who was
// here before can, by remembering. What is remembered says nothing of what was asked or answered, and outlives sessions.
// Where storage is blocked, it lasts as long as the page.

import { inStore as databaseStore } from './database';

/** How far a state had come. */
export interface SeenState {
  readonly epoch: number;
  readonly auditHead: string;
}

/** The head of an organisation's log. */
export interface SeenLog {
  readonly vkey: string;
  readonly checkpoint: string;
}

const memory = new Map<string, unknown>();

/** The latest state of every appliance that this browser has seen, by OPAQUE key. */
export async function seenStates(): Promise<ReadonlyMap<string, SeenState>> {
  const states = new Map<string, SeenState>();
  for (const key of await keys()) {
    const [kind, opaquePk] = key.split(' ');
    const state = kind === 'state' && opaquePk ? await get<SeenState>(key) : null;
    if (state && opaquePk) states.set(opaquePk, state);
  }
  return states;
}

/** Remembers a state, unless another page of this browser has seen a later one. */
export async function rememberState(opaquePk: string, state: SeenState): Promise<void> {
  const before = await get<SeenState>(`state ${opaquePk}`);
  if (before === null || before.epoch < state.epoch) await put(`state ${opaquePk}`, state);
}

/** The latest head of an organisation's log that this browser has seen. */
export function seenLog(opaquePk: string, org: string): Promise<SeenLog | null> {
  return get(`log ${opaquePk} ${org}`);
}

export function rememberLog(opaquePk: string, org: string, log: SeenLog): Promise<void> {
  return put(`log ${opaquePk} ${org}`, log);
}

/** Forgets an appliance: its next state is seen for the first time. */
export async function forgetSeen(opaquePk: string): Promise<void> {
  for (const key of (await keys()).filter((key) => key.split(' ')[1] === opaquePk)) {
    memory.delete(key);
    await inStore('readwrite', (store) => store.delete(key)).catch(() => {});
  }
}

async function keys(): Promise<string[]> {
  const kept = await inStore<IDBValidKey[]>('readonly', (store) => store.getAllKeys()).catch(() => []);
  return [...new Set([...memory.keys(), ...kept.map(String)])];
}

async function get<T>(key: string): Promise<T | null> {
  const kept = await inStore<T | undefined>('readonly', (store) => store.get(key)).catch(() => undefined);
  return kept ?? (memory.get(key) as T | undefined) ?? null;
}

async function put(key: string, value: unknown): Promise<void> {
  memory.set(key, value);
  await inStore('readwrite', (store) => store.put(value, key)).catch(() => {});
}

function inStore<T>(mode: IDBTransactionMode, action: (store: IDBObjectStore) => IDBRequest): Promise<T> {
  return databaseStore('cloister-seen', 'seen', mode, action);
}
