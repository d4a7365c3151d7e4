/*
 * What comes from the server: messages, and what becomes of them.
 *
 * Responsible for: the order in which the real page does things (storage first, then the collection, through the modules
 * that outsiders wrap), the queue of what waited, the history of a new link. Not responsible for: the connection
 * (socket.js), storage (storage.js, rows.js), reactions (reactions.js).
 *
 * Invariants: the server hears that a thing is safe when it is on disk; what comes before the page's main part is ready goes
 * to storage, and to no collection (page module WAWebMessageProcessRenderable).
 */

/* Messages on their way into the collection of all messages. */
sandboxPage.define('SandboxProcess', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { MsgCollection } = require('WAWebMsgCollection');
  const REVOKES = ['sender_revoke', 'admin_revoke'];
  const given = (values) => Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));

  /** What the page's module WAWebGetMsgUpdatesActionsUtils does: changes to what is there, and what is to be added. */
  exports.process = async (chatId, messages, meta) => {
    const chats = require('SandboxChats');
    const added = [];
    for (const message of messages) {
      const known = MsgCollection.get(message.id);
      if (message.type === 'protocol' && REVOKES.includes(message.subtype)) {
        const meant = MsgCollection.get(message.protocolMessageKey);
        if (meant) require('WAWebRevokeMsgAction').revoke(meant, { msgKey: message.id, subtype: message.subtype, sender: message.author || message.from, revokeTimestamp: message.t });
      } else if (known && known.type !== 'revoked') {
        const { t, id, from, to, rank, ...changes } = given({ ...message, isNewMsg: meta.isHistory ? false : message.isNewMsg });
        if (meta.add === 'search') { delete changes.isNewMsg; delete changes.ack; }
        if (changes.ack < known.ack) delete changes.ack;
        await known.applyUpdate(changes);
        if (meta.isHistory && known.search) { known.search = false; chats.list(known); }
      } else {
        if (meta.add === 'search') message.search = true;
        // An update of a message that is not in the collection stays in storage.
        if (!meta.update) added.push(message);
      }
    }
    for (const message of added) {
      const msg = MsgCollection.add(message, { merge: true });
      if (!msg) continue;
      msg.rank = message.rank;
      if (!chatId) continue;
      const chat = chats.list(msg);
      if (chat && message.isNewMsg && !msg.id.fromMe && !chat.active) chat.unreadCount += 1;
    }
    return messages.map(({ id }) => MsgCollection.get(id)).filter(Boolean);
  };
});

sandboxPage.define('WAWebRevoke', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const MsgKey = importDefault('WAWebMsgKey');
  exports.getMsgKeyAfterRevoke = ({ originalKey, revokeKey }) => new MsgKey({
    fromMe: originalKey.fromMe, id: revokeKey.id, remote: originalKey.remote, participant: originalKey.participant,
  });
});

sandboxPage.define('WAWebRevokeMsgAction', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { MsgCollection } = require('WAWebMsgCollection');
  const { ChatCollection } = require('WAWebChatCollection');
  /** The message gets the id of the revoke, and loses what it said before anybody hears of it. */
  exports.revoke = (msg, { msgKey, subtype, sender, revokeTimestamp }) => {
    const before = msg.id;
    const after = require('WAWebRevoke').getMsgKeyAfterRevoke({ originalKey: before, revokeKey: msgKey });
    msg.trigger('revoked');
    const chat = before.remote.isUser() || before.remote.isGroup() ? ChatCollection.get(before.remote) : undefined;
    if (chat) {
      chat.msgs.replaceId(before, after);
      if (chat.lastReceivedKey === before) chat.lastReceivedKey = after;
    }
    MsgCollection.replaceId(before, after);
    msg.set({
      isOverwrittenByRevoke: true, id: after, type: 'revoked', subtype: subtype === 'admin_revoke' ? 'admin' : 'sender', revokeSender: sender, revokeTimestamp,
      protocolMessageKey: before, body: undefined, caption: undefined, lat: undefined, lng: undefined, loc: undefined, quotedMsg: undefined,
      quotedStanzaID: undefined, quotedParticipant: undefined, quotedRemoteJid: undefined, mentionedJidList: undefined, star: false,
    });
  };
});

