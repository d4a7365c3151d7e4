/*
 * What the page does about what is there: reactions, edits, deletions; reading a chat, showing that its owner types.
 *
 * Responsible for: the functions that outsiders call for it, as strict about what they are given as the real ones, and in the
 * real order: a reaction and an edit are in storage before they travel, a deletion for everybody is carried out here after the
 * server has taken it, and nothing of it travels by a document that is gone. Not responsible for: what comes from elsewhere
 * (incoming.js), drawing.
 *
 * Sources: page modules of these names; docs/whatsapp.md#after-a-message has each.
 */
/* Outsiders look at REVOKED before they delete. */
sandboxPage.define('WAWebMsgType', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const WORDS = [
    'notification', 'notification_template', 'group_notification', 'gp2', 'broadcast_notification', 'e2e_notification', 'call_log', 'protocol',
    'chat', 'location', 'payment', 'vcard', 'ciphertext', 'multi_vcard', 'revoked', 'oversized', 'groups_v4_invite', 'hsm', 'image', 'video',
    'audio', 'ptt', 'sticker', 'document', 'product', 'order', 'list', 'interactive', 'reaction', 'unknown',
  ];
  exports.MSG_TYPE = Object.freeze(Object.fromEntries(WORDS.map((word) => [word.toUpperCase(), word])));
  exports.SYSTEM_MESSAGE_TYPES = Object.freeze(['notification_template', 'group_notification', 'gp2', 'broadcast_notification', 'e2e_notification', 'call_log']);
});

sandboxPage.define('WAWebMessageEditUtils', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  /** A setting of the server's, with this default. The screen offers an edit for five minutes less. */
  const PROCESSING_WINDOW_S = 1200;
  const { unixTime } = require('WATimeUtils');
  const CAPTIONED = ['image', 'video', 'document', 'gif'];
  exports.getMsgEditType = (type) => (type === 'chat' ? 'text_edit' : CAPTIONED.includes(type) ? 'caption_edit' : null);
  exports.isParentWithinEditProcessingWindow = ({ parentTsInSeconds, editTsInSeconds, msgKey }) => {
    if (!msgKey || !msgKey.remote) throw new TypeError("Cannot read properties of undefined (reading 'remote')");
    const seconds = require('SandboxWire').faults().edit_window_seconds ?? PROCESSING_WINDOW_S;
    return (editTsInSeconds ?? unixTime()) < parentTsInSeconds + seconds;
  };
});

sandboxPage.define('WAWebRevokeMsgConstants', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  /** Two days and a half; the phone apps state the same. */
  exports.REVOKE_WINDOW = 216000;
});

sandboxPage.define('WAWebMsgActionCapability', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { ChatCollection } = require('WAWebChatCollection');
  const { unixTime } = require('WATimeUtils');
  const { getMsgEditType, isParentWithinEditProcessingWindow } = require('WAWebMessageEditUtils');
  const NO_PERSON_WROTE = ['gp2', 'e2e_notification', 'revoked', 'protocol', 'ciphertext'];
  const chatOf = (msg) => {
    const chat = ChatCollection.get(msg.id.remote);
    if (!chat) throw new Error('getChat: the message is in no chat');
    return chat;
  };
  const isUnsent = (msg) => msg.id.fromMe && !(msg.ack >= 1);
  const canEdit = (msg) => msg.id.fromMe && !msg.isForwarded && !isUnsent(msg) && chatOf(msg).canSend;
  const isInWindow = (msg) => isParentWithinEditProcessingWindow({ parentTsInSeconds: msg.t, msgKey: msg.id });
  const canRevoke = (msg) => !NO_PERSON_WROTE.includes(msg.type) && !msg.broadcast && !isUnsent(msg)
    && unixTime() - msg.t <= require('WAWebRevokeMsgConstants').REVOKE_WINDOW;
  Object.assign(exports, {
    canEditText: (msg) => getMsgEditType(msg.type) === 'text_edit' && canEdit(msg) && isInWindow(msg),
    canEditCaption: (msg) => getMsgEditType(msg.type) === 'caption_edit' && Boolean(msg.caption) && canEdit(msg) && isInWindow(msg),
    canSenderRevokeMsg: (msg) => canRevoke(msg) && msg.id.fromMe,
    canAdminRevokeMsg(msg) {
      const group = chatOf(msg).groupMetadata;
      return canRevoke(msg) && !msg.id.fromMe && Boolean(group && group.participants.iAmAdmin());
    },
    canDeleteMsg: () => true,
  });
});

