// The adapter "modules": calls WhatsApp Web's own modules by name. Fast and exact; breaks when a name changes.
// docs/whatsapp.md has the source of each fact used here.
//
// To mend a renamed module: copy this file into PAGE_SCRIPTS_DIR, change the name in NAMES, restart the session.
(function modules(say, shared) {
  "use strict";

  const { resolve, nameOf, TROUBLES, TROUBLE_EVENTS, YOUNG_S, CODE_HEAD_START_MS, CODE_PREFIX, PLATFORM_CHROME, PAIRING_ERRORS, PAIRING_OVER, PASSKEY_WANTED, CHAT_ORIGIN, findMessage } = shared;

  // What we call -> its home, or its homes where it has moved between builds (whatsapp.js). The only place for names of modules:
  // `inventory` reports what is here, and PURPOSES says of each group what needs it.
  const NAMES = {
    state: {
      Socket: ["WAWebSocketModel", "Socket"],
      Stream: ["WAWebStreamModel", "Stream"],
      getMaybeMePnUser: ["WAWebUserPrefsMeUser", "getMaybeMePnUser"],
      getMaybeMeLidUser: ["WAWebUserPrefsMeUser", "getMaybeMeLidUser"],
    },
    send: {
      Chats: ["WAWebChatCollection", "ChatCollection", "Chat"],
      Messages: ["WAWebMsgCollection", "MsgCollection", "Msg"],
      MsgKey: ["WAWebMsgKey"],
      createWid: ["WAWebWidFactory", "createWid"],
      queryWidExists: ["WAWebQueryExistsJob", "queryWidExists"],
      findOrCreateLatestChat: ["WAWebFindChatAction", "findOrCreateLatestChat"],
      addAndSendMsgToChat: ["WAWebSendMsgChatAction", "addAndSendMsgToChat"],
      getEphemeralFields: ["WAWebGetEphemeralFieldsMsgActionsUtils", "getEphemeralFields"],
    },
    // Without these the adapter still serves: the page shows the code, and a button refreshes it.
    code: {
      Conn: ["WAWebConnModel", "Conn"],
      refreshQR: ["WAWebLaunchSocketUtils", "refreshQR"],
      encodeB64: ["WABase64", "encodeB64"],
      noiseInfo: ["WAWebUserPrefsInfoStore", "waNoiseInfo"],
      signalStore: ["WAWebSignalStoreApi", "waSignalStore"],
      // The secret has moved between builds.
      getADVSecretKey: [["WAWebUserPrefsMultiDevice", "getADVSecretKey"], ["WAWebAdvSignatureApi", "getADVSecretKey"]],
    },
    // Without these the phone can scan a code, but not type one. Looked for when a code to type is wanted.
    pairing: {
      setPairingType: ["WAWebAltDeviceLinkingApi", "setPairingType"],
      initializePairing: ["WAWebAltDeviceLinkingApi", "initializeAltDeviceLinking"],
      startPairing: ["WAWebAltDeviceLinkingApi", "startAltLinkingFlow"],
    },
    // Without these, trouble is reported later, or by the screen only.
    news: {
      Cmd: ["WAWebCmd", "Cmd"],
      OfflineMessages: ["WAWebOfflineHandler", "OfflineMessageHandler"],
      LinkEvents: ["WAWebLinkDeviceEvents", "WAWebLinkDeviceEvents"],
      BackendEvents: ["WAWebBackendEventBus", "BackendEventBus"],
    },
    // Without these, something of what comes in is not heard. What else is needed for it stands above.
    hear: {
      Contacts: ["WAWebContactCollection", "ContactCollection", "Contact"],
      storedMessages: ["WAWebDBMessageFindLocal"],
      reactionTable: ["WAWebAddonReactionTableMode", "reactionTableMode"],
      edits: ["WAWebUpdateEditedMessagesAction"],
      receipts: ["WAWebHandleDirectChatReceipt"],
      getPhoneNumber: ["WAWebApiContact", "getPhoneNumber"],
      getCurrentLid: ["WAWebApiContact", "getCurrentLid"],
    },
    // Without this a group's members are those that the page happens to know.
    more: {
      Groups: ["WAWebGroupMetadataCollection", undefined, "GroupMetadata"],
    },
    // Without these a person takes the account back, logs out on the phone, or decides on a send in doubt. Looked at when wanted.
    rare: {
      takeover: ["WAWebSocketModel", "Socket.takeover"],
      logout: ["WAWebSocketModel", "Socket.logout"],
      getMessagesById: ["WAWebMsgCollection", "MsgCollection.getMessagesById", "Msg.getMessagesById"],
    },
  };
  // What a group is needed for, and which jobs fail without it.
  const PURPOSES = {
    state: { use: "state of the page", jobs: ["link", "send"] },
    send: { use: "number check, send, acks", jobs: ["send"] },
    code: { use: "login code by itself", jobs: [] },
    pairing: { use: "linking by phone number", jobs: [] },
    news: { use: "news of trouble and sync", jobs: [] },
    hear: { use: "hearing what comes in", jobs: [] },
    more: { use: "groups", jobs: [] },
    rare: { use: "log out, take over, recovery", jobs: [] },
  };
  const WANTED_LATER = ["pairing", "hear", "more", "rare"];

  // From here to the first word, even when names are missing: modules may arrive seconds late.
  const PROBE_PATIENCE_MS = 5000;
  // What comes in is heard from the moment when the collections are there: a page connects some tenths of a second later.
  const FIRST_PROBE_INTERVAL_MS = 20;
  const PROBE_INTERVAL_MS = 100;
  const LATE_PROBE_INTERVAL_MS = 1000;

  const failure = (code, detail) => Object.assign(new Error(detail), { code });

  const found = {};
  // Looks for what is not found yet; answers the names still missing, as "module.export".
  const probe = (group) =>
    Object.entries(NAMES[group]).flatMap(([key, home]) => {
      found[key] ??= resolve(home);
      return found[key] === undefined ? [nameOf(home)] : [];
    });

  let code = null;
  let codeTimer = 0;
  let pairingCode = null;
  let screenIsStale = false;
  let announced = null;
  let syncPercent = null;

  const trouble = () => {
    const { state } = found.Socket;
    // Not Stream.needsUpdate: it says that a newer build is there, several times a day, and the page goes on working.
    return announced ?? TROUBLES[state] ?? TROUBLES[found.Stream.mode] ?? null;
  };

  const account = () => {
    const me = found.getMaybeMePnUser();
    return me ? String(me.user ?? me).replace(/[:@].*$/, "") : null;
  };
  const isLinked = () => Boolean(found.getMaybeMePnUser() || found.getMaybeMeLidUser());

  // Nothing is said before the first probe is over: a half-loaded page would look broken.
  let isSettled = false;
  let last = "";
  const tell = () => {
    if (!isSettled) return;
    const missing = { state: probe("state"), send: probe("send") };
    const view = { state_known: missing.state.length === 0, missing: [...missing.state, ...missing.send] };
    if (view.state_known) {
      const { state } = found.Socket;
      view.linked = isLinked();
      view.account = account();
      view.login = !view.linked && (state === "UNPAIRED" || state === "UNPAIRED_IDLE");
      view.codes_ended = view.login && state === "UNPAIRED_IDLE";
      // After the last code of a batch Conn keeps its ref: what was built from it is worthless.
      if (view.codes_ended) code = null;
      view.code = view.login ? code : null;
      // A code ends with the connection on which it was asked for.
      if (!view.login) pairingCode = null;
      view.pairing_code = pairingCode;
      view.screen_is_stale = screenIsStale;
      view.online = view.linked && state === "CONNECTED" && found.Stream.mode === "MAIN";
      view.can_send = missing.send.length === 0;
      view.passkey = shared.passkey?.modules.view(view.linked) ?? null;
      view.trouble = trouble();
      view.sync_percent = view.linked && !view.online ? syncPercent : null;
    }
    view.notice = shared.notice();
    const text = JSON.stringify(view);
    if (text !== last) say({ kind: "view", view });
    last = text;
  };

  // It can change while pairing, so it is read for each code.
  const secretKey = async () => {
    if (!found.getADVSecretKey) throw failure("NO_SECRET", "the secret of the login code has no known home");
    return found.getADVSecretKey();
  };

  // Builds the code that the page would show. Never from a stale ref: after the last one Conn keeps it.
  const buildCode = async () => {
    const { ref } = found.Conn;
    if (!ref || isLinked()) return null;
    const noise = (await found.noiseInfo.get()).staticKeyPair.pubKey;
    const identity = (await found.signalStore.getRegistrationInfo()).identityKeyPair.pubKey;
    const parts = [ref, found.encodeB64(noise), found.encodeB64(identity), await secretKey(), PLATFORM_CHROME];
    return found.Conn.ref === ref ? CODE_PREFIX + parts.join(",") : null;
  };

  const onRef = () => {
    code = null;
    screenIsStale = false;
    clearTimeout(codeTimer);
    codeTimer = setTimeout(async () => {
      try {
        code = await buildCode();
      } catch {
        code = null; // The page's own picture, read by the adapter "dom", is then the only source.
      }
      tell();
    }, CODE_HEAD_START_MS);
    tell();
  };

  const announce = (name) => {
    announced = name;
    tell();
  };
  // The event carries nothing: the level is asked for, and before the server has said how much there is it throws.
  const onSync = () => {
    let percent = null;
    try {
      percent = Math.round(found.OfflineMessages?.getOfflineDeliveryProgress());
    } catch {
      // Nothing is known yet.
    }
    syncPercent = percent >= 0 && percent <= 100 ? percent : null;
    tell();
  };

  const endings = shared.endings(say);
  const { sayAck } = endings;

  const sayYoungAcks = () => {
    const since = Date.now() / 1000 - YOUNG_S;
    for (const message of found.Messages.getModelsArray?.() ?? []) {
      // Zero is no news.
      if (message.t > since && message.ack > 0) sayAck(message);
    }
  };

  // Messages of a chat before this key, or its last ones. Until summer 2026 one function took its arguments as parts of the key.
  const find = async (chat, before, count) => {
    const { msgFindByDirection, msgFindQuery } = found.storedMessages;
    if (!msgFindByDirection) return msgFindQuery("before", Object.assign(before ? found.MsgKey.fromString(String(before)) : { remote: chat.id }, { count }));
    const answer = await msgFindByDirection({ anchor: before ?? { remote: chat.id }, count, direction: "before" });
    return answer?.messages ?? answer;
  };
  // As soon as the collections are there, which is before the page connects.
  const hear = () => {
    if (!shared.hearing) return false;
    const isMissing = probe("hear").length > 0;
    shared.hearing.attach("modules", {
      createWid: found.createWid,
      me: found.getMaybeMePnUser && (() => ({ number: found.getMaybeMePnUser(), lid: found.getMaybeMeLidUser?.() })),
      numberOf: found.getPhoneNumber, lidOf: found.getCurrentLid,
      Contacts: found.Contacts, Groups: resolve(NAMES.more.Groups), Cmd: found.Cmd, Backend: found.BackendEvents, Chats: found.Chats,
      find: found.storedMessages && found.MsgKey && find,
      reactions: found.reactionTable, edits: found.edits, receipts: found.receipts,
      Messages: found.Messages,
    });
    return isMissing;
  };

  const watched = new Set();
  const watch = (key, events, react) => {
    if (!found[key]?.on || watched.has(key + events)) return;
    watched.add(key + events);
    // One event at a time: not every emitter of the page takes a list.
    for (const event of events.split(" ")) found[key].on(event, react);
  };
  const watchAll = () => {
    watch("Socket", "change:state", tell);
    watch("Stream", "change:mode", tell);
    watch("Cmd", "logout_from_bridge", (reason) => say({ kind: "logged_out", reason: typeof reason === "string" ? reason : null }));
    watch("Cmd", "offline_progress_update_from_bridge offline_delivery_end_from_bridge", onSync);
    if (shared.passkey) shared.passkey.modules.follow(found.LinkEvents, tell);
    else watch("LinkEvents", PASSKEY_WANTED, () => announce("PASSKEY_REQUIRED"));
    watch("LinkEvents", PAIRING_OVER.join(" "), () => { pairingCode = null; tell(); });
    for (const [event, name] of Object.entries(TROUBLE_EVENTS)) watch("BackendEvents", event, () => announce(name));
    if (found.Messages && !watched.has("Messageschange:ack")) {
      watch("Messages", "change:ack", sayAck);
      sayYoungAcks();
    }
    if (found.Conn && !watched.has("Connchange:ref")) {
      watch("Conn", "change:ref", onRef);
      onRef();
    }
  };

  // Modules can come late and one by one, so this goes on until none is missing.
  const began = Date.now();
  const settle = () => {
    try {
      look();
    } catch (error) {
      // A page that is not what this script takes it for: said, so that the next adapter gets its turn.
      say({ kind: "view", view: { missing: [`a page that can be read (${error?.message ?? error})`] } });
      setTimeout(settle, LATE_PROBE_INTERVAL_MS);
    }
  };
  const look = () => {
    const isMissing = Object.keys(NAMES).filter((group) => !WANTED_LATER.includes(group)).flatMap(probe).length > 0;
    const isLate = Date.now() - began > PROBE_PATIENCE_MS;
    isSettled ||= !isMissing || isLate;
    watchAll();
    const mayHearMore = hear() && !isLate;
    tell();
    if (isLate && isMissing) setTimeout(settle, LATE_PROBE_INTERVAL_MS);
    else if (isMissing || mayHearMore) setTimeout(settle, found.Messages ? PROBE_INTERVAL_MS : FIRST_PROBE_INTERVAL_MS);
  };
  settle();
  shared.watchDialogs(tell);

  // A document that has just begun has no modules yet: asked again in a moment, it has.
  const mustBeLoaded = () => {
    const missing = probe("send");
    if (missing.length > 0) throw failure("NOT_LOADED", `WhatsApp Web has not loaded ${missing.join(", ")}`);
  };

  // The address that WhatsApp has for a number, null when it has none. A question that failed is not an answer.
  const widOf = async (to) => {
    const wid = found.createWid(`${to}@c.us`);
    let known;
    try {
      known = await found.queryWidExists(wid);
    } catch (error) {
      if (error instanceof TypeError) throw error;
      throw failure("CHECK_FAILED", `the number could not be checked: ${error?.message ?? error}`);
    }
    // An answer of another shape says nothing about the number.
    if (known && !known.wid) throw failure("MISFIT", "the number could not be checked: WhatsApp's answer was not understood");
    return known?.wid ?? null;
  };

  const keyOf = ({ key, chat }) => {
    const to = found.createWid(chat);
    const isGroup = shared.isGroup(to);
    // Sender and recipient must be addressed in one mode (wa-js 4.3.1, 4.4.0).
    const from = shared.isByLid(to, isGroup ? found.Chats.get(to) : undefined) ? found.getMaybeMeLidUser() : found.getMaybeMePnUser();
    if (!from) throw failure("NO_ACCOUNT", "no account is linked");
    return { to, from, id: new found.MsgKey({ from, to, id: key, selfDir: "out", ...(isGroup ? { participant: from } : {}) }) };
  };

  // The address of a chat as it is now: it may have moved from a number to a LID. Makes the chat if there is none.
  const latestChat = async (wid) => {
    if (shared.isGroup(wid)) return String((await shared.groupOf(wid, found.Chats, resolve(NAMES.more.Groups))).id);
    const latest = await found.findOrCreateLatestChat(wid, CHAT_ORIGIN);
    return String((latest?.chat ?? latest)?.id ?? wid);
  };

  // {key, kind, mimetype, filename, filehash, bytes}: the file in the input is on WhatsApp's server when this answers.
  const stageMedia = async (medium) => {
    mustBeLoaded();
    if (!shared.media) throw failure("NO_MEDIA", "media.js is missing");
    await shared.media.stage(medium);
  };

  // What the functions for messages that are there get of the page.
  const pageOf = () => ({
    createWid: found.createWid, widOf, latestChat, numberOf: found.getPhoneNumber, lidOf: found.getCurrentLid, Messages: found.Messages, Chats: found.Chats,
    me: () => ({ number: found.getMaybeMePnUser(), lid: found.getMaybeMeLidUser() }), find: found.storedMessages && find, Cmd: found.Cmd,
    isConnected: found.Socket && (() => found.Socket.state === "CONNECTED"),
  });
  const after = (name) => (ask) => {
    mustBeLoaded();
    probe("hear");
    if (!shared.after) throw failure("NO_AFTER", "after.js is missing");
    return shared.after[name](ask, pageOf());
  };

  // {key, chat, message_id, body, extras?} -> {key, message_id}. Throws only while certainly nothing was handed over. Takes nothing
  // under another id than the one given: the service may have made it without asking.
  const handOver = async ({ key, chat, message_id, body, extras }) => {
    mustBeLoaded();
    const { to, from, id } = keyOf({ key, chat });
    if (id.toString() !== message_id || (await latestChat(to)) !== chat) throw failure("MOVED", "the chat has another address by now");
    // Some builds answer a plain {id} instead of the chat itself: the collection has the real one.
    const model = found.Chats.get(to);
    if (!model) throw failure("NO_CHAT", "WhatsApp gave no chat for this number");
    const said = extras
      ? await shared.content.fields({ key, body, extras, chat: model }, { createWid: found.createWid, numberOf: found.getPhoneNumber, lidOf: found.getCurrentLid, Messages: found.Messages })
      : { type: "chat", body };
    const message = {
      ...found.getEphemeralFields(model),
      ...said,
      // After whatever else names one: the id and its chat are ours.
      id, from, to,
      self: "out", ack: 0, local: true, isNewMsg: true,
      t: Math.floor(Date.now() / 1000),
    };
    // Whatever goes wrong from here on, WhatsApp's collection decides: a message goes into it before it travels.
    const orNotHanded = (error) => {
      if (found.Messages.get(id)) throw failure("IN_DOUBT", "WhatsApp took the message and then reported an error");
      throw error;
    };
    // The pair comes at once today; wa-js waits for it, and so do we.
    const [added, sent] = await Promise.resolve().then(() => found.addAndSendMsgToChat(model, message)).catch(orNotHanded);
    const isSent = () => found.Messages.get(id)?.ack > 0;
    Promise.resolve(sent).then(
      (result) => {
        if (result?.messageSendResult === "OK") say({ kind: "ack", key, ack: Math.max(1, found.Messages.get(id)?.ack ?? 1) });
        else if (result?.messageSendResult && !isSent()) endings.result(key, result.messageSendResult);
      },
      (error) => { if (!isSent()) endings.result(key, shared.wordOf(error)); },
    );
    await Promise.resolve(added).catch(orNotHanded);
    sayAck(found.Messages.get(id));
    return { key, message_id: id.toString() };
  };

  return {
    // {to: digits} -> {chat}, null when the number is not on WhatsApp.
    async checkNumber({ to }) {
      mustBeLoaded();
      return { chat: (await widOf(to))?.toString() ?? null };
    },

    // {message_id, key} -> {ack}, null when WhatsApp's store does not have it.
    async lookUp({ message_id, key }) {
      mustBeLoaded();
      const from = found.getMaybeMePnUser() ?? found.getMaybeMeLidUser();
      const idIn = (chat) => new found.MsgKey({ from, to: found.createWid(chat), id: key, selfDir: "out" }).toString();
      const message = await findMessage(found.Messages, found.Chats, { message_id, key }, idIn);
      return { ack: message ? message.ack ?? 0 : null };
    },

    // {chat, asks, own}: begins new Signal sessions.
    resetSessions: shared.resetSessions,

    // {key, to: digits, chat: known or null} -> {message_id, chat}. Looks up, sends nothing.
    async prepare({ key, to, chat: known }) {
      mustBeLoaded();
      const wid = known ? found.createWid(known) : await widOf(to);
      if (!wid) throw failure("NOT_ON_WHATSAPP", "the number is not on WhatsApp");
      const chat = await latestChat(wid);
      // `_serialized` is gone since build 2.3000.1042401057; toString stays.
      return { message_id: keyOf({ key, chat }).id.toString(), chat };
    },

    stageMedia,

    handOver,
    handOverWithExtras: handOver,

    prepareAfter: after("prepare"),
    handOverAfter: after("handOver"),
    lookUpAfter: after("lookUp"),
    inChat: after("inChat"),

    dismissNotice: shared.dismissNotice,

    refreshCodes: async () => {
      if (!found.refreshQR) throw failure("NO_REFRESH", `${nameOf(NAMES.code.refreshQR)} is missing`);
      await found.refreshQR();
    },

    // {phone: digits, renewal}. The code goes out with the view. Two at once would end each other's code.
    async requestPairingCode({ phone, renewal }) {
      const missing = [...probe("state"), ...probe("pairing")];
      if (missing.length > 0) throw failure("NO_PAIRING", `WhatsApp Web has no ${missing.join(", ")}`);
      pairingCode = null;
      found.setPairingType("ALT_DEVICE_LINKING");
      await found.initializePairing();
      // It makes a new secret: the code to scan is built again, and the one on the screen is useless until the next.
      code = await buildCode().catch(() => null);
      screenIsStale = true;
      tell();
      try {
        pairingCode = await found.startPairing(phone, !renewal);
      } catch (error) {
        const name = error?.type?.name;
        throw failure(PAIRING_ERRORS[name] ?? "PAIRING_FAILED", name ?? String(error?.message ?? error));
      }
      tell();
    },

    // {act}, a step of linking with a passkey.
    async passkey(step) {
      if (!shared.passkey) throw failure("NO_PASSKEY_ACTION", "passkey.js is missing");
      await shared.passkey.modules.run(step);
    },

    // "Use here": the account is open in another window.
    takeOver: async () => {
      if (probe("rare").includes(nameOf(NAMES.rare.takeover))) throw failure("NO_TAKEOVER", `${nameOf(NAMES.rare.takeover)} is missing`);
      await found.takeover.call(found.Socket);
    },

    logOut: () => {
      if (probe("rare").includes(nameOf(NAMES.rare.logout))) throw failure("NO_LOGOUT", `${nameOf(NAMES.rare.logout)} is missing`);
      // The page goes away with it, and with the page this call's answer.
      setTimeout(() => found.logout.call(found.Socket), 0);
    },

    // The bytes of what comes in.
    ...shared.mediaIn?.commands({
      messages: () => found.Messages,
      page: pageOf,
      async blobOf(msg) {
        // Where the bytes are then, its cache says.
        await msg.downloadMedia({ downloadEvenIfExpensive: true, rmrReason: 1, isUserInitiated: true });
        return null;
      },
    }),

    // {within_ms} -> what the page has of what this adapter relies on. Modules may arrive late: waited for so long.
    inventory: ({ within_ms }) => shared.inventory.taken(() => [...shared.inventory.names(NAMES, PURPOSES), ...(shared.passkey?.inventory() ?? []), ...(shared.content?.inventory() ?? []), ...(shared.mediaIn?.inventory() ?? []), ...(shared.media?.inventory() ?? []), ...(shared.after?.inventory() ?? []), ...(shared.reading?.inventory() ?? [])], within_ms),
  };
})
