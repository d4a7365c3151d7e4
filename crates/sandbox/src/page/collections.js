/*
 * Chats, messages, contacts.
 *
 * Responsible for: the models and the collections that hold them, by the names and shapes that
 * outsiders look for; bringing messages back from storage after a reload. Not responsible for: sending, drawing.
 */
sandboxPage.define('WAWebMsgModel', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { BaseModel, defineModel } = require('WAWebBaseModel');
  class Msg extends BaseModel {
    get sender() { return this.author || this.from; }
    get isSentByMe() { return Boolean(this.id && this.id.fromMe); }
    get senderObj() { return { id: this.sender, isMe: this.isSentByMe }; }
    get chat() { return require('WAWebChatCollection').ChatCollection.get(this.id.remote); }
    get mediaData() { const media = this.attributes && require('SandboxMedia').mediaOf(this); return media && media.data; }
    get mediaObject() { const media = this.attributes && require('SandboxMedia').mediaOf(this); return media && media.object; }
    /** Brings the bytes of its medium. How that went is in the stage of its data. */
    downloadMedia(options) { return require('SandboxMedia').download(this, options); }
    forceDownloadMediaEvenIfExpensive() { return this.downloadMedia({ downloadEvenIfExpensive: true, isUserInitiated: true }); }
    async waitForPrep() { return this; }
    unsafe() { return this; }
    /** What a message that answers this one carries of it (page module WAWebMsgModel). */
    msgContextInfo(chat) {
      const { id, t, notifyName, from, to, author, self, ack, invis, isNewMsg, star, recvFresh, recipients, broadcast, quotedMsg, quotedStanzaID,
        quotedRemoteJid, quotedParticipant, latestEditMsgKey, latestEditSenderTimestampMs, ...content } = this.toJSON();
      const remote = this.id.remote;
      return { quotedMsg: content, quotedParticipant: this.sender, quotedStanzaID: this.id.id, quotedRemoteJid: chat && !remote.equals(chat) ? remote : null };
    }
    updateAck(ack) { if (ack > this.ack || ack < 0) this.ack = ack; }
    /** The same message once more, such as one that can be decrypted now. */
    async applyUpdate(changes) { this.set(changes); }
  }
  /* The names of page module WAWebMsgModel, as far as messages have them here. */
  defineModel(Msg, 'msg', ['id', 'rowId', 'ack', 'body', 'caption', 'type', 'subtype', 't', 'from', 'to', 'self', 'isNewMsg', 'recvFresh', 'invis', 'local',
    'author', 'notifyName', 'isSendFailure', 'search', 'star', 'isMdHistoryMsg', 'clientReceivedTsMillis',
    'latestEditMsgKey', 'latestEditSenderTimestampMs', 'protocolMessageKey', 'revokeSender', 'revokeTimestamp', 'isOverwrittenByRevoke',
    'quotedMsg', 'quotedStanzaID', 'quotedParticipant', 'quotedRemoteJid', 'quotedType', 'mentionedJidList', 'hasReaction', 'recipients', 'templateParams',
    'mimetype', 'size', 'filename', 'duration', 'filehash', 'encFilehash', 'directPath', 'mediaKey', 'mediaKeyTimestamp', 'width', 'height', 'isGif', 'isViewOnce',
    'waveform', 'pageCount', 'streamingSidecar', 'deprecatedMms3Url', 'isCaptionByUser', 'lat', 'lng', 'loc', 'vcardFormattedName', 'vcardList', 'pollName', 'pollOptions', 'pollSelectableOptionsCount', 'messageSecret',
    'ephemeralDuration', 'ephemeralStartTimestamp', 'expiredTimestamp', 'broadcast', 'isStatusV3', 'viewMode', 'kind']);
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
      const msgs = new ChatMsgs();
      msgs.msgLoadState = { noEarlierMsgs: false, isLoadingEarlierMsgs: false, contextLoaded: false };
      // A look at what others have posted is one, whichever way it goes; the page's own drawing is none.
      Object.defineProperty(this, 'own', { value: msgs });
      Object.defineProperty(this, 'msgs', { enumerable: true, get() { require('SandboxStatusWatch').look(this.id); return msgs; } });
      this.presence = { subscribe: async () => {} };
      this.promises = {};
    }
    get isUser() { return Boolean(this.id && this.id.isUser()); }
    get isGroup() { return Boolean(this.id && this.id.isGroup()); }
    get isParentGroup() { return false; }
    /** The account has left the group, or was removed. */
    get isReadOnly() { return this.isGroup && Boolean(this.groupMetadata) && !this.groupMetadata.participants.iAmMember(); }
    get isNewsletter() { return Boolean(this.id && this.id.isNewsletter()); }
    get hasUnread() { return this.unreadCount > 0; }
    title() { return this.formattedTitle; }
    lastMsg() { return this.own.last(); }
  }
  defineModel(Chat, 'chat', ['id', 't', 'name', 'formattedTitle', 'unreadCount', 'active', 'archive', 'canSend', 'lastReceivedKey', 'groupMetadata', 'pin',
    'endOfHistoryTransferType', 'unreadEditTimestampMs']);
  exports.Chat = Chat;
});

