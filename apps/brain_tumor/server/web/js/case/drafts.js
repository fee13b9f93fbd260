/** Unsent corrections, kept in this browser (IndexedDB) until they are submitted. */

/**
 * @typedef {object} Draft
 * @property {Uint8Array} bitmap Labels in RAS order.
 * @property {Uint8Array | null} proposal What they started from.
 * @property {number} when Milliseconds.
 * @property {any} notes Type, reason and verdicts.
 */

const STORE = "drafts";

/** @returns {Promise<IDBDatabase>} */
function database() {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open("tumorlens", 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error);
  });
}

/**
 * @param {IDBTransactionMode} mode
 * @param {(store: IDBObjectStore) => IDBRequest} act
 * @returns {Promise<any>}
 */
async function within(mode, act) {
  const db = await database();
  try {
    return await new Promise((resolve, reject) => {
      const transaction = db.transaction(STORE, mode);
      const request = act(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
    });
  } finally {
    db.close();
  }
}

/** @param {string} key @param {Draft} draft */
export function saveDraft(key, draft) {
  return within("readwrite", (store) => store.put(draft, key));
}

/** @param {string} key @returns {Promise<Draft | undefined>} */
export function loadDraft(key) {
  return within("readonly", (store) => store.get(key));
}

/** @param {string} key */
export function dropDraft(key) {
  return within("readwrite", (store) => store.delete(key));
}
