// Keeps the session across reloads: its name and its key, in IndexedDB. The key is not extractable, so neither this
// page nor a script in it can read it out; it can only be used, and only from this origin.
//
// Where storage is blocked the session lives in memory and ends with the page.

import type { LoggedIn } from '../api/types';
import { inStore as databaseStore } from './database';

/** What is kept. */
export interface KeptSession {
  readonly session: string;
  readonly key: CryptoKey;
  readonly who: LoggedIn;
  readonly login: string;
  /** The appliance it belongs to: the attested OPAQUE key, hex. */
  readonly opaquePk: string;
}

const CURRENT = 'current';

/** The kept session, if there is one for this appliance that has not run out. */
export async function restoreSession(opaquePk: string, nowMs: number): Promise<KeptSession | null> {
  const kept = await inStore<KeptSession | undefined>('readonly', (store) => store.get(CURRENT)).catch(() => undefined);
  return kept && kept.opaquePk === opaquePk && kept.who.expires_ms > nowMs ? kept : null;
}

/** Keeps a session; losing it only means logging in again. */
export async function keepSession(session: KeptSession): Promise<void> {
  await inStore('readwrite', (store) => store.put(session, CURRENT)).catch(() => {});
}

/** Forgets the session. */
export async function forgetSession(): Promise<void> {
  await inStore('readwrite', (store) => store.clear()).catch(() => {});
}

function inStore<T>(mode: IDBTransactionMode, action: (store: IDBObjectStore) => IDBRequest): Promise<T> {
  return databaseStore('cloister', 'session', mode, action);
}
