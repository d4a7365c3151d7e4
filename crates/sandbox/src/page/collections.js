/*
 * Chats, messages, contacts.
 *
 * Responsible for: the models and the collections that hold them, by the names and shapes that
 * outsiders look for; bringing messages back from storage after a reload. Not responsible for: sending, drawing.
 */
sandboxPage.define('WAWebMsgModel', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { BaseModel, defineModel } = require('WAWebBaseModel');
  class Msg extends BaseModel {
    get sender() { return this.from; }
    get isSentByMe() { return Boolean(this.id && this.id.fromMe); }
    updateAck(ack) { if (ack > this.ack || ack < 0) this.ack = ack; }
  }
  defineModel(Msg, 'msg', ['id', 'ack', 'body', 'type', 'subtype', 't', 'from', 'to', 'self', 'isNewMsg', 'local', 'author', 'latestEditMsgKey', 'isSendFailure']);
  exports.Msg = Msg;
});

sandboxPage.define('WAWebChatModel', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { BaseModel, defineModel } = require('WAWebBaseModel');
  const { BaseCollection } = require('WAWebBaseCollection');
  const { Msg } = require('WAWebMsgModel');
  class ChatMsgs extends BaseCollection {
    // A message belongs to the collection of all messages; a chat merely lists it.
    add(msg, options) { const owner = msg.collection; const added = super.add(msg, options); added.collection = owner; return added; }
  }
  ChatMsgs.model = Msg;
  class Chat extends BaseModel {
    static defaults() { return { unreadCount: 0, active: false, archive: false, canSend: true }; }
    constructor(properties) {
      super(properties);
      this.msgs = new ChatMsgs();
      this.presence = { subscribe: async () => {} };
      this.promises = {};
    }
    get isUser() { return Boolean(this.id && this.id.isUser()); }
    get isGroup() { return Boolean(this.id && this.id.isGroup()); }
    get isParentGroup() { return false; }
    get isNewsletter() { return Boolean(this.id && this.id.isNewsletter()); }
    get hasUnread() { return this.unreadCount > 0; }
    title() { return this.formattedTitle; }
    lastMsg() { return this.msgs.last(); }
  }
  defineModel(Chat, 'chat', ['id', 't', 'name', 'formattedTitle', 'unreadCount', 'active', 'archive', 'canSend']);
  exports.Chat = Chat;
});

sandboxPage.define('WAWebContactModel', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { BaseModel, defineModel } = require('WAWebBaseModel');
  class Contact extends BaseModel {}
  defineModel(Contact, 'contact', ['id', 'name', 'pushname', 'isBusiness', 'isMe']);
  exports.Contact = Contact;
});

sandboxPage.define('WAWebMsgCollection', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { BaseCollection } = require('WAWebBaseCollection');
  const { Msg } = require('WAWebMsgModel');
  class MsgCollectionImpl extends BaseCollection {
    async processMultipleMessages(chat, messages) { return messages.map((message) => this.add(message)); }
    /** The collection holds what was looked at lately; the rest comes from storage, as models of nobody. */
    async getMessagesById(ids) {
      const { stored } = require('SandboxChats');
      for (const id of ids) require('SandboxStatusWatch').look(id);
      const found = await Promise.all(ids.map((id) => this.get(id) || stored(String(id))));
      return { messages: found.filter(Boolean) };
    }
  }
  MsgCollectionImpl.model = Msg;
  // Gone since build 2.3000.1044096409; the collection itself stays.
  if (sandboxPage.isEarly) exports.MsgCollectionImpl = MsgCollectionImpl;
  exports.MsgCollection = new MsgCollectionImpl();
});

sandboxPage.define('WAWebChatCollection', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { BaseCollection } = require('WAWebBaseCollection');
  const { Chat } = require('WAWebChatModel');
  class ChatCollectionImpl extends BaseCollection {
    get(id) { require('SandboxStatusWatch').look(id); return super.get(id); }
    getActive() { return this.findFirst((chat) => chat.active); }
    // As measured on the real page: it throws.
    find() { throw new Error('ChatCollection.find: chat resolution is not available here'); }
  }
  ChatCollectionImpl.model = Chat;
  exports.ChatCollectionImpl = ChatCollectionImpl;
  exports.ChatCollection = new ChatCollectionImpl();
});

sandboxPage.define('WAWebContactCollection', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { BaseCollection } = require('WAWebBaseCollection');
  const { Contact } = require('WAWebContactModel');
  class ContactCollectionImpl extends BaseCollection {}
  ContactCollectionImpl.model = Contact;
  exports.ContactCollectionImpl = ContactCollectionImpl;
  exports.ContactCollection = new ContactCollectionImpl();
});

