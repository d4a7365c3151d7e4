/*
 * Sending, and what has to be known before it.
 *
 * Responsible for: the functions that outsiders call to find a person, open a chat and send, as
 * strict about what they are given as the real ones; the queue of messages that the server has
 * not taken yet. Not responsible for: receipts, drawing.
 *
 * Invariant: a message is in storage before it travels, and travels under one id for life.
 */
sandboxPage.define('WAWebAck', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  exports.ACK = Object.freeze({
    MD_DOWNGRADE: -7, INACTIVE: -6, CONTENT_UNUPLOADABLE: -5, CONTENT_TOO_BIG: -4, CONTENT_GONE: -3, EXPIRED: -2, FAILED: -1,
    CLOCK: 0, SENT: 1, RECEIVED: 2, READ: 3, PLAYED: 4, PEER: 5,
  });
  exports.ACK_STRING = Object.freeze({ SENDER: 'sender', DELIVERY: 'delivery', READ: 'read', PLAYED: 'played', INACTIVE: 'inactive' });
});

sandboxPage.define('WAWebQueryExistsJob', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { createWid } = require('WAWebWidFactory');
  const { learn } = require('WAWebApiContact');
  const Wid = importDefault('WAWebWid');

  async function queryWidExists(wid) {
    if (!(wid instanceof Wid) || !wid.isUser()) throw new Error('queryWidExists: not a user wid');
    const found = await require('SandboxWire').ask(wid);
    if (!found) return null;
    if (!found.lid) return { wid: createWid(found.number + '@c.us'), biz: false, bizInfo: undefined, disappearingMode: undefined };
    const { lid, phoneNumber } = learn(found.number, found.lid);
    return { wid: sandboxPage.faults.lid_chats ? lid : phoneNumber, lid, biz: false, bizInfo: undefined, disappearingMode: undefined };
  }
  exports.queryWidExists = queryWidExists;
  exports.queryPhoneExists = (phone) => queryWidExists(createWid(String(phone).replace(/\D/g, '') + '@c.us'));
});

sandboxPage.define('WAWebChatOriginTypes', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  exports.VALID_LID_ORIGINS = new Set(['createChat', 'message', 'sendMsgRecord', 'deeplink']);
});

sandboxPage.define('WAWebSendMsgResultAction', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  exports.SendMsgResult = Object.freeze(Object.fromEntries(['OK', 'ERROR_NETWORK', 'ERROR_EXPIRED', 'ERROR_CANCELLED', 'ERROR_UPLOAD',
    'ERROR_UNKNOWN'].map((name) => [name, name])));
});

sandboxPage.define('WAWebFindChatAction', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const Wid = importDefault('WAWebWid');
  const { lidPnCache } = require('WAWebApiContact');
  const chats = require('SandboxChats');

  /** The origins that may create a chat by LID; the real page logs others as unexpected, here they fail. */
  const { VALID_LID_ORIGINS } = require('WAWebChatOriginTypes');

  async function findOrCreateLatestChat(wid, origin, options) {
    if (!(wid instanceof Wid)) throw new Error('findOrCreateLatestChat: not a wid');
    require('SandboxStatusWatch').look(wid);
    if (!sandboxPage.isEarly && !VALID_LID_ORIGINS.has(origin)) throw new Error('createChat: unexpected lid chat, origin ' + origin);
    if (options && options.signal && options.signal.aborted) throw new DOMException('aborted', 'AbortError');
    if (wid.isGroup() && !require('WAWebChatCollection').ChatCollection.get(wid)) throw new Error('findOrCreateLatestChat: no such group');
    if (wid.isGroup() || !sandboxPage.faults.lid_chats) return chats.open(wid);
    const lid = wid.isLid() ? wid : lidPnCache.getCurrentLid(wid) || (await require('WAWebQueryExistsJob').queryWidExists(wid) || {}).wid;
    if (!lid) throw new Error('No LID for user');
    const { chat, created } = chats.open(lid);
    if (!sandboxPage.isEarly) return { chat, created };
    // That build hands out no model, only what names it.
    return { chat: { id: chat.id }, created };
  }
  exports.findOrCreateLatestChat = findOrCreateLatestChat;
  exports.findExistingChat = async (wid) => require('WAWebChatCollection').ChatCollection.get(wid);
});