sandboxPage.define('WAWebUpdateEditedMessagesAction', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { MsgCollection } = require('WAWebMsgCollection');
  /** A message that is not in the collection changes in storage only. */
  exports.updateEditedMessagesAction = async (edits) => {
    for (const { parentMsg, editedMsgData } of edits) {
      const msg = MsgCollection.get(parentMsg.id);
      if (msg) msg.set(editedMsgData);
    }
  };
});

sandboxPage.define('WAWebDBProcessEditProtocolMsgs', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  /** Answers the edits that count: those of messages that are in storage, and can be read. */
  exports.processEditProtocolMsgs = async (edits) => edits.map((protocolMsg) => {
    const row = require('SandboxIncoming').work.row(protocolMsg.protocolMessageKey.toString());
    if (!row || row.type === 'ciphertext') return undefined;
    if (row.latestEditSenderTimestampMs > protocolMsg.latestEditSenderTimestampMs) return undefined;
    const { latestEditMsgKey, latestEditSenderTimestampMs, body } = protocolMsg;
    const editedMsgData = { latestEditMsgKey, latestEditSenderTimestampMs, [row.type === 'chat' ? 'body' : 'caption']: body };
    return { parentMsg: require('SandboxRows').messageOf(row), protocolMsg, editedMsgData, isLatest: true };
  }).filter(Boolean);
});

sandboxPage.define('WAWebUpdateMessageUIAction', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { MsgCollection } = require('WAWebMsgCollection');
  /** The collection hears of a message that is in storage. Of one that it has it hears again only when it can be read now. */
  exports.updateUI = async ({ chatId, msg, isUpdate = false }) => {
    const known = MsgCollection.get(msg.id);
    const isReadable = known && known.type === 'ciphertext' && msg.type !== 'ciphertext';
    if (known && !isReadable) return;
    const meta = { add: 'after', update: isUpdate || Boolean(isReadable), isHistory: false };
    await MsgCollection.processMultipleMessages(chatId, [{ ...msg, recvFresh: true, isNewMsg: true }], meta, 'updateMessageUIAction', null, true);
  };
});

sandboxPage.define('WAWebContactMutator', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { ContactCollection } = require('WAWebContactCollection');
  const { createWid } = require('WAWebWidFactory');
  exports.updatePushname = ({ contactId, pushname }) => { ContactCollection.gadd(createWid(contactId)).pushname = pushname; };
  exports.bulkUpdatePhoneNumberJids = ({ lidPhoneNumberMappings }) => {
    for (const { lid, phoneNumber } of lidPhoneNumberMappings) {
      const contact = ContactCollection.get(createWid(lid));
      if (contact) contact.phoneNumber = createWid(phoneNumber);
    }
  };
});

/* The page's own record of a group changes with it (SandboxChats.knowGroup); outsiders wrap this function to hear who comes and goes. */
sandboxPage.define('WAWebUpdateDbForGroupActionApi', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  exports.updateDBForGroupAction = async (meta, action) => {
    if (!Array.isArray(action.participants)) throw new TypeError('updateDBForGroupAction: no participants');
  };
});

sandboxPage.define('WAWebLidMigrationUtils', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { lidPnCache } = require('WAWebApiContact');
  exports.toPn = (wid) => (wid.isLid() ? lidPnCache.getPhoneNumber(wid) : wid);
  exports.toLid = (wid) => (wid.isLid() ? wid : lidPnCache.getCurrentLid(wid));
  exports.toUserLid = exports.toLid;
});

