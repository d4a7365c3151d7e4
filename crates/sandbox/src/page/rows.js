/*
 * Messages in storage: how they are written, and how a caller finds them there.
 *
 * Responsible for: the shape of a row, which has neither `isNewMsg` nor the sender's name (page module
 * WAWebDBMessageSerialization), and the page's own searches: beside a message that is known, and by key. Not responsible
 * for: what is in memory (collections.js).
 */
sandboxPage.define('SandboxRows', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { createWid } = require('WAWebWidFactory');
  const MsgKey = importDefault('WAWebMsgKey');
  const { lidPnCache, getCurrentLid } = require('WAWebApiContact');
  const storage = require('SandboxStorage');

  /** Rows below are of the history: the real page tells them by this very number. */
  const FIRST_ROW_ID = 1e9;

  const PLAIN = ['rowId', 'body', 'caption', 'type', 'subtype', 't', 'ack', 'star', 'latestEditSenderTimestampMs', 'revokeTimestamp', 'isOverwrittenByRevoke',
    'quotedStanzaID', 'quotedType', 'hasReaction', 'templateParams', 'mimetype', 'size', 'filename', 'duration', 'filehash', 'encFilehash', 'directPath',
    'mediaKey', 'mediaKeyTimestamp', 'width', 'height', 'isGif', 'isViewOnce', 'waveform', 'pageCount', 'deprecatedMms3Url', 'isCaptionByUser', 'lat', 'lng', 'loc', 'vcardFormattedName', 'vcardList', 'pollName', 'pollOptions',
    'pollSelectableOptionsCount', 'messageSecret', 'ephemeralDuration', 'ephemeralStartTimestamp', 'broadcast', 'isStatusV3', 'viewMode', 'kind', 'isOffline'];
  const WIDS = ['author', 'revokeSender', 'quotedParticipant', 'quotedRemoteJid'];
  const WID_LISTS = ['mentionedJidList', 'recipients'];
  const KEYS = ['latestEditMsgKey', 'protocolMessageKey'];

  /** A message, model or not, as it is stored. */
  function rowOf(msg) {
    const { remote } = msg.id;
    const number = remote.isLid() ? lidPnCache.getPhoneNumber(remote) : remote.isUser() ? remote : undefined;
    const row = {
      key: msg.id.toString(), rank: msg.rank, remote: String(remote), id: msg.id.id, fromMe: msg.id.fromMe,
      participant: msg.id.participant && String(msg.id.participant), from: String(msg.from), to: String(msg.to),
      lid: remote.isUser() ? (getCurrentLid(remote) || {}).user : undefined, number: number && number.user,
    };
    for (const name of PLAIN) if (msg[name] !== undefined) row[name] = msg[name];
    for (const name of [...WIDS, ...KEYS]) if (msg[name]) row[name] = String(msg[name]);
    for (const name of WID_LISTS) if (msg[name]) row[name] = msg[name].map(String);
    if (msg.quotedMsg) row.quotedMsg = { type: msg.quotedMsg.type, body: msg.quotedMsg.body };
    return row;
  }

  /** What a row says, in the shape of a message that is no model. */
  function messageOf(row) {
    const message = {
      id: new MsgKey({ fromMe: row.fromMe, remote: createWid(row.remote), id: row.id, participant: row.participant ? createWid(row.participant) : undefined }),
      from: createWid(row.from), to: createWid(row.to), type: 'chat', self: row.fromMe ? 'out' : 'in', viewMode: 'VISIBLE',
      isMdHistoryMsg: row.rowId < FIRST_ROW_ID,
    };
    for (const name of PLAIN) if (row[name] !== undefined) message[name] = row[name];
    for (const name of WIDS) if (row[name]) message[name] = createWid(row[name]);
    for (const name of KEYS) if (row[name]) message[name] = MsgKey.fromString(row[name]);
    for (const name of WID_LISTS) if (row[name]) message[name] = row[name].map(createWid);
    if (row.quotedMsg) message.quotedMsg = row.quotedMsg;
    message.rank = row.rank;
    return message;
  }

  const DEFAULT_COUNT = 20;
  /** Messages of a chat before or after one that is known, the oldest first, without that one. Without a key, `before` begins at the end. */
  async function find({ anchor, direction, count = DEFAULT_COUNT }) {
    if (!anchor || !anchor.remote) throw new Error('msgFind: the anchor has no remote');
    require('SandboxStatusWatch').look(anchor.remote);
    if (require('SandboxWire').faults().message_search === 'never') return new Promise(() => {});
    const remote = String(anchor.remote);
    let rank = Infinity;
    if (anchor instanceof MsgKey) {
      const known = await storage.readMessage(anchor.toString());
      if (!known) return { messages: [], status: 404 };
      rank = known.rank;
    } else if (direction === 'after') return { messages: [], status: 200 };
    const rows = direction === 'before'
      ? (await storage.readRange(remote, -Infinity, rank, count, true)).reverse()
      : await storage.readRange(remote, rank, Infinity, count);
    return { messages: rows.map(messageOf), status: 200 };
  }

  Object.assign(exports, { FIRST_ROW_ID, rowOf, messageOf, find });
});