/* Notes that a device reads the status updates of others right after linking (OpenWA #1072): the fault
 * `status_read_revokes` removes such a device when its page reloads. */
sandboxPage.define('SandboxStatusWatch', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  let isOwn = false;
  exports.look = (id) => { if (!isOwn && String(id).includes('status@broadcast')) localStorage.setItem('sandbox-status-read', '1'); };
  /** What the page itself does is not watched. */
  exports.own = (act) => { isOwn = true; try { act(); } finally { isOwn = false; } };
});

/* All collections in one module, by short names. */
sandboxPage.define('WAWebCollections', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  Object.assign(exports, {
    get Chat() { return require('WAWebChatCollection').ChatCollection; },
    get Msg() { return require('WAWebMsgCollection').MsgCollection; },
    get Contact() { return require('WAWebContactCollection').ContactCollection; },
  });
});

/* Collections that hold nothing here. Bundles look for them, and freeze the page for a minute
 * when one is not found; `missing` takes one away. */
for (const name of ['Blocklist', 'BusinessCategoriesResult', 'BusinessProfile', 'BotProfile', 'Call', 'Cart', 'Catalog',
  'EmojiVariant', 'GroupMetadata', 'Label', 'MsgInfo', 'Mute', 'Note', 'Order', 'PinInChat', 'Presence',
  'ProductMessageList', 'ProfilePicThumb', 'QuickReply', 'Reactions', 'RecentEmoji', 'Sticker', 'StickerSearch',
  'Status', 'StatusV3', 'TextStatus', 'StickerPack', 'RecentSticker']) {
  sandboxPage.define('WAWeb' + name + 'Collection', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
    const { BaseCollection } = require('WAWebBaseCollection');
    const { BaseModel } = require('WAWebBaseModel');
    class Empty extends BaseCollection {
      async find(id) { require('SandboxStatusWatch').look(id); return undefined; }
      get(id) { require('SandboxStatusWatch').look(id); return super.get(id); }
    }
    Empty.model = BaseModel;
    exports[name + 'Collection'] = new Empty();
  });
}