sandboxPage.define('WAWebGetEphemeralFieldsMsgActionsUtils', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  exports.getEphemeralFields = (chat) => {
    if (!(chat instanceof require('WAWebChatModel').Chat)) throw new Error('getEphemeralFields: not a chat');
    return {};
  };
});

sandboxPage.define('SandboxOutbox', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { MsgCollection } = require('WAWebMsgCollection');
  const wire = require('SandboxWire');
  const chats = require('SandboxChats');
  const MsgKey = importDefault('WAWebMsgKey');

  /** Who waits for the server to take a message, by its inner id. */
  const waiting = new Map();
  const result = (messageSendResult, t) => ({ messageSendResult, t, count: null });

  /** The text of a message, or what stands for it. */
  const textOf = (msg) => (msg.type === 'chat' ? msg.body : '');
  const wireWid = ({ user, server }) => ({ user, server });
  /** What a message says beside its text. */
  function extrasOf(msg) {
    const extras = { quote: msg.quotedStanzaID, mentions: msg.mentionedJidList && msg.mentionedJidList.map(wireWid) };
    if (msg.type === 'location') {
      // Name and address stand in two lines of one text.
      const [name, ...address] = (msg.loc || '').split('\n');
      extras.location = { latitude: msg.lat, longitude: msg.lng, name: name || undefined, address: address.join('\n') || undefined };
    }
    if (msg.type === 'vcard') extras.contacts = [{ name: msg.vcardFormattedName, vcard: msg.body }];
    if (msg.type === 'multi_vcard') extras.contacts = msg.vcardList.map(({ displayName, vcard }) => ({ name: displayName, vcard }));
    if (require('SandboxMedia').isMedia(msg)) {
      extras.media = {
        kind: msg.type, mimetype: msg.mimetype, size: msg.size, filename: msg.filename, caption: msg.caption, view_once: Boolean(msg.isViewOnce),
        seconds: msg.duration === undefined ? undefined : Math.round(Number(msg.duration)) || 0,
        file: { direct_path: msg.directPath, media_key: msg.mediaKey, media_key_timestamp: msg.mediaKeyTimestamp, enc_filehash: msg.encFilehash, filehash: msg.filehash },
      };
    }
    if (msg.type === 'poll_creation') extras.poll = { question: msg.pollName, options: msg.pollOptions.map(({ name }) => name), choices: msg.pollSelectableOptionsCount };
    return extras;
  }

  /** Messages that are not in storage yet, by their inner ids. They travel when they are: not with a connection that comes meanwhile. */
  const storing = new Set();
  /** Counts connections. What was encrypted for one does not travel by the next, which sends all of it again in its order. */
  let connection = 0;
  /** The document is going: nothing travels any more. */
  let isLeaving = false;

  const travel = (msg) => {
    const own = connection;
    return require('SandboxRatchet').encrypt(msg.to, msg.from, (envelopes) => {
      if (own !== connection || isLeaving) return;
      wire.tell({ type: 'send', id: msg.id.id, user: msg.to.user, server: msg.to.server, body: textOf(msg), from_server: msg.from.server, envelopes, extras: extrasOf(msg) });
    });
  };

  /** A write has failed for want of room. The page does not recover from it by itself, also when there is room again. */
  let stuck = false;

  /** A message whose medium is not on the server cannot be read: it does not travel, and after a reload the page has its bytes no more. */
  const isWhole = (msg) => !require('SandboxMedia').isMedia(msg) || Boolean(msg.directPath);

  /** Stores a message, sends it as soon as there is a connection, waits until it is taken. `before` is what has to be done first, such as an upload. */
  async function post(msg, before) {
    const taken = new Promise((resolve) => waiting.set(msg.id.id, resolve));
    if (wire.faults().storage === 'full') stuck = true;
    if (stuck) return taken;
    storing.add(msg.id.id);
    await chats.save(msg);
    storing.delete(msg.id.id);
    if (before) await before(msg);
    const { send_result: given, send } = wire.faults();
    if (given || send === 'rejected') {
      waiting.delete(msg.id.id);
      // A failure of the network is not final: the message keeps its clock, and goes out with the next connection.
      if (given !== 'ERROR_NETWORK') {
        chats.giveUp(msg);
        if (send !== 'rejected' && given !== 'ERROR_CANCELLED') msg.updateAck(-1);
        msg.isSendFailure = true;
      }
      if (send === 'rejected') throw new Error('Contact is blocked');
      return result(given, undefined);
    }
    if (wire.faults().reload_in_send) { isLeaving = true; location.reload(); return new Promise(() => {}); }
    if (wire.isConnected()) travel(msg);
    return taken;
  }

  /** Own messages by their inner ids, for those whose receipts come in: with ten thousand of them a look through all takes its time. */
  const own = new Map();
  MsgCollection.on('add', (msg) => { if (msg.id.fromMe) own.set(msg.id.id, msg); });
  const ownById = (id) => own.get(id) || MsgCollection.findFirst((each) => each.id.fromMe && each.id.id === id);

  const outgoing = (test) => MsgCollection.filter((msg) => msg.id.fromMe && test(msg.ack));
  // What the server has not taken is sent again, under the same id.
  wire.frames.on('welcome', () => {
    connection += 1;
    if (!stuck) for (const msg of outgoing((ack) => ack === 0)) if (!chats.isGivenUp(msg) && !storing.has(msg.id.id) && isWhole(msg)) travel(msg);
  });
  function receive(frame) {
    const dormant = chats.dormant.get(frame.id);
    const msg = dormant ? { id: MsgKey.fromString(dormant) } : ownById(frame.id);
    if (msg) require('SandboxReceipts').receipt(msg, frame);
  }
  wire.frames.on('ack', (frame) => {
    // Of a message that the owner has just written on the phone, it may come while that is still being stored.
    if (frame.ack > 1) { require('SandboxIncoming').afterTaking(() => receive(frame)); return; }
    const msg = chats.dormant.has(frame.id) ? undefined : ownById(frame.id);
    if (!msg) return;
    msg.updateAck(frame.ack);
    const resolve = waiting.get(frame.id);
    waiting.delete(frame.id);
    if (resolve) resolve(frame.ack === 1 ? result('OK', frame.at) : result('ERROR_UNKNOWN', frame.at));
  });

  Object.assign(exports, {
    post,
    awaiting: () => [...new Set([...outgoing((ack) => ack === 1 || ack === 2).map((msg) => msg.id.id), ...chats.dormant.keys()])].map((id) => ({ id })),
  });
});