/* What was done about a message, on its way to the server. */
sandboxPage.define('SandboxActs', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const wire = require('SandboxWire');
  const link = require('SandboxLink');

  /** What the server has not answered, by the id of what was done. A document that is gone takes it along. */
  const waiting = new Map();
  let connection = 0;
  let isLeaving = false;
  const result = (messageSendResult) => ({ messageSendResult, t: Math.floor(Date.now() / 1000), count: null });

  function travel(id) {
    const own = connection;
    const { key, from, target, change } = waiting.get(id);
    const send = (envelopes) => {
      if (own === connection && !isLeaving) wire.tell({ type: 'change', id, target: target.id, change, envelopes });
    };
    // What is deleted for the account alone goes to its own devices, by another way.
    if (change.what === 'delete_for_me') send([]);
    else require('SandboxRatchet').encrypt(key.remote, from, send);
  }

  /** Resolves with the page's word for what the server said. Rejects for a person who is blocked, and never settles in a page that goes. */
  async function send(key, from, target, change) {
    const { send: fault, send_result: given, reload_in_send: reloads } = wire.faults();
    if (fault === 'rejected') throw new Error('Contact is blocked');
    // A network that fails takes the connection along, by which alone an edit and a reaction differ from refused ones.
    if (given === 'ERROR_NETWORK') wire.reconnect();
    if (given) return result(given);
    if (reloads) { isLeaving = true; location.reload(); return new Promise(() => {}); }
    return new Promise((resolve) => {
      waiting.set(key.id, { key, from, target, change, resolve });
      if (wire.isConnected()) travel(key.id);
    });
  }
  wire.frames.on('welcome', () => {
    connection += 1;
    for (const id of waiting.keys()) travel(id);
  });
  wire.frames.on('ack', ({ id, ack }) => {
    const act = waiting.get(id);
    if (!act) return;
    waiting.delete(id);
    act.resolve(result(ack > 0 ? 'OK' : 'ERROR_UNKNOWN'));
  });

  /** The account itself, as that chat addresses it (page module WAWebLidMigrationUtils, getMeUserLidOrJidForChat). */
  exports.meIn = (chat) => {
    const isByLid = chat.id.isLid() || Boolean(chat.groupMetadata && chat.groupMetadata.isLidAddressingMode);
    return isByLid ? link.state.lid : link.state.number;
  };
  exports.send = send;
  exports.refuseIfTold = (name) => { if (wire.faults().send === 'throws') throw new Error(name + ': refused by a fault'); };
});

sandboxPage.define('WAWebSendReactionMsgAction', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { ChatCollection } = require('WAWebChatCollection');
  const { Msg } = require('WAWebMsgModel');
  const { unixTime } = require('WATimeUtils');
  const MsgKey = importDefault('WAWebMsgKey');
  const storage = require('SandboxStorage');
  const acts = require('SandboxActs');

  /** An empty text takes the reaction back. Settles once the server has it; any other end is an error that says nothing more. */
  async function sendReactionToMsg(msg, text) {
    acts.refuseIfTold('sendReactionToMsg');
    if (!(msg instanceof Msg)) throw new TypeError("Cannot read properties of undefined (reading 'remote')");
    if (typeof text !== 'string') throw new TypeError('sendReactionToMsg: the reaction is not a text');
    const chat = ChatCollection.get(msg.id.remote);
    if (!chat) throw new Error('getChat: the message is in no chat');
    const from = acts.meIn(chat);
    const id = new MsgKey({ from, to: chat.id, id: await MsgKey.newId(), participant: chat.id.isGroup() ? from : undefined, selfDir: 'out' });
    const t = unixTime();
    const before = (await storage.readReactions(msg.id.toString())).find(({ senderUserJid }) => senderUserJid === String(from));
    const reactionTimestamp = before ? Math.max(before.timestamp + 1, t * 1000) : t * 1000;
    const data = {
      id, from, to: chat.id, author: from, reactionParentKey: msg.id, type: 'reaction', kind: 'reactionDecrypted', t, viewMode: 'VISIBLE', ack: 0, reactionText: text,
      reactionTimestamp, read: true,
    };
    await require('WAWebAddonReactionTableMode').reactionTableMode.bulkUpsert([data]);
    const row = require('WAWebReactionDataUtils').reactionMsgDataToReactionRow(data);
    await require('WAWebReactionsMsgAction').addOrUpdateReactionsModelCollection(row, sandboxPage.isEarly ? false : { allowNotify: false });
    const { messageSendResult } = await acts.send(id, from, msg.id, { what: 'reaction', emoji: text });
    if (messageSendResult !== 'OK') throw new Error('Reaction send error');
    await storage.write({ reactions: [{ ...row, ack: 1 }] });
  }
  exports.sendReactionToMsg = sendReactionToMsg;
});

