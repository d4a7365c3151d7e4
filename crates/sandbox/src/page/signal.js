/*
 * The Signal sessions of the page: with each device of a recipient, and with the account's own phone.
 *
 * Responsible for: a session and its sending counter per device, in the profile, so that a profile that is put back from a copy
 * counts again from where the copy was; the modules by which the real page begins a new session. Not responsible for: what a
 * recipient does with a counter that it has seen (the server, which plays the recipients).
 *
 * As in the real page, sessions are changed in memory and written by `flushBufferToDiskIfNotMemOnlyMode`: before a message
 * travels, and otherwise when somebody asks for it.
 */
sandboxPage.define('WAWebSignalCommonUtils', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const Wid = importDefault('WAWebWid');
  /** A number and a LID are two addresses, also when they are one person. */
  exports.createSignalAddress = (wid) => {
    if (!(wid instanceof Wid) || !wid.isUser()) throw new Error('createSignalAddress: not a user or device wid');
    return { toString: () => wid.user + (wid.isLid() ? '_1.' : '.') + wid.getDeviceId() };
  };
});

sandboxPage.define('SandboxRatchet', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const storage = require('SandboxStorage');
  const { createSignalAddress } = require('WAWebSignalCommonUtils');
  const addressOf = (wid) => createSignalAddress(wid).toString();

  /** The sessions by their addresses, as they are in memory; and which of them storage does not have so yet. */
  const sessions = new Map();
  const dirty = new Set();
  const persisted = new Set();

  async function load() {
    for (const session of await storage.readSessions()) {
      sessions.set(session.address, session);
      persisted.add(session.address);
    }
  }

  async function flush() {
    const changed = [...dirty];
    dirty.clear();
    if (changed.length === 0) return;
    const [kept, gone] = [changed.filter((address) => sessions.has(address)), changed.filter((address) => !sessions.has(address))];
    await storage.writeSessions(kept.map((address) => ({ ...sessions.get(address) })), gone);
    for (const address of kept) persisted.add(address);
    for (const address of gone) persisted.delete(address);
  }

  /** The next counter of the session with a device, which is begun if there is none. */
  function advance(wid) {
    const address = addressOf(wid);
    const session = sessions.get(address) || { address, id: crypto.randomUUID(), counter: 0 };
    sessions.set(address, { ...session, counter: session.counter + 1 });
    dirty.add(address);
    return { device: wid.getDeviceId(), session: session.id, counter: session.counter };
  }

  /** One message after the other: they travel in the order in which they were encrypted. */
  let last = Promise.resolve();
  function encrypt(to, from, travel) {
    // A group has keys of another kind, which are not simulated.
    if (!to.isUser()) { travel([]); return Promise.resolve(); }
    const encrypted = last.then(async () => {
      await require('SandboxDevices').learn([to, from]);
      const devices = await require('WAWebDBDeviceListFanout').getFanOutList({ wids: [to, from] });
      const own = (wid) => wid.user === from.user;
      const envelopes = devices.map((wid) => ({ ...advance(wid), own: own(wid) }));
      // On disk before it travels: a counter must not be given twice.
      await flush();
      travel(envelopes);
    });
    last = encrypted.catch(() => {});
    return encrypted;
  }

  function remove(wid) {
    const address = addressOf(wid);
    if (sessions.delete(address)) dirty.add(address);
  }

  Object.assign(exports, { load, encrypt, flush, remove, isPersisted: (wid) => persisted.has(addressOf(wid)) });
});

sandboxPage.define('WAWebSignalProtocolStore', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const store = { flushBufferToDiskIfNotMemOnlyMode: () => require('SandboxRatchet').flush() };
  exports.getSignalProtocolStore = () => store;
  exports.getPersistSignalProtocolStore = () => store;
});

sandboxPage.define('WAWebSignalSessionApi', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const ratchet = require('SandboxRatchet');
  Object.assign(exports, {
    /** In the order of the devices asked about; storage is asked, and not memory. */
    hasSignalSessions: async (wids) => wids.map((wid) => ratchet.isPersisted(wid)),
    /** The identity stays; the next message begins a new session. */
    async deleteRemoteSession(wid) { ratchet.remove(wid); },
    async deleteRemoteInfo(wid) { ratchet.remove(wid); },
  });
});

sandboxPage.define('SandboxDevices', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const storage = require('SandboxStorage');
  const { isMeAccount } = require('WAWebUserPrefsMeUser');
  /** The phone, and a computer that a recipient has linked, or this page. */
  const PHONE = 0;
  const COMPUTER = 7;
  const THIS_PAGE = 12;

  const lists = new Map();
  async function load() {
    for (const list of await storage.readDevices()) lists.set(list.id, list);
  }
  /** The server says which devices somebody has; the page learns it when it first sends to them. */
  async function learn(wids) {
    const unknown = wids.filter((wid) => !lists.has(String(wid)));
    if (unknown.length === 0) return;
    const found = unknown.map((wid) => ({
      id: String(wid), deleted: false, devices: [PHONE, isMeAccount(wid) ? THIS_PAGE : COMPUTER].map((id) => ({ id, isHosted: false })),
    }));
    for (const list of found) lists.set(list.id, list);
    await storage.writeDevices(found);
  }
  Object.assign(exports, { load, learn, list: (wid) => lists.get(String(wid)), THIS_PAGE });
});

sandboxPage.define('WAWebApiDeviceList', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { list } = require('SandboxDevices');
  const { createWid } = require('WAWebWidFactory');
  const { getAlternateUserWid } = require('WAWebApiContact');
  const record = (wid) => list(createWid(wid.user + '@' + wid.server)) || null;

  /** Devices of those who are known, null for the others. Merged: with the ids that a person has under the other address. */
  async function getDeviceIds(wids, shouldMerge = false) {
    return wids.map((wid) => {
      const alternate = shouldMerge && wid.isUser() ? getAlternateUserWid(wid) : null;
      const records = [record(wid), alternate && record(alternate)].filter(Boolean);
      if (records.length === 0) return null;
      const ids = new Set(records.flatMap(({ devices }) => devices.map(({ id }) => id)));
      return { id: wid.user + '@' + wid.server, devices: [...ids].map((id) => ({ id, isHosted: false })) };
    });
  }
  Object.assign(exports, {
    getDeviceIds,
    getDeviceRecord: async (wid) => record(wid),
    bulkGetDeviceRecord: async (wids) => wids.map(record),
    hasDevice: async (wid, id) => id === 0 || Boolean((await getDeviceIds([wid]))[0]?.devices.some((device) => device.id === id)),
  });
});

sandboxPage.define('WAWebDBDeviceListFanout', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { getDeviceIds } = require('WAWebApiDeviceList');
  const { createDeviceWidFromDeviceListPk } = require('WAWebWidFactory');
  const { isMeAccount, isMeDevice } = require('WAWebUserPrefsMeUser');

  /** The devices that a message for these people goes to, without this page. Of a person whose devices are not known: the phone. */
  exports.getFanOutList = async ({ wids, shouldMergeAltDevices = false }) => {
    const found = new Map();
    (await getDeviceIds(wids, shouldMergeAltDevices)).forEach((list, at) => {
      if (!list) {
        if (!isMeAccount(wids[at])) found.set(String(wids[at]), wids[at]);
        return;
      }
      for (const { id, isHosted } of list.devices) {
        const wid = createDeviceWidFromDeviceListPk(list.id, id, isHosted);
        if (!isMeDevice(wid)) found.set(String(wid), wid);
      }
    });
    return [...found.values()];
  };
});
