// What the page hears: messages, and what becomes of them. Kept here, in their order, until the service says that it has them on disk.
// docs/whatsapp.md#receiving has the source of each fact used here.
//
// The adapters find the page's objects and give them to `attach`; what is heard by them is the same for each adapter. The service
// fetches (`hear`), as fast as it can write; it is never pushed to. What it has not confirmed it gets again. When more waits
// than fits, the rest is left to the walk: WhatsApp's own store has it.
//
// The walk goes through WhatsApp's store, chat by chat, for what raised no event: after each start, after what waited at the
// server has come, and after an overflow. It reads no status updates and no channels (docs/whatsapp.md#signals-of-trouble).
//
// The events of a chat keep their order. So what the listeners hear is held back as long as the store may have older messages that
// raised no event: until the first walk of a document has ended, and from an overflow to the end of its walk.
(function hearing(say, shared) {
  "use strict";

  // Events that wait. One takes some kilobytes at most times; a page that gets 5,000 messages at once stays far below what its own
  // collections take for them.
  const MOST_WAITING = 2000;
  const MOST_WAITING_BYTES = 16_000_000;
  // Events that are fetched at once: some milliseconds of the page's time.
  const BATCH = 200;
  const BATCH_BYTES = 1_000_000;
  // Events that are held back during a walk, which takes seconds. With more than that, the next walk finds them in the store.
  const MOST_HELD = 2000;
  const MOST_HELD_BYTES = 16_000_000;
  // A walk begins once the service can send, some seconds after the page has loaded. One that does not begin holds nothing back for longer.
  const LONGEST_HOLD_MS = 60_000;
  // How often that moment is noted while messages come.
  const NOTE_EVERY_MS = 10_000;
  // From the store to the listeners a message takes milliseconds. One that the walk finds so young is left to the listeners first.
  const YOUNG_MS = 15_000;
  const YOUNG_WAIT_MS = 2000;
  // A search of the store that takes longer hangs (wa-js #3580).
  const SEARCH_MS = 10_000;
  const WALK_AGAIN_MS = 30_000;
  const AWAY_LOOK_MS = 100;
  const PAGE = 50;
  // Of one chat, in one walk. A day of the busiest group has fewer.
  const MOST_OF_CHAT = 5000;
  // Remembered, so that what two listeners hear is kept once. The log has the last word.
  const MOST_REMEMBERED = 5000;
  // What waited at the server is delivered within seconds. A build that does not say when it ends must not make all later messages late.
  const LONGEST_DELIVERY_MS = 300_000;
  // Rows of the history from before the link have smaller numbers.
  const FIRST_ROW_ID = 1e9;
  const LONGEST_NAME = 300;
  // WhatsApp takes no longer text (docs/messages.md). A modified client may write one, and a card or a list may be of any length.
  const LONGEST_TEXT = 65_536;
  const MOST_LISTED = 300;
  // How old a message may be that an acknowledgement makes known: the log recognises for 31 days what it has had before.
  const OLDEST_NEW_MS = 28 * 24 * 3_600_000;

  const KINDS = {
    chat: "text", image: "image", video: "video", gif: "video", audio: "audio", ptt: "voice", document: "document", sticker: "sticker",
    location: "location", live_location: "location", vcard: "contact", multi_vcard: "contact", poll_creation: "poll", ptv: "video", album: "other",
  };
  const MEDIA = ["image", "video", "gif", "audio", "ptt", "document", "sticker", "ptv"];
  // What the page shows in a chat and no person has written.
  const NO_MESSAGES = [
    "gp2", "e2e_notification", "notification_template", "notification", "broadcast_notification", "group_notification", "newsletter_notification", "call_log",
    "protocol", "debug", "debug_placeholder", "reaction", "reaction_enc", "poll_update", "pin_message", "keep_in_chat", "oversized", "unknown",
  ];
  // What WhatsApp writes into a group's chat, by its subtype: who came and went, and what of the group is another one
  // (docs/whatsapp.md#receiving).
  const CAME = {
    add: "added", invite: "joined", linked_group_join: "joined", v4_add_invite_join: "joined", auto_add: "added", invite_auto_add: "added",
    default_sub_group_admin_add: "added", community_participant_add_rich: "added", sub_group_participant_add_rich: "added", community_invite_rich: "joined",
    sub_group_invite_rich: "joined", subgroup_admin_triggered_auto_add: "added", subgroup_admin_triggered_invite_auto_add: "added", general_chat_add: "added",
  };
  const WENT = { remove: "removed", leave: "left" };
  const ADMINS = { promote: "promoted", demote: "demoted", linked_group_promote: "promoted", linked_group_demote: "demoted" };
  const PARTS = ["subject", "description", "picture"];
  const SETTINGS = ["announce", "restrict", "ephemeral", "no_frequently_forwarded", "membership_approval_mode", "member_add_mode", "member_link_mode", "revoke_invite"];
  const WORDS = { 1: "sent", 2: "delivered", 3: "read", 4: "played" };

  const quietly = (act) => {
    try {
      return act();
    } catch {
      return undefined; // The page's own functions throw for what they do not know.
    }
  };
  const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
  const name = String(Math.random()).slice(2);
  // Any of these may be missing, and may be found late.
  const sources = {};
  // Those without which something is missed, in words.
  const WANTED = { find: "a search of its stored messages", Chats: "its list of chats", reactions: "its table of reactions" };
  let by = null;

  // --- What waits ------------------------------------------------------------------------------------------------------

  let waiting = [];
  let bytes = 0;
  let count = 0;
  // The service knows of nothing that waits, and has to be called.
  let isArmed = true;
  // Something was left to the walk that has not begun yet. Until then the rest is left to it as well.
  let hasOverflowed = false;
  const remembered = new Set();
  let whenRoom = [];
  // By what it is known by, in the order in which it was heard.
  const held = new Map();
  let heldBytes = 0;
  let holds = true;
  // The walk gives what it has found.
  let isFound = false;

  const call = () => {
    if (!isArmed) return;
    isArmed = false;
    say({ kind: "heard" });
  };
  const put = (event, since = performance.now()) => {
    count += 1;
    // Half of a pair of surrogates, as a text has that was cut in an emoji, is no text that the service can read.
    const text = JSON.stringify({ n: count, ...event }, (_, value) => (typeof value === "string" ? value.toWellFormed() : value));
    // What its listeners hear at once is new, whatever the clocks say.
    waiting.push({ n: count, at: event.late || event.kind === "message.reaction" ? event.at : null, since, text });
    bytes += text.length;
    call();
  };
  const isFull = () => waiting.length >= MOST_WAITING || bytes >= MOST_WAITING_BYTES;
  const forget = (gone) => {
    waiting = waiting.filter((event) => {
      if (!gone(event)) return true;
      bytes -= event.text.length;
      return false;
    });
    if (!isFull()) for (const proceed of whenRoom.splice(0)) proceed();
  };
  const room = async () => {
    while (isFull()) await new Promise((proceed) => whenRoom.push(proceed));
  };
  const canWalk = () => Boolean(sources.find && sources.Chats);
  const hold = (event) => {
    const mark = markOf(event);
    if (held.has(mark)) return;
    if (held.size === 0) setTimeout(() => { if (!isWalking) letGo(); }, LONGEST_HOLD_MS);
    const size = JSON.stringify(event.data).length;
    held.set(mark, { event, size, since: performance.now() });
    heldBytes += size;
    if (held.size <= MOST_HELD && heldBytes <= MOST_HELD_BYTES) return;
    // WhatsApp's store has the messages; that a number is known is said again by what is remembered here.
    for (const { event: { kind, data } } of held.values()) if (kind === "message.resolved") numberless.set(data.from.lid, { chat: data.chat, key: data.key });
    held.clear();
    heldBytes = 0;
    hasOverflowed = true;
  };
  const unhold = (mark) => {
    const before = held.get(mark);
    if (!before) return null;
    held.delete(mark);
    heldBytes -= before.size;
    return before;
  };
  const append = ({ event, since }) => {
    remembered.add(markOf(event));
    if (remembered.size > MOST_REMEMBERED) remembered.delete(remembered.values().next().value);
    put(event, since);
  };
  // `once` has the id that its author has chosen. So `who` belongs to it: the other person of the chat, or the author in a group. The
  // service knows which of the same `once` are the same; here one person may be two for a moment, when only one address is known.
  const markOf = ({ once, who }) => `${once} ${who?.lid ?? who?.phone ?? ""}`;
  const keep = (kind, once, { chat, at, late, own = null, who = null }, data) => {
    const event = { kind, once, who, chat, at, late, own, data };
    const mark = markOf(event);
    if (remembered.has(mark)) return;
    if (isFound) {
      // It has waited for room. What the listeners have heard as well is not late.
      append(unhold(mark) ?? { event });
    } else if (isFull() || hasOverflowed) {
      hasOverflowed = true;
    } else if (holds && canWalk()) {
      hold(event);
    } else {
      append({ event });
    }
  };
  // What was held back goes the way of all, behind what the walk has found. Its place is waited for.
  const release = async () => {
    for (const mark of held.keys()) {
      await room();
      const before = unhold(mark);
      if (before && !remembered.has(mark)) append(before);
    }
    holds = false;
  };
  // The same at once, when there was no walk.
  const letGo = () => {
    holds = false;
    for (const mark of [...held.keys()]) {
      const before = unhold(mark);
      if (isFull()) hasOverflowed = true;
      else if (!remembered.has(mark)) append(before);
    }
  };

  // --- What it says ----------------------------------------------------------------------------------------------------

  const bare = (wid) => (wid ? String(wid).replace(/:\d+(?=@)/, "") : null);
  const userOf = (wid) => (wid ? bare(wid).split("@")[0] : null);
  const isGroup = (remote) => String(remote).endsWith("@g.us");
  // A person, or a group; no status update, no channel, and not what WhatsApp itself writes.
  const isHeard = (remote) => /@(c\.us|lid|g\.us)$/.test(String(remote)) && !["0@c.us", "server@c.us"].includes(String(remote));
  const scope = (id) => (isGroup(id.remote) ? String(id.remote) : "person");
  const shorter = (text) => (typeof text === "string" && text ? text.slice(0, LONGEST_NAME) : null);
  const asWid = (wid) => (typeof wid === "string" ? sources.createWid?.(wid) : wid);

  const contact = (wid) => quietly(() => sources.Contacts?.get(wid)?.pushname);
  const person = (given, shown) => {
    const wid = quietly(() => asWid(given)) ?? given;
    const text = bare(wid);
    if (!text) return { phone: null, lid: null, name: shorter(shown) };
    const isLid = text.endsWith("@lid");
    const other = quietly(() => (isLid ? sources.numberOf?.(wid) : sources.lidOf?.(wid)));
    return {
      phone: isLid ? userOf(other) : userOf(text),
      lid: isLid ? text : bare(other),
      name: shorter(shown) ?? shorter(contact(wid)) ?? shorter(other && contact(other)),
    };
  };
  const me = () => {
    const { number, lid } = quietly(() => sources.me?.()) ?? {};
    return { phone: userOf(number), lid: bare(lid), name: null };
  };
  const writerOf = (msg) => {
    if (msg.id.fromMe) return me();
    return person(isGroup(msg.id.remote) ? msg.author ?? msg.id.participant : msg.id.remote, msg.notifyName);
  };
  const readerOf = (msg) => {
    if (isGroup(msg.id.remote)) return undefined;
    return msg.id.fromMe ? person(msg.id.remote) : me();
  };
  // Together with whom an id is one of a message: the other person of the chat, or the author in a group. An own message there needs none.
  const whoOf = (id, author) => {
    const wid = isGroup(id.remote) ? (id.fromMe ? null : author ?? id.participant) : id.remote;
    if (!wid || !/@(c\.us|lid)$/.test(bare(wid))) return null;
    const { phone, lid } = person(wid);
    return { phone, lid };
  };
  const keyOf = (key) => key.id ?? String(key).split("_")[2] ?? String(key);
  // A size comes from the sender, and may be any number.
  const whole = (number) => {
    const read = number === undefined || number === null ? NaN : Math.trunc(Number(number));
    return read >= 0 && Number.isSafeInteger(read) ? read : null;
  };
  const placeOf = (id) => ({ id: String(id), key: id.id, chat: String(id.remote), is_group: isGroup(id.remote) });
  const cut = (text) => String(text).slice(0, LONGEST_TEXT);
  const listed = (list) => [...(list ?? [])].slice(0, MOST_LISTED);
  const textOf = (msg) => (MEDIA.includes(msg.type) ? msg.caption : msg.body) ?? "";

  const quotedOf = (msg) => {
    if (!msg.quotedStanzaID) return undefined;
    const { type, body, caption } = msg.quotedMsg ?? {};
    return {
      key: msg.quotedStanzaID,
      text: ((text) => (text === undefined || text === null ? undefined : cut(text)))(type === "chat" ? body : caption),
      from: msg.quotedParticipant ? person(msg.quotedParticipant) : undefined,
    };
  };
  const cardsOf = (msg) => {
    if (msg.type === "vcard") return [{ name: shorter(msg.vcardFormattedName), vcard: cut(msg.body ?? "") }];
    if (msg.type !== "multi_vcard") return undefined;
    return listed(msg.vcardList).map(({ displayName, vcard }) => ({ name: shorter(displayName), vcard: cut(vcard ?? "") }));
  };
  // The page has the name of a place and its address in one text, the name first.
  const placeIn = ({ lat: latitude, lng: longitude, loc }) => {
    const [name, ...address] = String(loc ?? "").split("\n");
    return { latitude, longitude, name: shorter(name || undefined), address: address.length > 0 ? shorter(address.join("\n")) : undefined };
  };
  // The hash of a file, of which WhatsApp writes the base64.
  const hexOf = (hash) => {
    const bytes = quietly(() => atob(hash)) ?? "";
    return bytes.length === 32 ? [...bytes].map((byte) => byte.charCodeAt(0).toString(16).padStart(2, "0")).join("") : undefined;
  };
  const contentOf = (msg) => {
    const { remote } = msg.id;
    const kind = msg.type === "ciphertext" ? "waiting" : KINDS[msg.type] ?? "other";
    const isMedia = MEDIA.includes(msg.type);
    const isText = kind === "text" || (kind === "other" && !msg.mimetype);
    return {
      ...placeOf(msg.id),
      group_name: isGroup(remote) ? shorter(quietly(() => sources.Chats?.get(remote)?.formattedTitle)) ?? undefined : undefined,
      from: writerOf(msg),
      to: readerOf(msg),
      kind,
      text: isText && typeof msg.body === "string" ? cut(msg.body) : undefined,
      caption: isMedia && msg.caption ? cut(msg.caption) : undefined,
      quoted: quotedOf(msg),
      mentions: listed(msg.mentionedJidList).map((wid) => person(wid)),
      media: isMedia
        ? {
          mimetype: shorter(msg.mimetype), bytes: whole(msg.size), filename: shorter(msg.filename), sha256: hexOf(msg.filehash), duration_seconds: whole(msg.duration),
          is_view_once: Boolean(msg.isViewOnce),
        }
        : undefined,
      location: kind === "location" && Number.isFinite(msg.lat) && Number.isFinite(msg.lng) ? placeIn(msg) : undefined,
      contacts: cardsOf(msg),
      poll: kind === "poll" ? { question: cut(msg.pollName ?? ""), options: listed(msg.pollOptions).map((option) => cut(option.name ?? "")), choices: whole(msg.pollSelectableOptionsCount) ?? undefined } : undefined,
    };
  };

  // --- What is heard ---------------------------------------------------------------------------------------------------

  // The time of the newest message that came in, by WhatsApp's clock: this machine's clock, by which an own message may be dated, can be wrong.
  let newest = 0;
  // All that is older than `newest` has been put into the queue.
  let hasWalked = false;
  let notedAt = 0;
  let deliveryBegan = null;
  const isAway = () =>
    sources.Backend?.isMainStreamReadyMd === false || (deliveryBegan !== null && Date.now() - deliveryBegan < LONGEST_DELIVERY_MS);

  const numberless = new Map();
  const noteNumberless = ({ from, chat, key }) => {
    if (from.phone || !from.lid) return;
    numberless.set(from.lid, { chat, key });
    if (numberless.size > MOST_REMEMBERED) numberless.delete(numberless.keys().next().value);
  };
  const onNumber = (from, late) => {
    const known = numberless.get(from.lid);
    if (!known || !from.phone) return;
    if (!isFound && (isFull() || hasOverflowed)) {
      hasOverflowed = true; // The walk that follows finds it.
      return;
    }
    numberless.delete(from.lid);
    keep("message.resolved", `number ${from.lid} ${known.key}`, { chat: known.chat, at: Date.now(), late }, { from, ...known });
  };
  // A number that became known while nothing listened, or to another document, raises no event here.
  const findNumbers = () => {
    for (const lid of [...numberless.keys()]) onNumber(person(lid), true);
  };

  const isHistory = (msg) => Boolean(msg.isMdHistoryMsg) || msg.rowId < FIRST_ROW_ID;
  // One that this page sends is a message once WhatsApp's server has it.
  const isUnsent = (msg) => msg.id.fromMe && !(msg.ack > 0) && (msg.local || !msg.recvFresh);

  // Messages of this page that the server did not have yet when they were added.
  const unsent = new Set();
  const noteUnsent = ({ id: { id: key } }) => {
    unsent.add(key);
    if (unsent.size > MOST_REMEMBERED) unsent.delete(unsent.values().next().value);
  };
  // Whether an own message may be one that the log does not have. An old one has an event, or was sent before the service listened.
  const isNewByAck = (msg) => unsent.delete(msg.id.id) || (limits !== null && msg.t * 1000 >= Math.max(limits.floor, Date.now() - OLDEST_NEW_MS));

  const kindOf = (msg) => (msg.type === "ciphertext" ? "message.waiting" : msg.id.fromMe ? "message.own" : "message");
  const onceOf = (msg) => `${msg.type === "ciphertext" ? "waiting" : "message"} ${msg.id.fromMe ? "own" : "in"} ${scope(msg.id)} ${msg.id.id}`;
  const noticeOf = (msg) => `notice ${msg.id.remote} ${msg.id.id} ${msg.subtype}`;
  const isMe = (who) => {
    const own = me();
    return (who.phone !== null && who.phone === own.phone) || (who.lid !== null && who.lid === own.lid);
  };
  // A line that WhatsApp has written into a group's chat. The one that is about this account and others is two events.
  const onNotice = (msg, late) => {
    const { id, subtype } = msg;
    if (!isGroup(id.remote)) return;
    const by = msg.author ? person(msg.author) : null;
    const name = subtype === "subject" || subtype === "create" ? msg.body : quietly(() => sources.Chats?.get(id.remote)?.formattedTitle);
    const news = { ...placeOf(id), group_name: shorter(name) ?? undefined, by };
    const tell = (kind, more, scope = "") => {
      keep(kind, noticeOf(msg) + scope, { chat: news.chat, at: msg.t * 1000, late: late || Boolean(msg.isOffline) || isAway() }, { ...news, ...more });
    };
    const people = listed(msg.recipients).map((wid) => person(wid));
    const others = people.filter((who) => !isMe(who));
    const isAboutMe = others.length < people.length;
    const action = CAME[subtype] ?? WENT[subtype];
    if (subtype === "create") {
      // Of a group that another person has made, the line that says who was added tells it.
      if (by && isMe(by)) tell("group.joined", { how: "created" });
    } else if (action) {
      if (isAboutMe) tell(CAME[subtype] ? "group.joined" : "group.left", { how: action }, " me");
      if (others.length > 0) tell("group.participants", { action, participants: others });
    } else if (ADMINS[subtype] && people.length > 0) {
      tell("group.participants", { action: ADMINS[subtype], participants: people });
    } else if (PARTS.includes(subtype)) {
      // The body of a picture is a word for what was done to it.
      tell("group.updated", { what: subtype, ...(subtype !== "picture" && msg.body ? { [subtype]: cut(msg.body) } : {}) });
    } else if (SETTINGS.includes(subtype)) {
      tell("group.updated", { what: "setting", setting: subtype });
    }
  };
  const onMessage = (msg, late) => {
    if (msg?.type === "gp2" && msg.id && !isHistory(msg)) {
      onNotice(msg, late);
      return;
    }
    if (!msg?.id || !isHeard(msg.id.remote) || NO_MESSAGES.includes(msg.type) || isHistory(msg) || isUnsent(msg)) return;
    if (msg.type === "revoked") {
      onRevoked(msg, late);
      return;
    }
    // There is nothing to wait for: another device alone can show it.
    if (msg.type === "ciphertext" && /unavailable_fanout$/.test(msg.subtype ?? "")) return;
    const { fromMe, id: key } = msg.id;
    const at = msg.t * 1000;
    const data = contentOf(msg);
    if (!fromMe) newest = Math.max(newest, at);
    keep(kindOf(msg), onceOf(msg), { chat: data.chat, at, late: late || Boolean(msg.isOffline) || isAway(), own: fromMe ? key : null, who: whoOf(msg.id, msg.author) }, data);
    noteNumberless(data);
  };
  const noteNow = () => {
    notedAt = Date.now();
    if (newest > 0) put({ kind: "until", at: newest });
  };
  const note = () => {
    if (isWalking || hasOverflowed || !hasWalked || isAway() || Date.now() - notedAt < NOTE_EVERY_MS) return;
    noteNow();
  };

  const onAck = (id, ack, at, late) => {
    if (!id?.fromMe || !isHeard(id.remote) || !(ack > 0 || ack < 0)) return;
    keep("message.ack", `ack ${scope(id)} ${id.id} ${ack}`, { chat: String(id.remote), at, late, own: id.id, who: whoOf(id) }, { ...placeOf(id), ack, state: ack < 0 ? "failed" : WORDS[ack] ?? "played" });
  };
  // What the service does to messages by this page, by the id of its send: an event of it says so. The page gives it an id of its own, which the
  // service learns later than the event.
  const ownActs = new Map();
  const actionOf = (kind, id, value = "") => ownActs.get(`${kind} ${id.id} ${value}`);
  const onEdited = (msg, late) => {
    const { id, latestEditMsgKey: edit, latestEditSenderTimestampMs: at } = msg;
    if (!id || !edit || !isHeard(id.remote) || isHistory(msg)) return;
    const own = id.fromMe ? actionOf("edit", id, String(textOf(msg)).trim()) ?? keyOf(edit) : null;
    keep("message.edited", `edit ${scope(id)} ${id.id} ${keyOf(edit)}`, { chat: String(id.remote), at: at ?? null, late, own, who: whoOf(id, msg.author) }, { ...placeOf(id), from: writerOf(msg), is_own: id.fromMe, text: cut(textOf(msg)) });
  };
  const onRevoked = (msg, late) => {
    const meant = msg.protocolMessageKey;
    if (!meant?.id || !isHeard(meant.remote)) return;
    const sender = msg.revokeSender ?? msg.author ?? msg.from;
    const isOwnAct = msg.id.fromMe && !/^admin/.test(msg.subtype ?? "");
    const at = (msg.revokeTimestamp ?? msg.t) * 1000;
    const own = isOwnAct ? actionOf("revoke", meant) ?? msg.id.id : null;
    keep("message.revoked", `revoke ${scope(meant)} ${meant.id}`, { chat: String(meant.remote), at, late, own, who: whoOf(meant) }, {
      ...placeOf(meant), is_own: meant.fromMe, by: isOwnAct ? me() : sender ? person(sender) : null, is_by_admin: /^admin/.test(msg.subtype ?? ""),
    });
  };
  const onReaction = (reaction, late) => {
    const { id, reactionParentKey: parent, reactionText, reactionTimestamp, author, from } = reaction;
    if (!id?.id || !parent?.id || !isHeard(parent.remote)) return;
    const own = id.fromMe ? actionOf("reaction", parent, reactionText ?? "") ?? id.id : null;
    keep("message.reaction", `reaction ${scope(parent)} ${id.id}`, { chat: String(parent.remote), at: Number(reactionTimestamp) || null, late, own, who: whoOf({ remote: parent.remote, fromMe: id.fromMe }, author ?? from) }, {
      ...placeOf(parent), from: id.fromMe ? me() : person(author ?? from), is_own: Boolean(id.fromMe), emoji: reactionText ? String(reactionText) : null,
    });
  };

  // Calls `heard` with what the page hands to this function, and leaves the function to do its work. What goes wrong here is not the page's.
  const wrap = (holder, method, heard) => {
    const original = holder?.[method];
    if (typeof original !== "function") return;
    const wrapped = function (...args) {
      quietly(() => heard(...args));
      return original.apply(this, args);
    };
    quietly(() => { holder[method] = wrapped; });
  };

  const SET_UP = {
    Messages(messages) {
      const safely = (heard) => (...args) => quietly(() => heard(...args));
      messages.on("add", safely((msg) => {
        if (!msg.isNewMsg) return;
        if (isUnsent(msg)) noteUnsent(msg);
        onMessage(msg, false);
        note();
      }));
      messages.on("change:type", safely((msg, type, before) => {
        if (type === "revoked") onRevoked(msg, isAway());
        else if (before === "ciphertext") onMessage(msg, false);
      }));
      messages.on("change:ack", safely((msg) => {
        if (!msg.id?.fromMe) return;
        if (msg.ack > 0 && isNewByAck(msg)) onMessage(msg, false);
        onAck(msg.id, msg.ack, Date.now(), isAway());
      }));
      messages.on("change:latestEditMsgKey", safely((msg) => onEdited(msg, isAway())));
      // What concerns a message that is not in the collection comes by here only: it is deleted, or can be read now.
      wrap(messages, "processMultipleMessages", (chat, list, meta) => {
        for (const msg of Array.isArray(list) ? list : []) {
          if (!msg?.isNewMsg || !msg.id) continue;
          if (msg.type === "protocol" && ["sender_revoke", "admin_revoke"].includes(msg.subtype)) onRevoked(msg, isAway() || Boolean(msg.isOffline));
          else if (meta?.update && msg.type !== "ciphertext") onMessage(msg, false);
        }
      });
      by = by ?? "modules";
      call();
    },
    Contacts(contacts) {
      contacts.on("change:phoneNumber", (held, number) => quietly(() => {
        onNumber({ ...person(held.id), phone: userOf(number), lid: bare(held.id) }, isAway());
      }));
    },
    Cmd(cmd) {
      cmd.on("offline_delivery_state_reset_from_bridge", () => { deliveryBegan = Date.now(); });
      cmd.on("offline_delivery_end_from_bridge", () => {
        deliveryBegan = null;
        if (hasWalked || isWalking) walk();
      });
    },
    edits(module) {
      wrap(module, "updateEditedMessagesAction", (edits) => {
        for (const { parentMsg, editedMsgData } of edits) {
          if (parentMsg?.id) onEdited({ ...parentMsg, ...editedMsgData, id: parentMsg.id, type: parentMsg.type, from: parentMsg.from, author: parentMsg.author, notifyName: parentMsg.notifyName }, isAway());
        }
      });
    },
    receipts(module) {
      wrap(module, "handleChatSimpleReceipt", ({ ack, ackString, from, externalIds, ts }) => {
        const own = me();
        // From another device of this account: it has got or read what came in.
        const isOwn = [own.phone, userOf(own.lid)].includes(userOf(from));
        if (ackString === "sender" || isOwn || !isHeard(from)) return;
        for (const key of externalIds ?? []) onAck({ fromMe: true, remote: from, id: key, toString: () => `true_${from}_${key}` }, ack, ts ? ts * 1000 : Date.now(), isAway());
      });
    },
    reactions(table) {
      wrap(table, "bulkUpsert", (list) => {
        for (const reaction of list) onReaction(reaction, isAway());
      });
    },
  };

  // --- The walk --------------------------------------------------------------------------------------------------------

  // What the service says: {since, floor, reach}, all in milliseconds.
  let limits = null;
  let walksAsked = 0;
  let isWalking = false;
  let walksAgain = false;
  let isFirst = true;
  let trouble = null;

  const search = async (chat, before) => {
    const late = sleep(SEARCH_MS).then(() => { throw new Error("WhatsApp's own store of messages does not answer"); });
    return (await Promise.race([sources.find(chat, before, PAGE), late])) ?? [];
  };
  // The messages of a chat from `from` on, the oldest first.
  const storedIn = async (chat, from) => {
    const found = new Set();
    // Pages of the store, the oldest first, and so are the messages of each.
    const pages = [];
    let before = null;
    for (;;) {
      const page = [...(await search(chat, before))].filter((msg) => msg?.id && !found.has(String(msg.id)));
      if (page.length === 0) break;
      // The store gives either end first.
      if (page[0].t > page.at(-1).t) page.reverse();
      for (const msg of page) found.add(String(msg.id));
      pages.unshift(page);
      if (page[0].t * 1000 < from || isHistory(page[0]) || found.size >= MOST_OF_CHAT) break;
      before = page[0].id;
    }
    const all = pages.flat().filter((msg) => msg.t * 1000 >= from && !isHistory(msg));
    // Within a second the order is that in which they were stored.
    const stored = (a, b) => (Number.isFinite(a.rowId) && Number.isFinite(b.rowId) ? a.rowId - b.rowId : 0);
    return all.sort((a, b) => a.t - b.t || stored(a, b));
  };
  // Not each message that has one says so: one that came while the page was away may not.
  const reactionsTo = async (stored) => {
    const keys = stored.filter((msg) => isFirst || msg.hasReaction).map(({ id }) => id);
    try {
      return keys.length > 0 ? (await sources.reactions?.bulkGetByParentMsgKey?.(keys)) ?? [] : [];
    } catch {
      return []; // They are shown beside messages, and are none.
    }
  };
  // What the walk has found; at once, since listeners may hear something in between.
  const give = (act) => {
    isFound = true;
    try {
      act();
    } finally {
      isFound = false;
    }
  };
  const take = (msg, since, young) => {
    if (msg.t * 1000 > young.after) {
      // What became of it comes behind it.
      young.list.push(msg);
      return;
    }
    // The times of these are those of the senders' clocks: a document's first walk says all of them, and the log knows those that it has.
    const isBefore = (at) => !isFirst && at < since;
    if (msg.type === "revoked") {
      if (!isBefore((msg.revokeTimestamp ?? msg.t) * 1000)) onRevoked(msg, true);
      return;
    }
    if (msg.t * 1000 >= since) onMessage(msg, true);
    if (msg.latestEditMsgKey && !isBefore(msg.latestEditSenderTimestampMs)) onEdited(msg, true);
    if (msg.id.fromMe) onAck(msg.id, msg.ack, null, true);
  };
  // Until the page has what waited for it at the server, more comes into its store, of which no event tells.
  const whenPresent = async () => {
    for (let waited = 0; isAway() && waited < LONGEST_HOLD_MS; waited += AWAY_LOOK_MS) await sleep(AWAY_LOOK_MS);
  };
  const walkOnce = async () => {
    await whenPresent();
    const { since, floor, reach } = limits;
    const began = Date.now();
    // What became of messages that were heard before: the store says it of each, and not when. Once for each document.
    const from = isFirst ? Math.max(floor, Math.min(since, reach)) : since;
    const young = { after: began - YOUNG_MS, list: [], reactions: [] };
    const chats = sources.Chats.getModelsArray().filter(({ id, t }) => isHeard(id) && t * 1000 >= from);
    for (const chat of chats) {
      const stored = await storedIn(chat, from);
      for (const msg of stored) {
        await room();
        give(() => take(msg, since, young));
      }
      const isYoung = new Set(young.list.map(({ id }) => id.id));
      for (const reaction of await reactionsTo(stored)) {
        if (!isFirst && reaction.reactionTimestamp < since) continue;
        await room();
        if (isYoung.has(reaction.reactionParentKey?.id)) young.reactions.push(reaction);
        else give(() => onReaction(reaction, true));
      }
    }
    await room();
    give(findNumbers);
    const isKnown = (msg) => {
      const mark = markOf({ once: onceOf(msg), who: whoOf(msg.id, msg.author) });
      return msg.type === "gp2" || remembered.has(mark) || held.has(mark);
    };
    if (!young.list.every(isKnown)) await sleep(YOUNG_WAIT_MS);
    const old = { after: Infinity };
    for (const msg of young.list) {
      await room();
      give(() => take(msg, since, old));
    }
    for (const reaction of young.reactions) {
      await room();
      give(() => onReaction(reaction, true));
    }
    if (!hasOverflowed) await release();
    if (hasOverflowed) {
      walksAgain = true;
      return;
    }
    isFirst = false;
    hasWalked = true;
    await room();
    noteNow();
  };
  const walk = async () => {
    walksAgain = true;
    if (isWalking || !limits || !canWalk()) return;
    isWalking = true;
    try {
      while (walksAgain) {
        walksAgain = false;
        if (hasOverflowed) {
          hasOverflowed = false;
          isFirst = true;
          holds = true;
        }
        await walkOnce();
      }
      trouble = null;
    } catch (error) {
      trouble = shared.wordOf(error);
      letGo();
      setTimeout(walk, WALK_AGAIN_MS);
    } finally {
      isWalking = false;
      call();
    }
  };

  return {
    shared: {
      // What reading.js makes its answers of: the same objects of the page, and the same words.
      parts: {
        sources, isHeard, isGroup, isNoMessage: ({ type }) => NO_MESSAGES.includes(type), person, me, shorter, cut, contentOf, search,
        stateOf: (ack) => (ack < 0 ? "failed" : WORDS[ack]), chosenBy: () => by,
      },
      // Objects of the page, as far as `adapter` has found them, by name: Messages, Chats, Contacts, Groups, Cmd, Backend, edits, receipts,
      // reactions, createWid(text), me() -> {number, lid}, numberOf(lid), lidOf(number), find(chat, before, count) -> messages. What
      // is there already stays.
      attach(adapter, offered) {
        for (const [role, value] of Object.entries(offered)) {
          if (!value || sources[role]) continue;
          sources[role] = value;
          if (role === "Messages") by = adapter;
          SET_UP[role]?.(value);
        }
        // A walk that was asked for before there was a store to search.
        if (walksAgain) walk();
      },
      // A receipt that an adapter has heard of by itself. In a group it is that of one member, and no level of the message.
      onReceipt(id, ack) {
        quietly(() => {
          const own = me();
          if (!isGroup(id.remote) && ![own.phone, userOf(own.lid)].includes(userOf(id.remote))) onAck(id, ack, Date.now(), isAway());
        });
      },
      // The service is about to do this to a message, as the send with this id. `value`: the emoji, or the new text.
      onOwnAction(kind, id, value, send) {
        ownActs.set(`${kind} ${id.id} ${kind === "edit" ? value.trim() : value}`, send);
        if (ownActs.size > MOST_REMEMBERED) ownActs.delete(ownActs.keys().next().value);
      },
      // For the adapter that has nothing but the screen, and only as long as no other one hears: a text, and how far an own one has
      // got. The screen says neither when a message was written nor by whom in a group.
      watchesScreen(adapter) {
        if (by !== null) return;
        by = adapter;
        call();
      },
      onScreen(adapter, { key, chat, isOwn, text, ack }) {
        if (by !== adapter || !isHeard(chat)) return;
        const id = { fromMe: isOwn, remote: chat, id: key, toString: () => `${isOwn}_${chat}_${key}` };
        if (!isOwn || ack > 0) {
          const msg = { id, from: chat, type: "chat", body: text, t: Math.floor(Date.now() / 1000), ack, recvFresh: true };
          onMessage(msg, false);
        }
        onAck(id, ack, Date.now(), false);
      },
    },
    commands: {
      // {document, upto, since, floor, reach, walks, numberless} -> what waits. `upto` of this `document` is on disk. `walks` grows
      // when the store is to be walked through. `numberless` are persons, {lid, chat, key}, whose number the log lacks.
      hear({ document, upto, since, floor, reach, walks, numberless: missing = [] }) {
        if (document === name) forget(({ n }) => n <= upto);
        limits = { since, floor, reach };
        for (const { lid, chat, key } of missing) if (!numberless.has(lid)) numberless.set(lid, { chat, key });
        if (missing.length > 0) findNumbers();
        // What was before the service listened is left out.
        forget(({ at }) => at !== null && at < floor);
        if (walks > walksAsked) {
          walksAsked = walks;
          walk();
        } else if (hasOverflowed && waiting.length === 0 && !isWalking) {
          if (canWalk()) walk();
          else {
            // What did not fit is gone for this page. What comes from now on is not.
            hasOverflowed = false;
            trouble = "more came at once than the page can keep";
          }
        }
        const events = [];
        let size = 0;
        for (const event of waiting) {
          if (events.length >= BATCH || (events.length > 0 && size + event.text.length > BATCH_BYTES)) break;
          events.push(event);
          size += event.text.length;
        }
        if (events.length === 0) isArmed = true;
        const now = performance.now();
        const { phone, lid } = me();
        const lacks = by === null || by === "dom" ? [] : Object.keys(WANTED).filter((role) => !sources[role]).map((role) => WANTED[role]);
        return {
          document: name, upto: events.at(-1)?.n ?? 0, by, lacks, phone, lid, trouble,
          is_walking: isWalking || (!hasWalked && trouble === null),
          // As one text, a line for each: an answer that is not understood must not get into a log.
          events: events.map(({ text }) => text).join("\n"),
          // How long each of them has waited here, by a clock that is never set.
          waited: events.map(({ since }) => now - since),
        };
      },
    },
  };
})
