/*
 * What outlives a reload: IndexedDB.
 *
 * Responsible for: keeping the link, the keys and the messages in the profile, so that a lost
 * profile really loses the session. Not responsible for: what they mean.
 */
sandboxPage.define('SandboxStorage', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const settled = (request) => new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

  const STORES = ['link', 'messages', 'sessions', 'devices'];
  let database = null;
  function open() {
    if (!database) {
      const request = indexedDB.open('sandbox-whatsapp', 2);
      request.onupgradeneeded = ({ oldVersion }) => {
        if (oldVersion < 1) {
          request.result.createObjectStore('link');
          request.result.createObjectStore('messages', { keyPath: 'key' });
        }
        request.result.createObjectStore('sessions', { keyPath: 'address' });
        request.result.createObjectStore('devices', { keyPath: 'id' });
      };
      database = settled(request);
    }
    return database;
  }

  /** Runs one transaction; done only when it is on disk, or, when `relaxed`, when it outlives the browser. */
  async function transact(stores, mode, act, durability = 'strict') {
    const transaction = (await open()).transaction(stores, mode, { durability });
    const result = act(transaction);
    const answer = result ? await settled(result) : undefined;
    await new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onabort = transaction.onerror = () => reject(transaction.error);
      if (mode === 'readonly') resolve();
    });
    return answer;
  }

  Object.assign(exports, {
    readLink: (name) => transact(['link'], 'readonly', (t) => t.objectStore('link').get(name)),
    writeLink: (name, value) => transact(['link'], 'readwrite', (t) => { t.objectStore('link').put(value, name); }),
    readMessage: (key) => transact(['messages'], 'readonly', (t) => t.objectStore('messages').get(key)),
    readMessages: () => transact(['messages'], 'readonly', (t) => t.objectStore('messages').getAll()),
    writeMessage: (message) => transact(['messages'], 'readwrite', (t) => { t.objectStore('messages').put(message); }),
    /** Replaces a message by what it has become, under another key. */
    moveMessage: (key, message) => transact(['messages'], 'readwrite', (t) => {
      t.objectStore('messages').delete(key);
      t.objectStore('messages').put(message);
    }),
    readSessions: () => transact(['sessions'], 'readonly', (t) => t.objectStore('sessions').getAll()),
    writeSessions: (kept, gone) => transact(['sessions'], 'readwrite', (t) => {
      for (const session of kept) t.objectStore('sessions').put(session);
      for (const address of gone) t.objectStore('sessions').delete(address);
    }, 'relaxed'),
    readDevices: () => transact(['devices'], 'readonly', (t) => t.objectStore('devices').getAll()),
    writeDevices: (lists) => transact(['devices'], 'readwrite', (t) => { for (const list of lists) t.objectStore('devices').put(list); }, 'relaxed'),
    /** Forgets everything, as a logout does. */
    forget: () => transact(STORES, 'readwrite', (t) => { for (const store of STORES) t.objectStore(store).clear(); }),
  });
});