sandboxPage.define('WAWebSendMessageEditAction', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { ChatCollection } = require('WAWebChatCollection');
  const { Msg } = require('WAWebMsgModel');
  const { unixTime, unixTimeMs } = require('WATimeUtils');
  const { canEditText, canEditCaption } = require('WAWebMsgActionCapability');
  const { getMsgEditType } = require('WAWebMessageEditUtils');
  const { rowOf, messageOf } = require('SandboxRows');
  const MsgKey = importDefault('WAWebMsgKey');
  const storage = require('SandboxStorage');
  const acts = require('SandboxActs');

  function createEditMsgData({ msg, options, text }) {
    const chat = ChatCollection.get(msg.id.remote);
    const from = acts.meIn(chat);
    const { mentionedJidList, groupMentions } = options;
    const id = new MsgKey({ id: MsgKey.newId_DEPRECATED(), remote: msg.id.remote, fromMe: true, participant: chat.id.isGroup() ? from : undefined });
    const field = getMsgEditType(msg.type) === 'text_edit' ? 'body' : 'caption';
    return {
      id, from, to: msg.id.remote, type: 'protocol', kind: 'protocol', subtype: 'message_edit', viewMode: 'VISIBLE', protocolMessageKey: msg.id, local: true,
      t: unixTime(), mentionedJidList, groupMentions, latestEditMsgKey: id, latestEditSenderTimestampMs: unixTimeMs(), editMsgType: msg.type, [field]: text.trim(),
    };
  }

  const WRONG = {
    'type is not protocol': (data) => data.type !== 'protocol' || data.subtype !== 'message_edit',
    'id is not an own MsgKey': (data) => !(data.id instanceof MsgKey) || !data.id.fromMe,
    'protocolMessageKey is not that of the message': (data, msg) => !(data.protocolMessageKey instanceof MsgKey) || !data.protocolMessageKey.equals(msg.id),
    'latestEditMsgKey is not the id': (data) => !(data.latestEditMsgKey instanceof MsgKey) || !data.latestEditMsgKey.equals(data.id),
    'latestEditSenderTimestampMs is not a number': (data) => !Number.isFinite(data.latestEditSenderTimestampMs),
  };
  /** The edit and the edited message are in storage, and in the collection, before the edit travels. Settles in any case: a failure shows in the message. */
  async function addAndSendMessageEdit(msg, data) {
    acts.refuseIfTold('addAndSendMessageEdit');
    if (!(msg instanceof Msg)) throw new TypeError("Cannot read properties of undefined (reading 'id')");
    for (const [why, isSo] of Object.entries(WRONG)) if (isSo(data, msg)) throw new Error('addAndSendMessageEdit: ' + why);
    const field = getMsgEditType(msg.type) === 'text_edit' ? 'body' : 'caption';
    const text = data[field];
    const protocol = { ...rowOf({ ...data, ack: 0 }), rank: undefined };
    delete protocol.rank;
    const row = (await storage.readMessage(msg.id.toString())) || rowOf(msg);
    const isLatest = !(row.latestEditSenderTimestampMs > data.latestEditSenderTimestampMs);
    const editedMsgData = { latestEditMsgKey: data.latestEditMsgKey, latestEditSenderTimestampMs: data.latestEditSenderTimestampMs, [field]: text };
    const edited = isLatest ? { ...row, ...editedMsgData, latestEditMsgKey: String(data.latestEditMsgKey) } : row;
    await storage.write({ messages: [protocol, edited] });
    if (isLatest) {
      await require('WAWebUpdateEditedMessagesAction').updateEditedMessagesAction([{ parentMsg: messageOf(row), protocolMsg: data, editedMsgData, isLatest }]);
    }
    const sent = await acts.send(data.id, data.from, msg.id, { what: 'edit', body: text }).catch(() => ({ messageSendResult: 'ERROR_UNKNOWN' }));
    if (sent.messageSendResult !== 'OK') { msg.isSendFailure = true; return; }
    await storage.write({ messages: [{ ...protocol, ack: 1 }] });
    msg.isSendFailure = false;
  }

  exports.createEditMsgData = createEditMsgData;
  exports.addAndSendMessageEdit = addAndSendMessageEdit;
  exports.sendMessageEdit = (msg, text, options) => {
    if (!canEditText(msg) && !canEditCaption(msg)) return Promise.reject(new Error('Cannot edit message'));
    return addAndSendMessageEdit(msg, createEditMsgData({ msg, options, text }));
  };
});