sandboxPage.define('WAWebContactModel', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { BaseModel, defineModel } = require('WAWebBaseModel');
  class Contact extends BaseModel {}
  defineModel(Contact, 'contact', ['id', 'name', 'pushname', 'isBusiness', 'isMe', 'phoneNumber']);
  exports.Contact = Contact;
});

sandboxPage.define('WAWebMsgCollection', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { BaseCollection } = require('WAWebBaseCollection');
  const { Msg } = require('WAWebMsgModel');
  const isExpired = ({ ephemeralDuration, t }) => ephemeralDuration > 0 && t + ephemeralDuration < Date.now() / 1000;
  class MsgCollectionImpl extends BaseCollection {
    /** Messages that have disappeared are not taken. */
    add(value, options) {
      if (!Array.isArray(value) && isExpired(value)) return undefined;
      return super.add(value, options);
    }
    /** Every message goes through here on its way into the collection, but those that this page sends. */
    processMultipleMessages(chatId, messages, meta = {}) {
      return require('SandboxProcess').process(chatId, messages, meta);
    }
    /** The collection holds what was looked at lately; the rest comes from storage, and stays. */
    async getMessagesById(ids) {
      for (const id of ids) require('SandboxStatusWatch').look(id);
      const rows = await require('WAWebDBMsgUtils').getMsgsByMsgKey(ids);
      const found = await this.processMultipleMessages(undefined, rows, { add: 'search' }, 'msgCollectionGetMessagesById');
      const held = ids.map((id) => this.get(id)).filter(Boolean);
      return { messages: [...new Set([...found, ...held])], eof: true, canceled: false };
    }
    /** Messages of a chat beside one that is known, into the collection. */
    async loadMessagesQuery({ anchor, direction, count }) {
      const side = direction === 'after' ? 'after' : 'before';
      const { status, messages } = await require('SandboxRows').find({ anchor, direction: side, count });
      if (status >= 400) throw status;
      return this.processMultipleMessages(anchor.remote, messages.map((message) => ({ ...message, invis: true })), { add: side, isHistory: true }, 'msgCollectionFindQuery');
    }
    hasSynced() { return Promise.resolve(); }
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
  class ContactCollectionImpl extends BaseCollection {
    gadd(id) { return this.get(id) || this.add({ id }); }
  }
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
    get Reactions() { return require('WAWebReactionsCollection').ReactionsCollection; },
    get GroupMetadata() { return importDefault('WAWebGroupMetadataCollection'); },
  });
});

/* Collections that hold nothing here. Bundles look for them, and freeze the page for a minute
 * when one is not found; `missing` takes one away. */