sandboxPage.define('SandboxIncoming', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { BackendEventBus } = require('WAWebBackendEventBus');
  const { MsgCollection } = require('WAWebMsgCollection');
  const { ContactCollection } = require('WAWebContactCollection');
  const { Cmd } = require('WAWebCmd');
  const { createWid } = require('WAWebWidFactory');
  const MsgKey = importDefault('WAWebMsgKey');
  const { learn } = require('WAWebApiContact');
  const { rowOf, messageOf } = require('SandboxRows');
  const { resume } = require('SandboxResume');
  const storage = require('SandboxStorage');
  const chats = require('SandboxChats');
  const link = require('SandboxLink');
  const wire = require('SandboxWire');

  /** So many things are written together when they wait; the real page flushes its cache of messages so. */
  const BATCH = 200;

  const personWid = (person) => {
    if (person.number) learn(person.number, person.lid);
    return chats.widOf(person);
  };
  function chatWid({ person, group, status, channel }) {
    if (person) return personWid(person);
    if (group) { chats.knowGroup(group); return createWid(group.id + '@g.us'); }
    return createWid(status ? 'status@broadcast' : channel + '@newsletter');
  }
  /** The account itself, as that chat addresses it. */
  const meIn = (remote) => (remote.isLid() || (remote.isGroup() && sandboxPage.faults.lid_chats) ? link.state.lid : link.state.number);
  const hasParticipant = (remote) => remote.isGroup() || remote.isStatus();
  function keyOf(remote, id, own, author) {
    return new MsgKey({ fromMe: own, remote, id, participant: hasParticipant(remote) ? (own ? meIn(remote) : author) : undefined });
  }
  const targetKey = (stanza, remote) => keyOf(remote, stanza.target.id, stanza.target.own, stanza.target.author && personWid(stanza.target.author));

  /** A picture that no person sees: the page has thumbnails where a caller may look for text. */
  const THUMBNAIL = '/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB';
  const hashOf = (id) => btoa(id.padEnd(32, '0').slice(0, 32));
  /** What a medium has beside its caption. One that has no bytes behind it leads nowhere. */
  function mediaOf({ kind, mimetype, size, name, seconds, file }, body, id, t) {
    if (kind === 'location') return { type: kind, lat: -34.6037, lng: -58.3816, loc: body, body: THUMBNAIL };
    if (kind === 'vcard') return { type: kind, body: 'BEGIN:VCARD\nVERSION:3.0\nFN:' + (name || 'Ana') + '\nEND:VCARD', vcardFormattedName: name || 'Ana' };
    if (kind === 'poll_creation') {
      return { type: kind, pollName: body, pollOptions: [{ name: 'sí', localId: 0 }, { name: 'no', localId: 1 }], pollSelectableOptionsCount: 1 };
    }
    const MIMETYPES = { image: 'image/jpeg', video: 'video/mp4', audio: 'audio/mpeg', ptt: 'audio/ogg; codecs=opus', document: 'application/pdf', sticker: 'image/webp' };
    const isPicture = kind === 'image' || kind === 'video' || kind === 'sticker';
    return {
      type: kind, mimetype: mimetype || MIMETYPES[kind], size: size || 1000, filename: kind === 'document' ? name || 'document.pdf' : undefined,
      caption: body || undefined, body: isPicture || kind === 'document' ? THUMBNAIL : undefined, duration: seconds === null || seconds === undefined ? undefined : String(seconds),
      ...(file
        ? { filehash: file.filehash, encFilehash: file.enc_filehash, mediaKey: file.media_key, mediaKeyTimestamp: file.media_key_timestamp, directPath: file.direct_path }
        : { filehash: hashOf(id), encFilehash: hashOf('e' + id), mediaKey: hashOf('k' + id), mediaKeyTimestamp: t, directPath: '/v/t62.7118-24/' + id + '.enc' }),
      width: isPicture ? 640 : undefined, height: isPicture ? 480 : undefined,
    };
  }

  /** A message as the page's parser makes it (page module WAWebMsgProcessingApiUtils). */
  function messageFrom(stanza, offline) {
    const remote = chatWid(stanza.chat);
    const { own } = stanza;
    const author = stanza.author ? personWid(stanza.author) : undefined;
    const isRetry = stanza.what === 'resolved';
    const id = isRetry ? targetKey(stanza, remote) : keyOf(remote, stanza.id, own, author);
    const base = {
      id, from: own ? meIn(remote) : remote, to: own ? remote : link.state.number, author: own ? meIn(remote) : hasParticipant(remote) ? author : undefined,
      type: 'chat', self: own ? 'out' : 'in', viewMode: 'VISIBLE', t: stanza.at, ack: 1, notifyName: stanza.name || '', invis: false,
      clientReceivedTsMillis: Date.now(), isOffline: offline, ...(remote.isStatus() ? { isStatusV3: true, broadcast: true } : {}),
    };
    if (stanza.waiting) return { ...base, type: 'ciphertext', subtype: stanza.waiting === 'keys' ? undefined : stanza.waiting, kind: 'placeholderMessage' };
    const { body, media, quote, target, mentions = [], expires_after: expiresAfter } = stanza;
    const message = { ...base, ...(media ? mediaOf(media, body, id.id, stanza.at) : { body }) };
    if (isRetry) message.subtype = undefined;
    if (mentions.length) message.mentionedJidList = mentions.map(personWid);
    if (expiresAfter) Object.assign(message, { ephemeralDuration: expiresAfter, ephemeralStartTimestamp: stanza.at });
    if (quote && target && !isRetry) {
      Object.assign(message, {
        quotedStanzaID: quote, quotedParticipant: target.own ? meIn(remote) : personWid(target.author), quotedType: 0,
        quotedMsg: { type: target.media || 'chat', body: target.body || undefined },
      });
    }
    return message;
  }

  const NOTICES = {
    encrypted: ['e2e_notification', 'encrypt'], group_created: ['gp2', 'create'], group_add: ['gp2', 'add'], group_join: ['gp2', 'invite'],
    group_remove: ['gp2', 'remove'], group_leave: ['gp2', 'leave'], group_promote: ['gp2', 'promote'], group_demote: ['gp2', 'demote'],
    group_subject: ['gp2', 'subject'], group_description: ['gp2', 'description'],
  };
  /** Their key names the one whom they are about, if that is one (page module WAWebGroupSystemMsg, genGroupNotificationMsg). */
  const ABOUT_PEOPLE = ['add', 'invite', 'remove', 'leave', 'promote', 'demote'];
  const BODIES = { create: ({ name }) => name, subject: ({ name }) => name, description: ({ description }) => description || undefined };
  /** What the notification of the server says of people, as the page hands it on. */
  const ACTIONS = { group_add: 'add', group_join: 'add', group_remove: 'remove', group_leave: 'remove', group_promote: 'promote', group_demote: 'demote' };
  function groupActionOf({ kind, people }) {
    if (!ACTIONS[kind]) return undefined;
    const participants = people.map((person) => ({ id: personWid(person), isAdmin: kind === 'group_promote', isSuperAdmin: false }));
    return { action: ACTIONS[kind], actionType: ACTIONS[kind], reason: kind === 'group_join' ? 'invite' : undefined, participants };
  }
  function noticeFrom(stanza) {
    const remote = chatWid(stanza.chat);
    const [type, subtype] = NOTICES[stanza.kind];
    const author = stanza.author ? personWid(stanza.author) : undefined;
    const people = stanza.people.map(personWid);
    const participant = ABOUT_PEOPLE.includes(subtype) && people.length === 1 ? people[0] : author;
    return {
      // In a group its id is that of the notification and its time.
      id: new MsgKey({ fromMe: false, remote, id: type === 'gp2' ? stanza.id + stanza.at : stanza.id, participant: remote.isGroup() ? participant : undefined }), from: remote, to: link.state.number,
      author, type, subtype, self: 'in', viewMode: 'VISIBLE', t: stanza.at, ack: 1, body: stanza.chat.group && BODIES[subtype] ? BODIES[subtype](stanza.chat.group) : undefined,
      recipients: people, templateParams: [], kind: type,
    };
  }

  /** What one batch changes: read through, written together. */
  const work = {
    begin(rows) {
      this.rows = new Map(rows.map((row) => [row.key, row]));
      Object.assign(this, { gone: new Set(), contacts: new Map(), groups: new Map(), orphans: [], settledOrphans: [], told: [], receipts: [], changed: new Set() });
    },
    row(key) { return this.rows.get(key); },
    put(row) { this.rows.set(row.key, row); this.changed.add(row.key); this.gone.delete(row.key); },
    drop(key) { this.rows.delete(key); this.changed.delete(key); this.gone.add(key); },
    /** The collection hears of it when it is on disk. */
    tell(act) { this.told.push(act); },
    async write() {
      const messages = [...this.changed].map((key) => this.rows.get(key));
      const { gone, contacts, groups, orphans, settledOrphans } = this;
      await storage.write({ messages, gone, contacts: [...contacts.values()], groups: [...groups.values()], orphans, settledOrphans });
    },
  };

  /** Who it is from, and which group it is in: kept beside the message. */
  function know(stanza) {
    const { author, name, chat, own } = stanza;
    if (chat.group) work.groups.set(chat.group.id, chat.group);
    if (!author || own || stanza.what === 'receipt' || stanza.what === 'mapping') return;
    const wid = personWid(author);
    const contact = ContactCollection.gadd(wid);
    if (author.number) contact.phoneNumber = createWid(author.number + '@c.us');
    if (name) require('WAWebContactMutator').updatePushname({ contactId: String(wid), pushname: name });
    work.contacts.set(String(wid), { id: String(wid), pushname: contact.pushname, number: author.number || undefined, lid: author.lid });
  }

  /** A new message, or one that can be read now. A message that is in storage already has come once more, and is not told again. */
  function store(message) {
    const known = work.row(message.id.toString());
    const isUpdate = Boolean(known && known.type === 'ciphertext' && message.type !== 'ciphertext');
    if (known && !isUpdate) return;
    message.rank = known ? known.rank : chats.nextRank();
    message.rowId = known ? known.rowId : chats.nextRowId();
    const { subtype, ...row } = rowOf(message);
    work.put(message.subtype === undefined ? row : { ...row, subtype });
    const isInMemory = () => MsgCollection.get(message.id);
    if (message.id.fromMe && message.ack < 3) chats.dormant.set(message.id.id, message.id.toString());
    work.tell(async () => {
      await require('WAWebUpdateMessageUIAction').updateUI({ chatId: message.id.remote, msg: message, isUpdate });
      if (isInMemory()) chats.dormant.delete(message.id.id);
    });
  }

  const DOES = {
    message: (stanza, offline) => store(messageFrom(stanza, offline)),
    resolved: (stanza, offline) => store(messageFrom(stanza, offline)),
    notice(stanza) {
      store(noticeFrom(stanza));
      const action = groupActionOf(stanza);
      if (!action) return;
      const meta = {
        chatId: chatWid(stanza.chat), author: stanza.author ? personWid(stanza.author) : undefined, externalId: stanza.id, ts: stanza.at, pushname: stanza.name || undefined,
        offline: null, actions: [action],
      };
      work.tell(() => require('WAWebUpdateDbForGroupActionApi').updateDBForGroupAction(meta, action));
    },
    async edit(stanza) {
      const remote = chatWid(stanza.chat);
      const parent = targetKey(stanza, remote);
      const author = stanza.author ? personWid(stanza.author) : undefined;
      const id = keyOf(remote, stanza.id, stanza.own, author);
      const protocolMsg = {
        id, type: 'protocol', subtype: 'message_edit', kind: 'protocolMessageEdit', protocolMessageKey: parent, from: stanza.own ? meIn(remote) : remote,
        to: stanza.own ? remote : link.state.number, author: stanza.own ? meIn(remote) : author, t: stanza.at, body: stanza.body, latestEditMsgKey: id,
        latestEditSenderTimestampMs: stanza.at_ms,
      };
      const edits = await require('WAWebDBProcessEditProtocolMsgs').processEditProtocolMsgs([protocolMsg]);
      if (edits.length === 0) { work.orphans.push({ id: stanza.id, key: parent.toString(), stanza }); return; }
      for (const { editedMsgData } of edits) {
        const row = work.row(parent.toString());
        work.put({ ...row, ...editedMsgData, latestEditMsgKey: String(editedMsgData.latestEditMsgKey) });
      }
      work.tell(() => require('WAWebUpdateEditedMessagesAction').updateEditedMessagesAction(edits));
    },
    revoke(stanza) {
      const remote = chatWid(stanza.chat);
      const meant = targetKey(stanza, remote);
      const author = stanza.own ? meIn(remote) : stanza.author && personWid(stanza.author);
      const protocol = {
        id: keyOf(remote, stanza.id, stanza.own, author), from: stanza.own ? meIn(remote) : remote, to: stanza.own ? remote : link.state.number, author,
        t: stanza.at, type: 'protocol', kind: 'protocolRevoke', subtype: stanza.by_admin ? 'admin_revoke' : 'sender_revoke', protocolMessageKey: meant,
        viewMode: 'VISIBLE', revokeTimestamp: stanza.at,
      };
      const row = work.row(meant.toString());
      if (row) {
        const after = require('WAWebRevoke').getMsgKeyAfterRevoke({ originalKey: meant, revokeKey: protocol.id });
        work.drop(row.key);
        const { rank, rowId, remote: chat, fromMe, participant, from, to, lid, number, t, ack } = row;
        work.put({
          key: after.toString(), rank, rowId, remote: chat, id: after.id, fromMe, participant, from, to, lid, number, t, ack, author: row.author, type: 'revoked',
          subtype: stanza.by_admin ? 'admin' : 'sender', revokeSender: String(author), revokeTimestamp: stanza.at, protocolMessageKey: row.key, isOverwrittenByRevoke: true,
        });
        chats.dormant.delete(row.id);
      }
      work.tell(() => MsgCollection.processMultipleMessages(remote, [{ ...protocol, recvFresh: true, isNewMsg: true }], { add: 'after', update: false, isHistory: false }, 'handleSingleMsg', null, true));
    },
    async reaction(stanza) {
      const remote = chatWid(stanza.chat);
      const parent = targetKey(stanza, remote);
      const author = stanza.own ? meIn(remote) : personWid(stanza.author);
      const data = {
        id: keyOf(remote, stanza.id, stanza.own, author), type: 'reaction', kind: 'reactionDecrypted', viewMode: 'VISIBLE', from: stanza.own ? meIn(remote) : remote,
        to: stanza.own ? remote : link.state.number, author, reactionParentKey: parent, reactionText: stanza.emoji, reactionTimestamp: stanza.at_ms, t: stanza.at,
        ack: 1, read: stanza.own, recvFresh: true,
      };
      await require('WAWebAddonReactionTableMode').reactionTableMode.bulkUpsert([data]);
      const row = require('WAWebReactionDataUtils').reactionMsgDataToReactionRow(data);
      work.tell(() => require('WAWebReactionsMsgAction').addOrUpdateReactionsModelCollection(row, sandboxPage.isEarly ? true : { allowNotify: true }));
    },
    receipt(stanza) {
      const remote = chatWid(stanza.chat);
      const participant = remote.isGroup() && stanza.author ? personWid(stanza.author) : null;
      // Its message may be in the same batch, and is not there before that is written.
      work.receipts.push(() => require('SandboxReceipts').receive({ ack: stanza.ack, remote, id: stanza.target.id, at: stanza.at, participant }));
    },
    mapping({ known, author }) {
      learn(known.number, known.lid);
      const lid = author.lid + '@lid';
      const held = ContactCollection.gadd(createWid(lid));
      work.contacts.set(lid, { id: lid, pushname: held.pushname, number: known.number, lid: known.lid });
      work.tell(() => require('WAWebContactMutator').bulkUpdatePhoneNumberJids({ lidPhoneNumberMappings: [{ lid, phoneNumber: known.number + '@c.us' }] }));
    },
  };

  /** The keys that a stanza may ask storage for. */
  function keysOf(stanza) {
    const remote = chatWid(stanza.chat);
    const keys = stanza.target ? [targetKey(stanza, remote)] : [];
    if (stanza.what === 'message') keys.push(keyOf(remote, stanza.id, stanza.own, stanza.author ? personWid(stanza.author) : undefined));
    if (stanza.what === 'notice') keys.push(noticeFrom(stanza).id);
    return keys.map(String);
  }

  /** Edits that came before what they change could be read. */
  async function settleOrphans() {
    const orphans = await storage.readAll('orphans');
    for (const { id, key, stanza } of orphans) {
      const row = work.row(key);
      if (!row || row.type === 'ciphertext' || !work.changed.has(key)) continue;
      work.settledOrphans.push(id);
      await DOES.edit(stanza);
    }
  }

  const isMainReady = () => BackendEventBus.isMainStreamReadyMd || sandboxPage.faults.offline_queue === 'events';
  let waiting = [];
  let isBusy = false;
  async function drain() {
    if (isBusy) return;
    isBusy = true;
    while (waiting.length) {
      const batch = waiting.splice(0, BATCH);
      const stanzas = batch.filter(({ stanza }) => stanza);
      // What could not be stored is not confirmed, and comes again with the next connection.
      if (stanzas.length) await take(stanzas).catch((error) => queueMicrotask(() => { throw error; }));
      for (const { then } of batch) if (then) then();
    }
    isBusy = false;
  }
  async function take(batch) {
    work.begin(await storage.readSome(batch.flatMap(({ stanza }) => keysOf(stanza))));
    for (const { stanza, offline } of batch) {
      know(stanza);
      await DOES[stanza.what](stanza, offline);
    }
    if (batch.some(({ stanza }) => stanza.what === 'resolved')) await settleOrphans();
    await work.write();
    const { told, receipts, changed, rows } = work;
    if (isMainReady()) for (const act of told) await act();
    else for (const key of changed) untold.set(key, rows.get(key));
    for (const act of receipts) await act();
    wire.tell({ type: 'received', ids: batch.map(({ stanza }) => stanza.id) });
  }

  /** What came before the main part was ready: the page shows it as it shows all that is in storage, and reports it to no listener. */
  const untold = new Map();
  function showUntold() {
    const added = [...untold.values()].sort((a, b) => a.rank - b.rank);
    untold.clear();
    const last = new Map(added.map((row) => [row.remote, row]));
    for (const row of added) {
      const before = row.type === 'revoked' ? MsgCollection.get(row.protocolMessageKey) : MsgCollection.get(row.key);
      if (before) {
        const { id, ...now } = messageOf(row);
        if (row.type === 'revoked') {
          MsgCollection.replaceId(before.id, id);
          const { chat } = chats.open(id.remote);
          chat.msgs.replaceId(before.id, id);
        }
        Object.assign(before.attributes, { body: undefined, caption: undefined, subtype: undefined, id }, now);
      } else if (/@(c\.us|lid|g\.us)$/.test(row.remote)) {
        if (!row.fromMe) chats.open(createWid(row.remote)).chat.unreadCount += 1;
        if (last.get(row.remote) === row) chats.adopt(row);
      }
    }
  }

  /** Written, and nothing else: old messages are no news. The latest one of a chat is in memory, as after a reload. */
  async function keepHistory(stanzas) {
    const rows = stanzas.map((stanza, nth) => {
      const message = messageFrom(stanza, false);
      return rowOf({ ...message, ack: message.id.fromMe ? 3 : 1, rank: stanza.at * 1000 + nth, rowId: historyRows += 1, isOffline: undefined });
    });
    await storage.write({ messages: rows });
    const last = new Map(rows.map((row) => [row.remote, row]));
    for (const row of last.values()) {
      const { chat } = chats.open(createWid(row.remote));
      const held = chat.lastMsg();
      if (!held || held.t < row.t) chats.adopt(row);
    }
  }
  let historyRows = 0;
  const parts = [];
  /** Resolves when the first part of the history is there, or when there is none. */
  let firstPart;
  const hasFirstPart = new Promise((resolve) => { firstPart = resolve; });
  async function history({ stanzas, is_last: isLast, has_more: hasMore }) {
    parts.push({ stanzas, isLast });
    const isFirst = parts.length === 1;
    for (const wid of new Set(stanzas.map((stanza) => chatWid(stanza.chat)))) chats.endOfHistory(wid, hasMore);
    if (!isFirst) return;
    await keepHistory(stanzas);
    firstPart();
    if (isLast) wire.tell({ type: 'received', ids: ['history'] });
  }
  /** The other parts come while the page is in use; `pause` passes between them. */
  async function moreHistory(pause) {
    for (const { stanzas, isLast } of parts.splice(1)) {
      await pause();
      await keepHistory(stanzas);
      Cmd.trigger('new_history_sync_chunk_processed_from_bridge');
      if (isLast) wire.tell({ type: 'received', ids: ['history'] });
    }
  }

  /** Resolves when all that waited is in storage; once for each connection. */
  let endOffline;
  let offlineEnd = new Promise((resolve) => { endOffline = resolve; });
  function preview({ count }) {
    if (parts.length === 0) firstPart();
    const limit = wire.faults().resume_limit;
    if (!BackendEventBus.isMainStreamReadyMd) return;
    // A page that was open all the time takes a long queue as a page that loads does.
    if (limit !== undefined && limit !== null && count >= limit) { location.reload(); return; }
    BackendEventBus.isOfflineDeliveryEnd = false;
    Cmd.trigger('offline_delivery_state_reset_from_bridge');
  }
  function deliveryEnded() {
    showUntold();
    resume.complete();
    BackendEventBus.isOfflineDeliveryEnd = true;
    Cmd.trigger('offline_delivery_end_from_bridge');
    BackendEventBus.trigger('offline_delivery_end');
  }

  Object.assign(exports, {
    work,
    history,
    keepHistory,
    moreHistory,
    hasFirstPart,
    preview,
    take({ stanza, offline }) { waiting.push({ stanza, offline }); drain(); },
    /** Acts once all that came before is stored. */
    afterTaking(act) { waiting.push({ then: () => queueMicrotask(act) }); drain(); },
    end({ count }) {
      resume.count = count;
      waiting.push({ then() { endOffline(); if (BackendEventBus.isMainStreamReadyMd) deliveryEnded(); } });
      drain();
    },
    offlineEnd: () => offlineEnd,
    deliveryEnded,
  });
});