sandboxPage.define('SandboxRevoke', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { ChatCollection } = require('WAWebChatCollection');
  const { unixTime } = require('WATimeUtils');
  const { rowOf } = require('SandboxRows');
  const MsgKey = importDefault('WAWebMsgKey');
  const storage = require('SandboxStorage');
  const acts = require('SandboxActs');

  /** What the page's module WAWebRevokeMsgAction calls sendRevoke: nothing is changed here before the server has it. */
  exports.send = async (msg, type) => {
    const isAdmin = type === require('WAWebCmd').Revoke.Admin;
    if (!isAdmin && !msg.id.fromMe) throw new Error('revoking received message');
    const chat = ChatCollection.get(msg.id.remote);
    const from = acts.meIn(chat);
    const id = new MsgKey({ id: await MsgKey.newId(), remote: msg.id.remote, fromMe: true, participant: chat.id.isGroup() ? from : undefined });
    const t = unixTime();
    const subtype = isAdmin ? 'admin_revoke' : 'sender_revoke';
    const protocol = rowOf({ id, from, to: msg.id.remote, author: chat.id.isGroup() ? from : undefined, type: 'protocol', kind: 'protocolRevoke', subtype, protocolMessageKey: msg.id, t, ack: 0 });
    delete protocol.rank;
    await storage.write({ messages: [protocol] });
    const { messageSendResult } = await acts.send(id, from, msg.id, { what: 'revoke', by_admin: isAdmin });
    if (messageSendResult !== 'OK') return { messageSendResult: 'ERROR_UNKNOWN' };
    const before = msg.id;
    const row = (await storage.readMessage(before.toString())) || rowOf(msg);
    const after = require('WAWebRevoke').getMsgKeyAfterRevoke({ originalKey: before, revokeKey: id });
    const { rank, rowId, remote, fromMe, participant, from: writer, to, lid, number, t: at, ack, author } = row;
    await storage.write({
      gone: [row.key, protocol.key],
      messages: [{
        key: after.toString(), rank, rowId, remote, id: after.id, fromMe, participant, from: writer, to, lid, number, t: at, ack, author, type: 'revoked',
        subtype: isAdmin ? 'admin' : 'sender', revokeSender: String(from), revokeTimestamp: t, protocolMessageKey: before.toString(), isOverwrittenByRevoke: true,
      }],
    });
    require('SandboxChats').dormant.delete(before.id);
    require('WAWebRevokeMsgAction').revoke(msg, { msgKey: id, subtype, sender: from, revokeTimestamp: t });
    return { messageSendResult: 'OK' };
  };
});

sandboxPage.define('WAWebChatSendMessages', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { Chat } = require('WAWebChatModel');
  const { MsgCollection } = require('WAWebMsgCollection');
  const { unixTime } = require('WATimeUtils');
  const { canSenderRevokeMsg } = require('WAWebMsgActionCapability');
  const MsgKey = importDefault('WAWebMsgKey');
  const storage = require('SandboxStorage');
  const acts = require('SandboxActs');

  /** Lists of messages are said to be such; a bare list is what builds before 2.3000 took. */
  function listOf(record) {
    if (!record || record.type !== 'message' || !Array.isArray(record.list)) throw new TypeError("Cannot read properties of undefined (reading 'map')");
    return record.list;
  }
  /** Gives the promise that is under way, if there is one, also for other messages. */
  exports.sendRevokeMsgs = (chat, record) => {
    acts.refuseIfTold('sendRevokeMsgs');
    if (!(chat instanceof Chat)) throw new TypeError("Cannot read properties of undefined (reading 'promises')");
    if (chat.promises.sendRevokeMsgs) return chat.promises.sendRevokeMsgs;
    const { Revoke } = require('WAWebCmd');
    const all = listOf(record).map((msg) => require('SandboxRevoke').send(msg, canSenderRevokeMsg(msg) ? Revoke.Sender : Revoke.Admin));
    chat.promises.sendRevokeMsgs = Promise.all(all).finally(() => { chat.promises.sendRevokeMsgs = null; });
    return chat.promises.sendRevokeMsgs;
  };
  /** One argument since 2025; answers how many are gone. */
  exports.sendDeleteMsgs = async ({ chat_: chat, record }) => {
    acts.refuseIfTold('sendDeleteMsgs');
    if (!(chat instanceof Chat)) throw new TypeError("Cannot read properties of undefined (reading 'promises')");
    const list = listOf(record);
    if (chat.promises.sendDeleteMsgs) return chat.promises.sendDeleteMsgs;
    const remove = async (msg) => {
      const id = new MsgKey({ id: await MsgKey.newId(), remote: msg.id.remote, fromMe: true });
      const { messageSendResult } = await acts.send(id, acts.meIn(chat), msg.id, { what: 'delete_for_me' });
      if (messageSendResult !== 'OK') throw new Error('remove messages from history failed');
      await storage.write({ gone: [msg.id.toString()] });
      require('SandboxChats').dormant.delete(msg.id.id);
      chat.msgs.remove(msg.id);
      MsgCollection.remove(msg.id);
      return unixTime();
    };
    chat.promises.sendDeleteMsgs = Promise.all(list.map(remove)).then((gone) => gone.length).finally(() => { chat.promises.sendDeleteMsgs = null; });
    return chat.promises.sendDeleteMsgs;
  };
});