sandboxPage.define('SandboxChats', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { ChatCollection } = require('WAWebChatCollection');
  const { MsgCollection } = require('WAWebMsgCollection');
  const { Msg } = require('WAWebMsgModel');
  const { createWid } = require('WAWebWidFactory');
  const MsgKey = importDefault('WAWebMsgKey');
  const { lidPnCache, getCurrentLid, learn } = require('WAWebApiContact');
  const storage = require('SandboxStorage');
  const link = require('SandboxLink');

  const numberOf = (wid) => (wid.isLid() ? lidPnCache.getPhoneNumber(wid) : wid);
  const titleOf = (wid) => { const number = numberOf(wid); return number ? '+' + number.user : wid.user; };

  /** The chat with this id, made if there is none. */
  function open(wid) {
    const known = ChatCollection.get(wid);
    if (known) return { chat: known, created: false };
    return { chat: ChatCollection.add({ id: wid, t: 0, formattedTitle: titleOf(wid) }), created: true };
  }

  /** Seconds do not order messages: each gets a rank when it is first listed, and keeps it. */
  let rank = Date.now() * 1000;

  function list(msg) {
    if (msg.rank === undefined) { rank += 1; msg.rank = rank; }
    const { chat } = open(msg.id.remote);
    chat.msgs.add(msg);
    chat.t = Math.max(chat.t || 0, msg.t || 0);
    return chat;
  }

  const flat = (msg) => ({
    key: msg.id.toString(), rank: msg.rank, remote: String(msg.id.remote), id: msg.id.id, fromMe: msg.id.fromMe, body: msg.body,
    t: msg.t, ack: msg.ack, from: String(msg.from), to: String(msg.to), lid: (getCurrentLid(msg.id.remote) || {}).user,
    number: (numberOf(msg.id.remote) || {}).user,
  });
  const save = (msg) => storage.writeMessage(flat(msg));

  const unflat = ({ remote, id, fromMe, body, t, ack, from, to }) => ({
    id: new MsgKey({ fromMe, remote: createWid(remote), id }),
    body, t, ack, from: createWid(from), to: createWid(to), type: 'chat', self: fromMe ? 'out' : 'in', isNewMsg: false,
  });

  /** Puts a message from storage into its collection and its chat. */
  function adopt(kept) {
    const msg = MsgCollection.add(unflat(kept));
    msg.rank = kept.rank;
    list(msg);
    return msg;
  }

  /** Own messages whose receipts are still to come, and which are in storage only, by their inner ids. */
  const dormant = new Map();

  /** A build whose chats are by LID moves those that were by number, with all their messages, whose keys change with it. */
  async function move(message) {
    const { fromMe, id, lid } = message;
    const [me, remote] = [link.state.lid, createWid(lid + '@lid')];
    const [from, to] = (fromMe ? [me, remote] : [remote, me]).map(String);
    const moved = { ...message, key: new MsgKey({ fromMe, remote, id }).toString(), remote: String(remote), from, to };
    await storage.moveMessage(message.key, moved);
    return moved;
  }

  /** All messages, and with them who is who. */
  async function readAll() {
    const kept = await storage.readMessages();
    for (const { lid, number } of kept) if (lid && number) learn(number, lid);
    const stays = ({ remote, lid }) => !sandboxPage.faults.lid_chats || !lid || remote.endsWith('@lid');
    return Promise.all(kept.map((message) => (stays(message) ? message : move(message))));
  }

  /** Puts back what the page needs before anybody looks: what was not sent yet, and the last message of each chat. */
  async function restore() {
    const kept = await readAll();
    kept.sort((a, b) => a.rank - b.rank);
    const last = new Map(kept.map((message) => [message.remote, message]));
    const isUnsent = ({ fromMe, ack }) => fromMe && ack === 0;
    for (const message of kept) {
      if (isUnsent(message) || last.get(message.remote) === message) adopt(message);
      else if (message.fromMe && (message.ack === 1 || message.ack === 2)) dormant.set(message.id, message.key);
    }
    MsgCollection.on('change:ack', (msg) => { save(msg); });
    // Beside the chats with people, and never in their list.
    if (!sandboxPage.isEarly) require('SandboxStatusWatch').own(() => ChatCollection.add({ id: createWid('status@broadcast'), t: 0, formattedTitle: 'Status' }));
  }

  /** Messages that the page does not send any more, although the server has not acknowledged their end. */
  const givenUp = new Set();
  const isGivenUp = (msg) => givenUp.has(msg.id.id);
  function giveUp(msg) {
    givenUp.add(msg.id.id);
    storage.moveMessage(msg.id.toString(), { ...flat(msg), ack: -1 });
  }

  /** A message that is in storage, as a model. */
  async function stored(key) {
    const kept = await storage.readMessage(key);
    return kept && new Msg(unflat(kept));
  }

  /** Loads what a chat holds besides its last messages, as when somebody looks at it. */
  async function loadEarlier(chat) {
    const kept = (await storage.readMessages()).filter((message) => message.remote === String(chat.id));
    for (const message of kept) {
      dormant.delete(message.id);
      if (!MsgCollection.get(message.key)) adopt(message);
    }
    chat.msgs.models.sort((a, b) => a.rank - b.rank);
  }

  /** A receipt for a message that is in storage only: nobody hears of it. */
  async function acknowledge(key, ack) {
    const kept = await storage.readMessage(key);
    if (!kept || kept.ack >= ack) return;
    await storage.writeMessage({ ...kept, ack });
    if (ack >= 3) dormant.delete(kept.id);
  }

  /**
   * Somebody wrote: safe in storage first, then shown, then confirmed to the server. What the owner writes on the phone comes the
   * same way, as an own message.
   */
  async function incoming(frame) {
    const { tell } = require('SandboxWire');
    require('WAWebApiContact').learn(frame.from, frame.lid);
    const remote = createWid(sandboxPage.faults.lid_chats ? frame.lid + '@lid' : frame.from + '@c.us');
    const me = remote.isLid() ? link.state.lid : link.state.number;
    const fromMe = remote.equals(me);
    const key = new MsgKey({ fromMe, remote, id: frame.id });
    if (!MsgCollection.get(key)) {
      const [ack, self] = fromMe ? [3, 'out'] : [1, 'in'];
      const msg = { id: key, body: frame.body, t: frame.at, ack, from: remote, to: me, type: 'chat', self, isNewMsg: true };
      rank += 1;
      const ranked = { ...msg, rank };
      await save(ranked);
      const chat = list(MsgCollection.add(ranked));
      if (!chat.active && !fromMe) chat.unreadCount += 1;
    }
    tell({ type: 'received', id: frame.id });
  }

  Object.assign(exports, { open, list, save, restore, stored, dormant, giveUp, isGivenUp, loadEarlier, acknowledge, incoming, titleOf });
});