sandboxPage.define('WAWebDBMessageFindLocal', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { find } = require('SandboxRows');
  if (sandboxPage.isEarly) {
    // Before build 2.3000.1034162388: one function, whose parameters stand beside the parts of the key.
    exports.msgFindQuery = async (direction, params) => (await find({ anchor: params, direction, count: params.count })).messages;
    exports.queryMessageType = async () => [];
    return;
  }
  exports.msgFindBefore = ({ anchor, count }) => find({ anchor, count, direction: 'before' });
  exports.msgFindAfter = ({ anchor, count }) => find({ anchor, count, direction: 'after' });
  exports.msgFindByDirection = ({ anchor, count, direction }) => {
    if (direction !== 'before' && direction !== 'after') throw Error('Match: No case succesfully matched. Argument: ' + direction);
    return find({ anchor, count, direction });
  };
});

sandboxPage.define('WAWebDBMsgUtils', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { messageOf } = require('SandboxRows');
  exports.getMsgsByMsgKey = async (keys) => {
    for (const key of keys) require('SandboxStatusWatch').look(key);
    return (await require('SandboxStorage').readSome(keys.map(String))).map(messageOf);
  };
  exports.getMsgByMsgKey = async (key) => (await exports.getMsgsByMsgKey([key]))[0];
});

sandboxPage.define('WAWebChatLoadMessages', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { MsgCollection } = require('WAWebMsgCollection');
  const { Chat } = require('WAWebChatModel');
  const PAGE_SIZE = 50;

  async function load(chat, direction) {
    if (!(chat instanceof Chat)) throw new TypeError("Cannot read properties of undefined (reading 'msgs')");
    const { msgs } = chat;
    const beside = direction === 'after' ? msgs.last() : msgs.head();
    const anchor = beside ? beside.id : { remote: chat.id };
    const found = await MsgCollection.loadMessagesQuery({ anchor, direction, count: PAGE_SIZE });
    if (direction === 'before' && found.length < PAGE_SIZE) msgs.msgLoadState.noEarlierMsgs = true;
    return found;
  }
  /** The chat stands among named arguments since summer 2026 (whatsapp-web.js). */
  const chatOf = (given) => (sandboxPage.isEarly ? given : given.chat);
  exports.loadEarlierMsgs = async (given) => {
    const chat = chatOf(given);
    if (chat && chat.msgs.msgLoadState.noEarlierMsgs) return undefined;
    return load(chat, 'before');
  };
  exports.loadRecentMsgs = async (given) => load(chatOf(given), 'after');
});

sandboxPage.define('WAWebQuotedMsgModelUtils', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { Msg } = require('WAWebMsgModel');
  const MsgKey = importDefault('WAWebMsgKey');
  const { isMeAccount } = require('WAWebUserPrefsMeUser');
  /** The message that another one answers, as far as that one holds it; a model of no collection. */
  exports.getQuotedMsgObj = (msg) => {
    if (!msg.quotedStanzaID || !msg.quotedMsg) return undefined;
    const { remote } = msg.id;
    const fromMe = isMeAccount(msg.quotedParticipant);
    const id = new MsgKey({ fromMe, remote, id: msg.quotedStanzaID, participant: remote.isGroup() ? msg.quotedParticipant : undefined });
    return new Msg({ ...msg.quotedMsg, id, from: fromMe ? msg.to : msg.from, to: fromMe ? msg.from : msg.to, author: msg.quotedParticipant });
  };
});