for (const name of ['Blocklist', 'BusinessCategoriesResult', 'BusinessProfile', 'BotProfile', 'Call', 'Cart', 'Catalog',
  'EmojiVariant', 'Label', 'MsgInfo', 'Mute', 'Note', 'Order', 'PinInChat', 'Presence',
  'ProductMessageList', 'ProfilePicThumb', 'QuickReply', 'RecentEmoji', 'Sticker', 'StickerSearch',
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

/* Groups: their names and members. */
sandboxPage.define('WAWebGroupMetadataCollection', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { BaseModel, defineModel } = require('WAWebBaseModel');
  const { BaseCollection } = require('WAWebBaseCollection');
  class Participant extends BaseModel {}
  defineModel(Participant, 'participant', ['id', 'isAdmin', 'isSuperAdmin']);
  const { isMeAccount } = require('WAWebUserPrefsMeUser');
  class Participants extends BaseCollection {
    iAmMember() { return this.models.some(({ id }) => isMeAccount(id)); }
    iAmAdmin() { return this.models.some(({ id, isAdmin }) => isAdmin && isMeAccount(id)); }
  }
  Participants.model = Participant;
  class GroupMetadata extends BaseModel {
    constructor(properties) { super(properties); this.participants = new Participants(); }
  }
  defineModel(GroupMetadata, 'groupMetadata', ['id', 'subject', 'owner', 'desc', 'creation', 'announce', 'restrict', 'isLidAddressingMode']);
  class GroupMetadataCollectionImpl extends BaseCollection {
    async find(id) { return this.get(id); }
    async update(id) { return this.get(id); }
    _handleParentGroupChange() {}
  }
  GroupMetadataCollectionImpl.model = GroupMetadata;
  exports.default = new GroupMetadataCollectionImpl();
});

/* Channels, which are no chats. */
sandboxPage.define('WAWebNewsletterCollection', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { BaseCollection } = require('WAWebBaseCollection');
  const { Chat } = require('WAWebChatModel');
  class NewsletterCollectionImpl extends BaseCollection {}
  NewsletterCollectionImpl.model = Chat;
  exports.NewsletterCollectionImpl = NewsletterCollectionImpl;
  exports.default = new NewsletterCollectionImpl();
});