sandboxPage.define('WAWebSendMsgChatAction', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { MsgCollection } = require('WAWebMsgCollection');
  const { ChatCollection } = require('WAWebChatCollection');
  const { Chat } = require('WAWebChatModel');
  const MsgKey = importDefault('WAWebMsgKey');
  const Wid = importDefault('WAWebWid');
  const { isMeAccount } = require('WAWebUserPrefsMeUser');
  const chats = require('SandboxChats');

  const isText = (value) => typeof value === 'string' && value !== '';
  const isSecret = (value) => value instanceof Uint8Array && value.length === 32;
  const isCard = (card) => isText(card.vcard) && card.vcard.startsWith('BEGIN:VCARD') && isText(card.displayName);
  /** What each type of message needs. */
  const CONTENTS = {
    chat: (raw) => (isText(raw.body) ? null : 'body is not a text, or empty'),
    location(raw) {
      const isDegree = (value, most) => typeof value === 'number' && Math.abs(value) <= most;
      if (!isDegree(raw.lat, 90) || !isDegree(raw.lng, 180)) return 'lat or lng is not a number of degrees';
      if (typeof raw.loc !== 'string') return 'loc is not a text';
      return readsLocations() ? null : 'the server does not take a location that is said to be a medium';
    },
    vcard: (raw) => (isCard({ vcard: raw.body, displayName: raw.vcardFormattedName }) ? null : 'body is not a vCard, or vcardFormattedName is missing'),
    multi_vcard: (raw) => (Array.isArray(raw.vcardList) && raw.vcardList.length > 1 && raw.vcardList.every(isCard) ? null : 'vcardList is not a list of cards'),
    poll_creation(raw) {
      if (!isText(raw.pollName)) return 'pollName is not a text, or empty';
      const isOption = ({ name, localId }, at) => isText(name) && localId === at;
      if (!Array.isArray(raw.pollOptions) || raw.pollOptions.length < 2 || !raw.pollOptions.every(isOption)) return 'pollOptions are not {name, localId}, from 0, two at least';
      if (!Number.isInteger(raw.pollSelectableOptionsCount)) return 'pollSelectableOptionsCount is not a number';
      return isSecret(raw.messageSecret) ? null : 'messageSecret is not 32 bytes';
    },
  };
  const MEDIA_TYPES = ['image', 'video', 'audio', 'ptt', 'document', 'sticker'];
  const isHash = (value) => typeof value === 'string' && /^[A-Za-z0-9+/]{43}=$/.test(value);
  /** What a medium needs; `isUploaded`: also where it is, and how it is read. */
  function faultOfMedia(raw, isUploaded) {
    if (!isText(raw.mimetype)) return 'mimetype is missing';
    if (!isHash(raw.filehash)) return 'filehash is not a SHA-256 in base64';
    if (!Number.isInteger(raw.size) || raw.size <= 0) return 'size is not a number of bytes';
    if (raw.type === 'document' && !isText(raw.filename)) return 'filename of a document is missing';
    if (raw.caption !== undefined && raw.caption !== null && typeof raw.caption !== 'string') return 'caption is not a text';
    if (!isUploaded) return null;
    if (!isText(raw.directPath)) return 'directPath is missing: nothing was uploaded';
    if (!isHash(raw.encFilehash)) return 'encFilehash is not a SHA-256 in base64';
    return isHash(raw.mediaKey) && Number.isInteger(raw.mediaKeyTimestamp) ? null : 'mediaKey or mediaKeyTimestamp is missing';
  }
  const faultOfContent = (raw, upload) => (MEDIA_TYPES.includes(raw.type) ? faultOfMedia(raw, !upload) : CONTENTS[raw.type](raw));
  /** The page encodes what it sends with these two functions, whose answers for a location are those of a medium; who sends one makes them answer otherwise. */
  function readsLocations() {
    const proto = { locationMessage: {} };
    return require('WAWebBackendJobsCommon').mediaTypeFromProtobuf(proto) === null && require('WAWebE2EProtoUtils').typeAttributeFromProtobuf(proto) === 'text';
  }
  /** What a caller got wrong about who writes: of a group, by its way of addressing (page module WAWebLidMigrationUtils, getMeUserLidOrJidForChat). */
  function faultOfSender(chat, raw) {
    if (!(raw.from instanceof Wid) || !isMeAccount(raw.from)) return 'from is not my wid';
    if (raw.from.device !== undefined) return 'from names a device';
    if (!chat.id.isGroup()) return raw.id.participant ? 'id has a participant, in a chat with one person' : null;
    if (!(raw.id.participant instanceof Wid) || !raw.id.participant.equals(raw.from)) return 'the participant of the id is not from';
    return chat.groupMetadata ? null : 'the metadata of the group is not loaded';
  }
  /** What a caller got wrong about the message that is answered, and about who is mentioned. */
  function faultOfContext(raw) {
    if (raw.quotedStanzaID !== undefined) {
      if (!isText(raw.quotedStanzaID)) return 'quotedStanzaID is not a text';
      if (!(raw.quotedParticipant instanceof Wid)) return 'quotedParticipant is not a wid';
      if (!raw.quotedMsg || typeof raw.quotedMsg !== 'object' || !isText(raw.quotedMsg.type)) return 'quotedMsg is not the content of a message';
    }
    const mentions = raw.mentionedJidList;
    if (mentions !== undefined && !(Array.isArray(mentions) && mentions.every((wid) => wid instanceof Wid && wid.isUser()))) return 'mentionedJidList is not a list of user wids';
    return null;
  }

  /** What a caller got wrong; the real page fails later and with less grace. */
  function fault(chat, raw, upload) {
    if (!(chat instanceof Chat)) return 'chat is not a ChatModel';
    if (ChatCollection.get(chat.id) !== chat) return 'chat is not in the ChatCollection';
    if (!raw || typeof raw !== 'object') return 'there is no message';
    if (!(raw.id instanceof MsgKey)) return 'id is not a MsgKey';
    if (!raw.id.fromMe) return 'id is not from me';
    if (!/^[0-9A-F]{16,40}$/.test(raw.id.id)) return 'id is not 16 to 40 hexadecimal capitals';
    if (!raw.id.remote.equals(chat.id)) return 'id belongs to another chat';
    if (!(raw.to instanceof Wid) || !raw.to.equals(chat.id)) return 'to is not the wid of the chat';
    if (!Object.hasOwn(CONTENTS, raw.type) && !MEDIA_TYPES.includes(raw.type)) return 'type is not one that this page can send';
    if (!Number.isInteger(raw.t) || raw.t < 1e9 || raw.t > 1e11) return 't is not a time in seconds';
    if (raw.self !== 'out') return 'self is not out';
    if (raw.isNewMsg !== true) return 'isNewMsg is not true';
    if (raw.local !== true) return 'local is not true';
    if (raw.ack !== 0) return 'ack is not 0';
    return faultOfSender(chat, raw) ?? faultOfContent(raw, upload) ?? faultOfContext(raw);
  }

  /** The model takes its inner name of the id as well: what was copied out of another model has that, and the last one counts. */
  function withItsId(raw) {
    const names = raw && typeof raw === 'object' ? Object.keys(raw) : [];
    if (!raw || !(raw.id instanceof MsgKey) || names.indexOf('__x_id') <= names.indexOf('id')) return raw;
    const id = Array.from(crypto.getRandomValues(new Uint8Array(10)), (byte) => byte.toString(16).padStart(2, '0')).join('').toUpperCase();
    return { ...raw, id: new MsgKey({ ...raw.id, id }) };
  }
  function add(chat, given, upload) {
    const raw = withItsId(given);
    const wrong = fault(chat, raw, upload);
    if (wrong) throw new Error('addAndSendMsgToChat: ' + wrong);
    const known = MsgCollection.get(raw.id);
    const msg = known || MsgCollection.add(raw);
    if (!known) chats.list(msg);
    return msg;
  }
  /** Gives two promises: the message in its collection, and the server's verdict. `given` may be a promise of the message, and `upload` is awaited before it
   * travels: the page itself sends media so. */
  function addAndSendMsgToChat(chat, given, upload) {
    if (require('SandboxWire').faults().send === 'throws') throw new Error('addAndSendMsgToChat: refused by a fault');
    if (given && typeof given.then === 'function') {
      const added = given.then((raw) => add(chat, raw, upload));
      return [added, added.then((msg) => require('SandboxOutbox').post(msg, upload))];
    }
    const msg = add(chat, given, upload);
    return [Promise.resolve(msg), require('SandboxOutbox').post(msg, upload)];
  }
  exports.addAndSendMsgToChat = addAndSendMsgToChat;
});

