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

  let database = null;
  function open() {
    if (!database) {
      const request = indexedDB.open('sandbox-whatsapp', 1);
      request.onupgradeneeded = () => {
        request.result.createObjectStore('link');
        request.result.createObjectStore('messages', { keyPath: 'key' });
      };
      database = settled(request);
    }
    return database;
  }

  /** Runs one transaction; done only when it is on disk. */
  async function transact(stores, mode, act) {
    const transaction = (await open()).transaction(stores, mode, { durability: 'strict' });
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
    /** Forgets everything, as a logout does. */
    forget: () => transact(['link', 'messages'], 'readwrite', (t) => {
      t.objectStore('link').clear();
      t.objectStore('messages').clear();
    }),
  });
});