/* The part of the screen that carries commands out; nothing hears them before it is there. */
sandboxPage.define('WAWebActionListener', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { Cmd } = require('WAWebCmd');
  const { canSenderRevokeMsg, canAdminRevokeMsg } = require('WAWebMsgActionCapability');
  /** A person may take a deletion for themselves back for so long. */
  const DELETE_DELAY_MS = 5000;
  const ignored = () => {};
  exports.open = () => {
    Cmd.on('send_revoke_msgs', (chat, record, { clearMedia }) => {
      const { list } = record;
      if (!list || !list.every((msg) => canSenderRevokeMsg(msg) || canAdminRevokeMsg(msg))) return;
      require('WAWebChatSendMessages').sendRevokeMsgs(chat, record, clearMedia).catch(ignored);
    });
    Cmd.on('send_delete_msgs', (chat, record, clearMedia) => {
      if (!record.list || record.list.some((msg) => !msg.id)) return;
      setTimeout(() => { require('WAWebChatSendMessages').sendDeleteMsgs({ chat_: chat, clearMedia, record }).catch(ignored); }, DELETE_DELAY_MS);
    });
  };
});

sandboxPage.define('WAWebUpdateUnreadChatAction', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { Chat } = require('WAWebChatModel');
  const { Stream } = require('WAWebStreamModel');
  const wire = require('SandboxWire');
  /** The chat stands among named arguments since build 2.3000.1031992593. Without `afterAvailable: false` a page that no person looks at waits for one. */
  exports.sendSeen = async ({ chat, afterAvailable = true }) => {
    if (!(chat instanceof Chat)) throw new TypeError("Cannot read properties of undefined (reading 'unreadCount')");
    if (chat.markedUnread || chat.unreadCount === 0) return;
    if (afterAvailable && !Stream.available) return;
    wire.tell({ type: 'seen', user: chat.id.user, server: chat.id.server });
    chat.unreadCount = 0;
  };
  exports.markUnread = async (chat, isUnread) => { chat.markedUnread = isUnread; return chat; };
});

sandboxPage.define('WAWebPresenceChatAction', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { Chat } = require('WAWebChatModel');
  const wire = require('SandboxWire');
  const PAUSED_MS = 2500;
  const say = (chat, state) => wire.tell({ type: 'chat_state', user: chat.id.user, server: chat.id.server, state });
  const check = (chat) => { if (!(chat instanceof Chat)) throw new TypeError("Cannot read properties of undefined (reading 'isBot')"); };
  function pause(chat) {
    if (chat.typing || chat.recording) say(chat, 'paused');
    clearTimeout(chat.pausedTimerId);
    chat.unset('pausedTimerId');
    chat.typing = chat.recording = false;
  }
  exports.markComposing = (chat) => {
    check(chat);
    if (!chat.typing) say(chat, 'composing');
    chat.typing = true;
    clearTimeout(chat.pausedTimerId);
    chat.pausedTimerId = setTimeout(() => pause(chat), PAUSED_MS);
  };
  exports.markRecording = (chat) => {
    check(chat);
    if (!chat.recording) say(chat, 'recording');
    clearTimeout(chat.pausedTimerId);
    chat.unset('pausedTimerId');
    chat.recording = true;
    chat.typing = false;
  };
  exports.markPaused = (chat) => { check(chat); pause(chat); };
  exports.sendPresenceAvailable = () => {};
  exports.sendPresenceUnavailable = () => {};
  exports.clearPresence = (chat) => { pause(chat); };
});
