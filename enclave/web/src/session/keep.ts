// Keeps the session across reloads: its name and its key, in IndexedDB. The key is not extractable, so neither this
// page nor a script in it can read it out; it can only be used, and only from this origin.
//
// Where storage is blocked the session lives in memory and ends with the page.

import type { LoggedIn } from '../api/types';

/** What is kept. */
export interface KeptSession {
  readonly session: string;
  readonly key: CryptoKey;
  readonly who: LoggedIn;
  readonly login: string;
  /** The appliance it belongs to: the attested OPAQUE key, hex. */
  readonly opaquePk: string;
}

const DATABASE = 'cloister';
const STORE = 'session';
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
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(DATABASE, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
    opening.onerror = () => reject(opening.error);
    opening.onsuccess = () => {
      const database = opening.result;
      const transaction = database.transaction(STORE, mode);
      const request = action(transaction.objectStore(STORE));
      transaction.oncomplete = () => {
        database.close();
        resolve(request.result as T);
      };
      transaction.onerror = () => {
        database.close();
        reject(transaction.error);
      };
    };
  });
}
