/*
 * Identities: accounts and chats (Wid), messages (MsgKey), and the pairs of number and LID.
 *
 * Responsible for: parsing, comparing and spelling ids as WhatsApp Web does, in both of its
 * forms (`_serialized`, and since mid-2026 `$1`). Not responsible for: who exists.
 */
sandboxPage.define('WAWebWid', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const SERVERS = ['c.us', 'g.us', 'lid', 'broadcast', 'newsletter', 'call', 'bot', 's.whatsapp.net'];
  const spell = (wid) => (wid === null || wid === undefined ? '' : String(wid));

  class Wid {
    constructor(text, options) {
      if (!options || !options.intentionallyUsePrivateConstructor) {
        throw new Error('Wid: use WidFactory, not the constructor');
      }
      const [user, server] = String(text).split('@');
      if (!user || !SERVERS.includes(server)) throw new Error('wid error: invalid wid');
      const [bare, device] = user.split(':');
      this.server = server === 's.whatsapp.net' ? 'c.us' : server;
      this.user = bare;
      if (device !== undefined) this.device = Number(device);
      this._serialized = bare + (device === undefined ? '' : ':' + device) + '@' + this.server;
    }
    toString() { return this._serialized; }
    toJSON() { return this._serialized; }
    toJid() { return this.user + '@' + (this.server === 'c.us' ? 's.whatsapp.net' : this.server); }
    equals(other) { return Wid.equals(this, other); }
    isSameAccount(other) { return this.user === other.user && this.server === other.server; }
    isUser() { return this.server === 'c.us' || this.server === 'lid'; }
    isRegularUser() { return this.isUser(); }
    isUserNotPSA() { return this.isUser() && !this.isPSA(); }
    isLid() { return this.server === 'lid'; }
    isGroup() { return this.server === 'g.us'; }
    isGroupCall() { return this.server === 'call'; }
    isBroadcast() { return this.server === 'broadcast'; }
    isStatus() { return this._serialized === 'status@broadcast'; }
    isStatusV3() { return this.isStatus(); }
    isNewsletter() { return this.server === 'newsletter'; }
    isBot() { return this.server === 'bot'; }
    isPSA() { return this._serialized === '0@c.us'; }
    isServer() { return this._serialized === 'server@c.us'; }
    isCompanion() { return this.device !== undefined && this.device !== 0; }
    isOfficialBizAccount() { return false; }
    getDeviceId() { return this.device || 0; }

    static equals(a, b) { return spell(a) === spell(b) && spell(a) !== ''; }
    static isWid(wid) { return /^[^@]+@[a-z.]+$/.test(spell(wid)); }
    static isXWid(server, wid) { return spell(wid).endsWith('@' + server); }
    static isUser(wid) { return Wid.isXWid('c.us', wid) || Wid.isXWid('lid', wid); }
    static isLid(wid) { return Wid.isXWid('lid', wid); }
    static isGroup(wid) { return Wid.isXWid('g.us', wid); }
    static isBroadcast(wid) { return Wid.isXWid('broadcast', wid); }
    static isNewsletter(wid) { return Wid.isXWid('newsletter', wid); }
    static isStatus(wid) { return spell(wid) === 'status@broadcast'; }
    static isStatusV3(wid) { return Wid.isStatus(wid); }
    static isPSA(wid) { return spell(wid) === '0@c.us'; }
    static isServer(wid) { return spell(wid) === 'server@c.us'; }
    static user(wid) { return spell(wid).split('@')[0]; }
  }
  exports.default = Wid;
});

sandboxPage.define('WAWebWidFactory', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const Wid = importDefault('WAWebWid');
  const make = (text) => new Wid(text, { intentionallyUsePrivateConstructor: true });

  const createWid = (wid) => (wid instanceof Wid ? wid : make(wid));
  const isWidlike = (wid) => wid instanceof Wid || Boolean(wid && typeof wid === 'object' && typeof wid._serialized === 'string' && wid.server);
  const createUserWidOrThrow = (user, server) => {
    const text = String(user);
    return make(text.includes('@') ? text : text + '@' + (server || 'c.us'));
  };
  Object.assign(exports, {
    createWid,
    isWidlike,
    createWidFromWidLike: (like) => createWid(like instanceof Wid ? like : like._serialized),
    createUserWid: createUserWidOrThrow,
    createUserWidOrThrow,
    createUserLidOrThrow: (user) => createUserWidOrThrow(user, 'lid'),
    createDeviceWid: (wid) => make(wid),
    createDeviceWidFromUserAndDevice: (user, server, device) => make(user + ':' + device + '@' + server),
    createDeviceWidFromDeviceListPk: (user, device) => { const [bare, server] = user.split('@'); return make(bare + (device ? ':' + device : '') + '@' + server); },
    toUserWid: (wid) => make(wid.user + '@' + wid.server),
    toUserWidOrThrow: (wid) => make(wid.user + '@' + wid.server),
    toChatWid: (wid) => make(wid.user + '@' + wid.server),
    toUserLidOrThrow(wid) { if (!wid.isLid()) throw new Error('toUserLidOrThrow: not a lid'); return make(wid.user + '@lid'); },
    asUserWidOrThrow(wid) { if (!wid.isUser()) throw new Error('asUserWidOrThrow: not a user'); return wid; },
    asUserLidOrThrow(wid) { if (!wid.isLid()) throw new Error('asUserLidOrThrow: not a lid'); return wid; },
  });
});

