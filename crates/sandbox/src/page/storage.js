/*
 * What outlives a reload: IndexedDB.
 *
 * Responsible for: keeping the link, the keys, the messages and what belongs to them in the profile, so that a lost
 * profile really loses the session. Not responsible for: what they mean.
 */
sandboxPage.define('SandboxStorage', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const settled = (request) => new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

  const STORES = ['link', 'messages', 'sessions', 'devices', 'reactions', 'contacts', 'groups', 'orphans'];
  let database = null;
  function open() {
    if (!database) {
      const request = indexedDB.open('sandbox-whatsapp', 3);
      request.onupgradeneeded = ({ oldVersion }) => {
        if (oldVersion < 1) {
          request.result.createObjectStore('link');
          request.result.createObjectStore('messages', { keyPath: 'key' });
        }
        if (oldVersion < 2) {
          request.transaction.objectStore('messages').createIndex('place', ['remote', 'rank']);
          request.result.createObjectStore('reactions', { keyPath: ['parentMsgKey', 'senderUserJid'] });
          request.result.createObjectStore('contacts', { keyPath: 'id' });
          request.result.createObjectStore('groups', { keyPath: 'id' });
          request.result.createObjectStore('orphans', { keyPath: 'id' });
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
    /** The messages with these keys that there are. */
    async readSome(keys) {
      const store = (await open()).transaction(['messages'], 'readonly').objectStore('messages');
      return (await Promise.all(keys.map((key) => settled(store.get(key))))).filter(Boolean);
    },
    /** So many messages of a chat whose rank lies between the two, both excluded, from the one side or the other. */
    async readRange(remote, above, below, count, fromEnd) {
      const index = (await open()).transaction(['messages'], 'readonly').objectStore('messages').index('place');
      const request = index.openCursor(IDBKeyRange.bound([remote, above], [remote, below], true, true), fromEnd ? 'prev' : 'next');
      const found = [];
      return new Promise((resolve, reject) => {
        request.onerror = () => reject(request.error);
        request.onsuccess = () => {
          const cursor = request.result;
          if (!cursor || found.length >= count) { resolve(found); return; }
          found.push(cursor.value);
          cursor.continue();
        };
      });
    },
    readAll: (store) => transact([store], 'readonly', (t) => t.objectStore(store).getAll()),
    readReactions: (parent) => transact(['reactions'], 'readonly', (t) => t.objectStore('reactions').getAll(IDBKeyRange.bound([parent], [parent, []]))),
    /** Writes together: {messages, reactions, contacts, groups, orphans} to put, and keys of messages and orphans to delete. */
    write: ({ gone = [], settledOrphans = [], ...stores }) => transact(['messages', 'reactions', 'contacts', 'groups', 'orphans'], 'readwrite', (t) => {
      for (const key of gone) t.objectStore('messages').delete(key);
      for (const id of settledOrphans) t.objectStore('orphans').delete(id);
      for (const [name, values] of Object.entries(stores)) for (const value of values) t.objectStore(name).put(value);
    }),
    /** Forgets everything, as a logout does. */
    forget: () => transact(STORES, 'readwrite', (t) => { for (const store of STORES) t.objectStore(store).clear(); }),
  });
});