/* How a message is encoded, as far as senders of locations reach into it. */
sandboxPage.define('WAWebBackendJobsCommon', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  exports.mediaTypeFromProtobuf = (proto) => (proto.locationMessage ? 'location' : null);
});
sandboxPage.define('WAWebE2EProtoUtils', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  exports.typeAttributeFromProtobuf = (proto) => (proto.locationMessage ? 'media' : 'text');
});

sandboxPage.define('WAWebMsgReply', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const UNANSWERABLE = ['revoked', 'ciphertext', 'gp2', 'e2e_notification', 'protocol'];
  /** Also what the server does not have yet cannot be answered. */
  exports.canReplyMsg = (msg) => Boolean(msg && msg.id) && !UNANSWERABLE.includes(msg.type) && !(msg.id.fromMe && msg.ack <= 0);
});

sandboxPage.define('WAWebSendTextMsgChatAction', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const MsgKey = importDefault('WAWebMsgKey');
  const { unixTime } = require('WATimeUtils');
  const prefs = require('WAWebUserPrefsMeUser');

  /** The shortest way to send a text, which the page's own compose box takes. */
  async function sendTextMsgToChat(chat, text) {
    const from = chat.id.isLid() ? prefs.getMeLidUserOrThrow() : prefs.getMePnUserOrThrow();
    const id = new MsgKey({ from, to: chat.id, id: await MsgKey.newId(), selfDir: 'out' });
    const [added, sent] = require('WAWebSendMsgChatAction').addAndSendMsgToChat(chat, {
      id, from, to: chat.id, type: 'chat', body: text, t: unixTime(), self: 'out', isNewMsg: true, local: true, ack: 0,
    });
    await added;
    return sent;
  }
  exports.sendTextMsgToChat = sendTextMsgToChat;
});