sandboxPage.define('WAWebMsgKey', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const Wid = importDefault('WAWebWid');
  const { createWid } = require('WAWebWidFactory');
  const field = sandboxPage.isEarly && !sandboxPage.faults.lid_chats ? '_serialized' : '$1';

  class MsgKey {
    constructor(parts) {
      if (!parts) throw new Error('MsgKey error: obj is null/undefined');
      const fromMe = 'fromMe' in parts ? parts.fromMe : parts.selfDir === 'out';
      const remote = parts.remote || (fromMe ? parts.to : parts.from);
      if (!(remote instanceof Wid)) throw new Error('MsgKey error: remote is not a wid');
      if (typeof parts.id !== 'string' || parts.id === '') throw new Error('MsgKey error: id is not a string');
      this.fromMe = Boolean(fromMe);
      this.remote = remote;
      this.id = parts.id;
      this.participant = parts.participant;
      const tail = parts.participant ? '_' + parts.participant : '';
      this[field] = this.fromMe + '_' + remote + '_' + this.id + tail;
    }
    toString() { return this._serialized; }
    clone() { return new MsgKey(this); }
    equals(other) { return other instanceof MsgKey && other.toString() === this.toString(); }
    static from(other) { return other instanceof MsgKey ? other : MsgKey.fromString(String(other)); }
    static fromString(text) {
      const [fromMe, remote, id, participant] = String(text).split('_');
      return new MsgKey({
        fromMe: fromMe === 'true', remote: createWid(remote), id,
        participant: participant ? createWid(participant) : undefined,
      });
    }
    static newId() { return Promise.resolve(MsgKey.newId_DEPRECATED()); }
    static newId_DEPRECATED() {
      const bytes = crypto.getRandomValues(new Uint8Array(9));
      return '3EB0' + Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('').toUpperCase();
    }
  }
  if (field === '$1') {
    MsgKey.prototype.toString = function () { return this.$1; };
  }
  exports.default = MsgKey;
});

sandboxPage.define('WAWebApiContact', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { createWid } = require('WAWebWidFactory');
  const numbers = new Map();
  const lids = new Map();

  const lidPnCache = {
    add(lid, entry) {
      numbers.set(String(lid), entry);
      lids.set(String(entry.phoneNumber), entry);
    },
    getPhoneNumber: (lid) => { const entry = numbers.get(String(lid)); return entry && entry.phoneNumber; },
    getCurrentLid: (number) => { const entry = lids.get(String(number)); return entry && entry.lid; },
    getLidEntry: (lid) => numbers.get(String(lid)),
    getAllLids: () => [...numbers.values()].map((entry) => entry.lid),
    remove: (lid) => numbers.delete(String(lid)),
    clear() { numbers.clear(); lids.clear(); },
  };
  /** Learns that a number and a LID are the same person. */
  const learn = (number, lid) => {
    const entry = { lid: createWid(lid + '@lid'), phoneNumber: createWid(number + '@c.us'), phoneNumberCreatedAt: Date.now() };
    lidPnCache.add(entry.lid, entry);
    return entry;
  };
  Object.assign(exports, {
    lidPnCache,
    learn,
    getCurrentLid: (wid) => (wid.isLid() ? wid : lidPnCache.getCurrentLid(wid)),
    getPhoneNumber: (wid) => (wid.isLid() ? lidPnCache.getPhoneNumber(wid) : wid),
    getAlternateUserWid: (wid) => (wid.isLid() ? lidPnCache.getPhoneNumber(wid) : lidPnCache.getCurrentLid(wid)),
    hasLidMapping: (wid) => lids.has(String(wid)),
    getAllLidContacts: () => lidPnCache.getAllLids(),
  });
});

sandboxPage.define('WATimeUtils', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  exports.unixTime = () => Math.floor(Date.now() / 1000);
  exports.unixTimeMs = () => Date.now();
});

sandboxPage.define('WABase64', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const encodeB64 = (data) => btoa(String.fromCharCode(...new Uint8Array(data)));
  const decodeB64 = (text) => Uint8Array.from(atob(text), (char) => char.charCodeAt(0)).buffer;
  Object.assign(exports, {
    encodeB64,
    decodeB64,
    encodeB64UrlSafe: (data) => encodeB64(data).replace(/\+/g, '-').replace(/\//g, '_'),
    decodeB64UrlSafe: (text) => decodeB64(text.replace(/-/g, '+').replace(/_/g, '/')),
    decodeB64ToJsArray: (text) => [...new Uint8Array(decodeB64(text))],
    sizeWhenB64Decoded: (text) => decodeB64(text).byteLength,
  });
});
