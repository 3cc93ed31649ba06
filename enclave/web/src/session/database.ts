// IndexedDB, one object store a database, as promises. Where storage is blocked, every action fails, and callers go on.

/** Does one thing in the store of this name, in the database of this name. */
export function inStore<T>(
  database: string,
  name: string,
  mode: IDBTransactionMode,
  action: (store: IDBObjectStore) => IDBRequest,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(database, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(name);
    opening.onerror = () => reject(opening.error);
    opening.onsuccess = () => {
      const opened = opening.result;
      const transaction = opened.transaction(name, mode);
      const request = action(transaction.objectStore(name));
      transaction.oncomplete = () => {
        opened.close();
        resolve(request.result as T);
      };
      transaction.onerror = () => {
        opened.close();
        reject(transaction.error);
      };
    };
  });
}