sandboxPage.define('SandboxChats', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { ChatCollection } = require('WAWebChatCollection');
  const { MsgCollection } = require('WAWebMsgCollection');
  const { createWid } = require('WAWebWidFactory');
  const MsgKey = importDefault('WAWebMsgKey');
  const GroupMetadata = importDefault('WAWebGroupMetadataCollection');
  const Newsletters = importDefault('WAWebNewsletterCollection');
  const { lidPnCache, learn } = require('WAWebApiContact');
  const { ContactCollection } = require('WAWebContactCollection');
  const { rowOf, messageOf, FIRST_ROW_ID } = require('SandboxRows');
  const storage = require('SandboxStorage');
  const link = require('SandboxLink');

  const numberOf = (wid) => (wid.isLid() ? lidPnCache.getPhoneNumber(wid) : wid);
  function titleOf(wid) {
    const group = wid.isGroup() && GroupMetadata.get(wid);
    if (group) return group.subject;
    const number = numberOf(wid);
    return number ? '+' + number.user : wid.user;
  }

  /** What the phone has said of chats whose history it gave: 0 it has more, 1 it has none (Conversation.EndOfHistoryTransferType). */
  const ENDS = 'history-ends';
  let ends = {};
  const endKey = (wid) => String(numberOf(wid) || wid);
  function endOfHistory(wid, hasMore) {
    ends[endKey(wid)] = hasMore ? 0 : 1;
    const chat = ChatCollection.get(wid);
    if (chat) chat.endOfHistoryTransferType = ends[endKey(wid)];
    storage.writeLink(ENDS, ends);
  }

  /** The chat with this id, made if there is none. */
  function open(wid) {
    const known = ChatCollection.get(wid);
    if (known) return { chat: known, created: false };
    const chat = ChatCollection.add({
      id: wid, t: 0, formattedTitle: titleOf(wid), groupMetadata: wid.isGroup() ? GroupMetadata.get(wid) : undefined, endOfHistoryTransferType: ends[endKey(wid)],
    });
    return { chat, created: true };
  }

  /** Seconds do not order messages: each gets a rank when it is first listed, and keeps it. What is older than the link stands before all else. */
  let rank = Date.now() * 1000;
  const nextRank = () => { rank += 1; return rank; };
  /** Numbers of rows grow; those of the history are below all others. */
  let rowId = FIRST_ROW_ID + Math.floor(Date.now() / 1000);
  const nextRowId = () => { rowId += 1; return rowId; };

  /** Status updates have a place of their own, and channels are no chats. */
  function list(msg) {
    if (msg.rank === undefined) msg.rank = nextRank();
    const remote = msg.id.remote;
    if (remote.isStatus()) return undefined;
    if (remote.isNewsletter()) return Newsletters.get(remote) || Newsletters.add({ id: remote, t: msg.t, formattedTitle: 'Channel' });
    const { chat } = open(remote);
    const last = chat.msgs.last();
    chat.msgs.add(msg);
    if (last && last.rank > msg.rank) chat.msgs.models.sort((a, b) => a.rank - b.rank);
    chat.lastReceivedKey = chat.msgs.last().id;
    chat.t = Math.max(chat.t || 0, msg.t || 0);
    return chat;
  }

  function save(msg) {
    if (msg.rank === undefined) msg.rank = nextRank();
    if (msg.rowId === undefined) msg.rowId = nextRowId();
    return storage.writeMessage(rowOf(msg));
  }

  /** Puts a message from storage into its collection and its chat. */
  function adopt(row) {
    const msg = MsgCollection.add(messageOf(row));
    if (!msg) return undefined;
    msg.rank = row.rank;
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
    const stays = ({ remote, lid }) => !sandboxPage.faults.lid_chats || !lid || !remote.endsWith('@c.us');
    return Promise.all(kept.map((message) => (stays(message) ? message : move(message))));
  }

  /** A group as the server describes it. */
  function knowGroup({ id, name, description, owner, made_at: creation, participants = [] }) {
    const wid = createWid(id + '@g.us');
    const group = GroupMetadata.get(wid) || GroupMetadata.add({ id: wid });
    group.set({ subject: name, desc: description || undefined, owner: owner ? widOf(owner) : undefined, creation: creation || undefined, isLidAddressingMode: Boolean(sandboxPage.faults.lid_chats) });
    const members = participants.map((person) => ({ id: widOf(person), isAdmin: Boolean(person.admin), isSuperAdmin: Boolean(person.super_admin) }));
    const isIn = new Set(members.map((member) => String(member.id)));
    for (const gone of group.participants.toArray()) if (!isIn.has(String(gone.id))) group.participants.remove(gone);
    for (const member of members) group.participants.add(member, { merge: true });
    const chat = ChatCollection.get(wid);
    if (chat) chat.set({ formattedTitle: name, groupMetadata: group });
    return group;
  }

  /** How this page addresses a person: by number, unless chats are by LID or the number is not known. */
  const widOf = ({ number, lid }) => (number && !sandboxPage.faults.lid_chats ? createWid(number + '@c.us') : createWid(lid + '@lid'));

  /** Puts back what the page needs before anybody looks: what was not sent yet, and the last message of each chat. */
  async function restore() {
    ends = (await storage.readLink(ENDS)) || {};
    for (const group of await storage.readAll('groups')) knowGroup(group);
    for (const { id, pushname, number, lid } of await storage.readAll('contacts')) {
      if (number && lid) learn(number, lid);
      ContactCollection.gadd(createWid(id)).set({ pushname, phoneNumber: number ? createWid(number + '@c.us') : undefined });
    }
    const kept = (await readAll()).filter(({ remote, type }) => type !== 'protocol' && !/@(broadcast|newsletter)$/.test(remote));
    kept.sort((a, b) => a.rank - b.rank);
    const last = new Map(kept.map((message) => [message.remote, message]));
    const isUnsent = ({ fromMe, ack }) => fromMe && ack === 0;
    for (const message of kept) {
      rowId = Math.max(rowId, message.rowId || 0);
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
    storage.moveMessage(msg.id.toString(), { ...rowOf(msg), ack: -1 });
  }

  /** Loads what a chat holds besides its last messages, as when a person looks at it. */
  async function loadEarlier(chat) {
    const kept = await storage.readRange(String(chat.id), -Infinity, Infinity, Infinity);
    for (const message of kept) {
      dormant.delete(message.id);
      const held = MsgCollection.get(message.key);
      if (held) list(held);
      else adopt(message);
    }
    chat.msgs.models.sort((a, b) => a.rank - b.rank);
  }

  /** A receipt for a message that is in storage only: no listener hears of it. */
  async function acknowledge(key, ack) {
    const kept = await storage.readMessage(key);
    if (!kept || kept.ack >= ack) return;
    await storage.writeMessage({ ...kept, ack });
    if (ack >= 3) dormant.delete(kept.id);
  }

  Object.assign(exports, { open, list, save, adopt, restore, dormant, giveUp, isGivenUp, loadEarlier, acknowledge, titleOf, widOf, knowGroup, nextRank, nextRowId, endOfHistory });
});
