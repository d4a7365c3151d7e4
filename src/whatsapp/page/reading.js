// Reads out of the page what a caller asks for: its chats, the messages of a chat that it has stored, its groups, who has an address.
// docs/whatsapp.md#reading has the source of each fact used here.
//
// It finds nothing of the page by itself but what stands in NAMES: the objects are those that the adapters have found for hearing.js, and
// a message is put into words by the same function as an event. It reads no status updates and no channels
// (docs/whatsapp.md#signals-of-trouble). Each command ends by itself, and its work is done in small parts: a send that is handed over
// meanwhile runs between them. Called by the frame (bridge.js) as (reading)(shared), with what all adapters share.
(function reading(shared) {
  "use strict";

  const { resolve, nameOf } = shared;

  const NAMES = { reading: { askPhone: ["WAWebSendNonMessageDataRequest", "sendPeerDataOperationRequest"] } };
  const PURPOSES = { reading: { use: "older messages of the phone", jobs: [] } };

  // Of the answer, in characters: some milliseconds of the page's time. What is left is for the next answer.
  const MOST_CHARACTERS = 1_000_000;
  // Rows of the store that one answer looks at: a chat may have thousands of notices and no message.
  const MOST_ROWS = 5000;
  // With one search that takes as long as it may, an answer is there before the service gives up. A caller goes on from where it ends.
  const LONGEST_READ_MS = 4000;
  // The phone is asked over the network, and writes the messages before it sends them. Some seconds in what others report.
  const PHONE_MS = 20_000;
  const PHONE_LOOK_MS = 250;
  // The members of a group come from WhatsApp's server when the page does not know them.
  const MEMBERS_MS = 8000;
  // A group has 1024 members at most; that of announcements of a community has more.
  const MOST_PARTICIPANTS = 5000;
  // Chats that are put into words before others get their turn.
  const CHATS_AT_ONCE = 100;
  // Of a chat's own list, which ends with notices at times.
  const LATEST_LOOKED_AT = 20;
  // WAWebProtobufsE2E.pb, Message$PeerDataOperationRequestType.HISTORY_SYNC_ON_DEMAND.
  const HISTORY_ON_DEMAND = 3;
  // Conversation.EndOfHistoryTransferType: what the phone has said of a chat when it gave its messages. Only with the first the page
  // asks for more (whatsapp-web.js, fetchMessages and syncHistory).
  const OLDER = { 0: "phone", 1: "none", 2: "phone_only", 3: "phone_only" };

  const failure = (code, detail) => Object.assign(new Error(detail), { code });
  const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
  const late = (ms, detail) => sleep(ms).then(() => { throw failure("TOO_LATE", detail); });

  // What hearing.js has, once an adapter has found the page's collections for it.
  const page = () => {
    const parts = shared.hearing?.parts;
    if (!parts) throw failure("NO_READING", "the script hearing.js is of an earlier version (PAGE_SCRIPTS_DIR)");
    if (parts.sources.Chats && parts.sources.find) return parts;
    throw parts.chosenBy() === "dom" ? failure("NO_READING", "the adapter dom sees the screen only") : failure("NOT_LOADED", "WhatsApp Web has not loaded its chats");
  };
  const groupsOf = ({ sources }) => sources.Groups ?? shared.collection("GroupMetadata");

  // --- Chats -----------------------------------------------------------------------------------------------------------

  // The latest first; of two of one second that with the smaller address. `after` is where a list before has ended.
  const ordered = (chats, after) => {
    const places = chats.map((chat) => ({ chat, t: chat.t || 0, address: String(chat.id) }));
    places.sort((a, b) => b.t - a.t || (a.address < b.address ? -1 : 1));
    if (!after) return places;
    const [, t, address] = /^(\d+)_(.*)$/.exec(after) ?? [];
    return places.filter((place) => place.t < Number(t) || (place.t === Number(t) && place.address > address));
  };
  const placeOf = ({ t, address }) => `${t}_${address}`;
  const millis = (seconds) => (seconds > 0 ? seconds * 1000 : null);

  // {after, limit}, and how one is put into words -> {items, next}.
  const listed = async (chats, { after, limit }, inWords) => {
    const places = ordered(chats, after);
    const items = [];
    let characters = 0;
    for (const place of places) {
      if (items.length === limit) break;
      const item = inWords(place.chat);
      characters += JSON.stringify(item).length;
      if (items.length > 0 && characters > MOST_CHARACTERS) break;
      items.push(item);
      if (items.length % CHATS_AT_ONCE === 0) await sleep(0);
    }
    return { items, next: items.length < places.length && items.length > 0 ? placeOf(places[items.length - 1]) : null };
  };

  const isReadable = (parts, msg) => Boolean(msg?.id) && !parts.isNoMessage(msg) && !(msg.type === "ciphertext" && /unavailable_fanout$/.test(msg.subtype ?? ""));
  // A stored message in words. One that was deleted has taken the id of what deleted it, and keeps its own beside that.
  const inWords = (parts, msg) => {
    const isRevoked = msg.type === "revoked";
    const meant = isRevoked && msg.protocolMessageKey?.id ? msg.protocolMessageKey : msg.id;
    const said = parts.contentOf(isRevoked ? { id: meant, type: "revoked", from: msg.from, author: msg.author } : msg);
    const ack = msg.id.fromMe && Number.isInteger(msg.ack) ? msg.ack : undefined;
    return {
      ...said,
      timestamp: millis(msg.t), is_own: Boolean(meant.fromMe), ack, state: ack === undefined ? undefined : parts.stateOf(ack),
      is_edited: Boolean(msg.latestEditMsgKey), is_revoked: isRevoked,
    };
  };
  const latestOf = (parts, chat) => {
    const held = chat.msgs?.getModelsArray?.() ?? [];
    const latest = held.slice(-LATEST_LOOKED_AT).findLast((msg) => isReadable(parts, msg));
    return latest ? inWords(parts, latest) : undefined;
  };
  const chatInWords = (parts) => (chat) => {
    const isGroup = parts.isGroup(chat.id);
    return {
      chat: String(chat.id), is_group: isGroup, name: parts.shorter(chat.formattedTitle ?? chat.name), person: isGroup ? undefined : parts.person(chat.id),
      // -1 is a mark that a person has set.
      unread_count: Math.max(0, Math.trunc(Number(chat.unreadCount) || 0)), is_marked_unread: Number(chat.unreadCount) < 0,
      is_archived: Boolean(chat.archive), is_pinned: Boolean(chat.pin), is_read_only: chat.isReadOnly === true || chat.isParentGroup === true,
      last_at: millis(chat.t), last_message: latestOf(parts, chat),
    };
  };
  const groupInWords = (chat, parts) => ({
    id: String(chat.id), subject: parts.shorter(chat.groupMetadata?.subject ?? chat.formattedTitle ?? chat.name), is_member: chat.isReadOnly !== true,
    is_community: chat.isParentGroup === true, size: chat.groupMetadata?.participants?.length || null, last_at: millis(chat.t),
  });

  // The chat of an address, which may be known by the other address of that person.
  const chatOf = ({ sources, isHeard }, address) => {
    const known = (wid) => (wid && isHeard(wid) ? sources.Chats.get(wid) : undefined);
    const wid = sources.createWid(address);
    const other = () => (wid.isLid?.() ? sources.numberOf?.(wid) : sources.lidOf?.(wid));
    const chat = known(wid) ?? (wid.isGroup?.() ? undefined : known(other()));
    if (!chat) throw failure("NO_CHAT", "the account has no such chat");
    return chat;
  };

  // --- Messages --------------------------------------------------------------------------------------------------------

  // The message that a caller means by `before`: by its full id, whatever address the chat has now, or by the last part of it.
  const anchorOf = async ({ sources: { Messages } }, chat, before) => {
    const here = String(chat.id);
    const ids = shared.content?.idsOf(before, here) ?? [before];
    const key = before.split("_")[2] ?? before;
    const isMeant = (msg) => msg?.id?.id === key && String(msg.id.remote) === here;
    const held = Messages.getModelsArray?.().find(isMeant);
    const found = held ?? (await Messages.getMessagesById?.(ids))?.messages?.find(isMeant);
    if (!found) throw failure("NO_ANCHOR", "WhatsApp Web has stored no such message of this chat");
    return found.id;
  };
  // Rows of the store before this one, the newest first. The store gives either end first; within a second the order is that in which
  // they were stored.
  const rowsBefore = async ({ search }, chat, before) => {
    const rows = [...(await search(chat, before))].filter((msg) => msg?.id && String(msg.id) !== String(before));
    if (rows.length > 1 && rows[0].t > rows.at(-1).t) rows.reverse();
    const places = rows.map((msg, at) => ({ msg, at }));
    const stored = (a, b) => (Number.isFinite(a.msg.rowId) && Number.isFinite(b.msg.rowId) ? b.msg.rowId - a.msg.rowId : 0);
    return places.sort((a, b) => b.msg.t - a.msg.t || stored(a, b) || b.at - a.at).map(({ msg }) => msg);
  };
  // Whether the phone has given messages before this one, or said that it has none: null when it did not answer in time.
  const askPhone = async (parts, chat, before) => {
    const ask = resolve(NAMES.reading.askPhone);
    if (typeof ask !== "function") throw failure("NO_FETCH", `WhatsApp Web has no ${nameOf(NAMES.reading.askPhone)}`);
    const end = performance.now() + PHONE_MS;
    // Once: the page drops what is asked again meanwhile.
    await Promise.race([ask(HISTORY_ON_DEMAND, { chatId: chat.id }), late(PHONE_MS, "the request did not leave for the phone")]);
    for (;;) {
      if ((await rowsBefore(parts, chat, before)).length > 0 || chat.endOfHistoryTransferType !== 0) return true;
      if (performance.now() > end) return false;
      await sleep(PHONE_LOOK_MS);
    }
  };

  const readMessages = async ({ chat: address, before, limit, fetch }) => {
    const parts = page();
    const chat = chatOf(parts, address);
    let cursor = before ? await anchorOf(parts, chat, before) : null;
    const messages = [];
    const seen = new Set();
    let [characters, rows, isFetched, next] = [0, 0, undefined, null];
    const end = performance.now() + LONGEST_READ_MS;
    let older = "stored";
    while (next === null) {
      const found = (await rowsBefore(parts, chat, cursor)).filter((msg) => !seen.has(String(msg.id)));
      if (found.length === 0) {
        older = OLDER[chat.endOfHistoryTransferType] ?? "unknown";
        if (!fetch || older !== "phone" || isFetched !== undefined) break;
        isFetched = await askPhone(parts, chat, cursor);
        if (!isFetched) break;
        older = "stored";
        continue;
      }
      for (const msg of found) {
        if (messages.length === limit) {
          next = String(cursor);
          break;
        }
        seen.add(String(msg.id));
        rows += 1;
        if (isReadable(parts, msg)) {
          const said = inWords(parts, msg);
          characters += JSON.stringify(said).length;
          if (messages.length > 0 && characters > MOST_CHARACTERS) {
            next = String(cursor);
            break;
          }
          messages.push(said);
        }
        cursor = msg.id;
      }
      if (next === null && (rows >= MOST_ROWS || (performance.now() > end && isFetched === undefined))) next = String(cursor);
    }
    return { chat: String(chat.id), messages, next, older, is_fetched: fetch ? isFetched ?? false : undefined };
  };

  // --- Groups and numbers ----------------------------------------------------------------------------------------------

  const readGroup = async ({ chat: address }) => {
    const parts = page();
    const chat = chatOf(parts, address);
    if (!chat.groupMetadata?.participants?.length) {
      await Promise.race([groupsOf(parts)?.find?.(chat.id), late(MEMBERS_MS, "WhatsApp did not give the members of the group in time")]);
    }
    const about = chat.groupMetadata ?? groupsOf(parts)?.get?.(chat.id) ?? {};
    const own = parts.me();
    const isMe = ({ phone, lid }) => (phone !== null && phone === own.phone) || (lid !== null && lid === own.lid);
    const members = about.participants?.getModelsArray?.() ?? [];
    const participants = members.slice(0, MOST_PARTICIPANTS).map(({ id, isAdmin, isSuperAdmin }) => {
      const who = parts.person(id);
      return { ...who, is_me: isMe(who), is_admin: Boolean(isAdmin || isSuperAdmin), is_super_admin: Boolean(isSuperAdmin) };
    });
    return {
      ...groupInWords(chat, parts), description: about.desc ? parts.cut(about.desc) : null, owner: about.owner ? parts.person(about.owner) : null,
      created_at: millis(about.creation), address_mode: about.isLidAddressingMode ? "lid" : "number", is_for_admins_only: Boolean(about.announce),
      participants, participants_left_out: members.length - participants.length,
    };
  };

  // As one text: an answer that is not understood must not get into a log. Half of a pair of surrogates, as a text has that was cut in an
  // emoji, is no text that the service can read.
  const asText = (read) => async (asked) => ({ answer: JSON.stringify(await read(asked), (_, value) => (typeof value === "string" ? value.toWellFormed() : value)) });
  const chatsOf = ({ sources, isHeard }) => sources.Chats.getModelsArray().filter(({ id }) => isHeard(id));

  return {
    commands: {
      // {after, limit} -> {chats, next}.
      readChats: asText(async (asked) => {
        const parts = page();
        const { items: chats, next } = await listed(chatsOf(parts), asked, chatInWords(parts));
        return { chats, next };
      }),
      // {chat, before, limit, fetch} -> {chat, messages, next, older, is_fetched}.
      readMessages: asText(readMessages),
      // {after, limit} -> {groups, next}.
      readGroups: asText(async (asked) => {
        const parts = page();
        const groups = chatsOf(parts).filter(({ id }) => parts.isGroup(id));
        const { items, next } = await listed(groups, asked, (chat) => groupInWords(chat, parts));
        return { groups: items, next };
      }),
      // {chat} -> all of the group.
      readGroup: asText(readGroup),
      // {address} -> {chat, phone, lid}, by what the page knows: WhatsApp's server is not asked.
      readNumber: asText(async ({ address }) => {
        const parts = page();
        const { phone, lid } = parts.person(address);
        const wids = [address, phone && `${phone}@c.us`, lid].filter(Boolean).map((text) => parts.sources.createWid(text));
        const chat = wids.map((wid) => parts.sources.Chats.get(wid)).find(Boolean);
        return { chat: chat ? String(chat.id) : null, phone, lid };
      }),
    },
    inventory: () => shared.inventory.names(NAMES, PURPOSES),
  };
})
