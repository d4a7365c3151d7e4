// The adapter "wa-js": drives the page through the maintained library (npm @wppconnect/wa-js), which finds WhatsApp
// Web's functions by the shape of their exports. docs/whatsapp.md#wa-js has the source of each fact
// used here.
//
// The bundle is not part of this script. When the page could take it, this script says so ("wants_bundle"); the service
// injects it if the adapters before this one lack something, in the order: configure(), the bundle, loaded().
(function waJs(say, shared) {
  "use strict";

  const { TROUBLES, TROUBLE_EVENTS, YOUNG_S, CODE_HEAD_START_MS, CODE_PREFIX, PLATFORM_CHROME, PAIRING_ERRORS, PAIRING_OVER, PASSKEY_WANTED, CHAT_ORIGIN, findMessage } = shared;

  // wa-js pins what it does not find (before 4.5.0) or gives up after 750 ms (since): it must not come before these.
  const NEEDED = ["WAWebSocketModel", "WAWebStreamModel", "WAWebCmd", "WAWebConnModel", "WAWebMsgCollection"];
  // What we use of the page itself where wa-js does not have it.
  const OWN = {
    sockets: ["WAWebLaunchSocketUtils"],
    linkEvents: ["WAWebLinkDeviceEvents", "WAWebLinkDeviceEvents"],
    reactionTable: ["WAWebAddonReactionTableMode", "reactionTableMode"],
    edits: ["WAWebUpdateEditedMessagesAction"],
    receipts: ["WAWebHandleDirectChatReceipt"],
    backend: ["WAWebBackendEventBus", "BackendEventBus"],
    getPhoneNumber: ["WAWebApiContact", "getPhoneNumber"],
    getCurrentLid: ["WAWebApiContact", "getCurrentLid"],
  };
  // What we use of wa-js, as it is looked up in WPP; `inventory` reports what is here, and PURPOSES says of each group what needs it.
  const NAMES = {
    state: ["whatsapp.Socket", "whatsapp.Stream", "conn.isAuthenticated", "conn.isRegistered"],
    send: [
      "whatsapp.MsgKey", "whatsapp.MsgStore", "whatsapp.ChatStore", "whatsapp.WidFactory", "whatsapp.UserPrefs",
      "whatsapp.functions.queryWidExists", "whatsapp.functions.findOrCreateLatestChat",
      "whatsapp.functions.addAndSendMsgToChat", "whatsapp.functions.getEphemeralFields", "chat.find", "chat.sendTextMessage",
    ],
    code: ["whatsapp.Conn", "conn.getAuthCode", "conn.refreshQR"],
    pairing: ["whatsapp.functions.initializeAltDeviceLinking", "whatsapp.functions.genLinkDeviceCodeForPhoneNumber"],
    rare: ["whatsapp.Socket.takeover", "whatsapp.Socket.logout", "conn.logout", "whatsapp.MsgStore.getMessagesById"],
  };
  const PURPOSES = {
    needed: { use: "knowing when wa-js can load", jobs: [] },
    state: { use: "state of the page", jobs: ["link", "send"] },
    send: { use: "number check, send, acks", jobs: ["send"] },
    code: { use: "login code by itself", jobs: [] },
    pairing: { use: "linking by phone number", jobs: [] },
    rare: { use: "log out, take over, recovery", jobs: [] },
  };
  // The groups without which it does not serve.
  const AWAITED = ["state", "send"];

  const POLL_MS = 100;
  const LATE_POLL_MS = 1000;
  // From here to the first word when the modules are not all there: another adapter may serve meanwhile.
  const MODULES_PATIENCE_MS = 5000;
  // All needed modules resolve: the others of their bunch come within this.
  const SETTLE_MS = 500;
  // Some do not resolve although others do and nothing more arrives: these were renamed, and wa-js may still find them.
  const RENAMED_MS = 3000;
  // From the bundle to a wa-js that works: 1 s measured, 2 s with as many modules as the real page has. A page that keeps
  // loading modules is waited for by wa-js itself for 20 s and more: then it takes over late, and another serves first.
  const READY_PATIENCE_MS = 15000;
  // Waiting for the login or the chats to come up is part of its start, and no fault of wa-js.
  const FULL_READY_MODES = ["MAIN", "QR"];
  // From a connected page to a wa-js that says that it is fully ready: at once in every measurement.
  const FULL_READY_PATIENCE_MS = 10000;
  // The message is in the page's collection within milliseconds of a hand-over. The service waits 20 s for an answer.
  const HAND_OVER_PATIENCE_MS = 10000;
  // A fresh code takes a second; wa-js waits for it without an end.
  const REFRESH_PATIENCE_MS = 3000;
  // The acknowledgement may come before the service knows the key; it is said again this much later.
  const ACK_AGAIN_MS = 300;

  const failure = (code, detail) => Object.assign(new Error(detail), { code });
  // Errors of wa-js name the chat that they are about: a number must not get into answers and logs.
  const textOf = (error) => String(error?.message ?? error).replace(/\d{5,}/g, "…");
  const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
  const late = (ms, code, detail) => sleep(ms).then(() => { throw failure(code, detail); });

  let last = "";
  const sayView = (view) => {
    const text = JSON.stringify(view);
    if (text !== last) say({ kind: "view", view });
    last = text;
  };

  // --- Before the bundle -------------------------------------------------------------------------------------------

  const isThere = (module) => Boolean(shared.required(module));
  const moduleCount = () => {
    try {
      return Object.keys(window.require("__debug").modulesMap).length;
    } catch {
      return 0;
    }
  };

  const began = Date.now();
  let count = 0;
  let changedAt = began;
  let resolvedAt = 0;
  const awaitModules = () => {
    const now = Date.now();
    const present = moduleCount();
    if (present !== count) [count, changedAt] = [present, now];
    const missing = count === 0 ? ["__debug"] : NEEDED.filter((module) => !isThere(module));
    if (missing.length === 0) resolvedAt ||= now;
    const isQuiet = (ms) => now - changedAt >= ms;
    // A busy page loads modules all the time: the needed ones being there long enough is then what counts.
    const isWhole = missing.length === 0 && (isQuiet(SETTLE_MS) || now - resolvedAt >= RENAMED_MS);
    const isRenamed = count > 0 && missing.length < NEEDED.length && isQuiet(RENAMED_MS);
    if (isWhole || isRenamed) {
      say({ kind: "wants_bundle" });
      return;
    }
    const isLate = now - began > MODULES_PATIENCE_MS;
    if (isLate) sayView({ missing });
    setTimeout(awaitModules, isLate ? LATE_POLL_MS : POLL_MS);
  };
  awaitModules();

  // --- With it -----------------------------------------------------------------------------------------------------

  const WPP = () => window.WPP;
  const lookUp = (path) => {
    try {
      return path.split(".").reduce((value, name) => value?.[name], WPP());
    } catch {
      return undefined;
    }
  };

  // Each look-up of something that is missing searches all modules, which can take a second: once, and once more when
  // wa-js is fully ready.
  const missing = { state: [], send: [] };
  const probe = () => {
    for (const group of AWAITED) missing[group] = NAMES[group].filter((path) => lookUp(path) == null);
  };

  let isLoaded = false;
  let connectedAt = 0;
  let code = null;
  let codeTimer = 0;
  let pairingCode = null;
  let hearsPairing = false;
  let screenIsStale = false;
  let announced = null;

  const isLinked = () => Boolean(WPP().conn.isAuthenticated() || WPP().conn.isRegistered());
  const me = () => WPP().whatsapp.UserPrefs?.getMaybeMePnUser?.();

  const tell = () => {
    if (!isLoaded) return;
    const view = {
      state_known: missing.state.length === 0,
      missing: [...missing.state, ...missing.send].map((path) => `WPP.${path}`),
      version: WPP().version,
    };
    if (view.state_known) {
      const { Socket: { state }, Stream: { mode } } = WPP().whatsapp;
      // `isMainReady` and `isFullReady` are true on the login screen as well: they say nothing about the state.
      view.linked = isLinked();
      view.account = view.linked ? me()?.user ?? null : null;
      view.login = !view.linked && (state === "UNPAIRED" || state === "UNPAIRED_IDLE");
      view.codes_ended = view.login && state === "UNPAIRED_IDLE";
      // After the last code of a batch Conn keeps its ref: what was built from it is worthless.
      if (view.codes_ended) code = null;
      view.code = view.login ? code : null;
      // A code ends with the connection on which it was asked for.
      if (!view.login) pairingCode = null;
      view.pairing_code = pairingCode;
      view.screen_is_stale = screenIsStale;
      view.online = view.linked && state === "CONNECTED" && mode === "MAIN";
      view.passkey = shared.passkey?.modules.view(view.linked) ?? null;
      view.trouble = announced ?? TROUBLES[state] ?? TROUBLES[mode] ?? null;
      // Receipts are only heard by a wa-js that is fully ready.
      view.can_send = missing.send.length === 0 && WPP().isFullReady;
      if (FULL_READY_MODES.includes(mode) && !WPP().isFullReady) {
        connectedAt ||= Date.now();
        if (Date.now() - connectedAt > FULL_READY_PATIENCE_MS) view.missing.push("WPP.isFullReady");
      }
    }
    view.notice = shared.notice();
    sayView(view);
  };
  shared.watchDialogs(tell);

  const buildCode = async () => {
    const built = await WPP().conn.getAuthCode();
    if (!built?.fullCode) return null;
    const parts = built.fullCode.split(",");
    // wa-js gives the four parts before the platform.
    if (parts.length === 4) parts.push(PLATFORM_CHROME);
    return CODE_PREFIX + parts.join(",");
  };
  const onRef = () => {
    code = null;
    screenIsStale = false;
    clearTimeout(codeTimer);
    codeTimer = setTimeout(async () => {
      // The page's own picture, read by the adapter "dom", is the only source when this fails.
      code = await buildCode().catch(() => null);
      tell();
    }, CODE_HEAD_START_MS);
    tell();
  };

  // The collections, by wa-js or from the page itself.
  const messages = () => WPP().whatsapp.MsgStore ?? shared.collection("Msg");
  const chatsOf = () => WPP().whatsapp.ChatStore ?? shared.collection("Chat");
  const endings = shared.endings(say);
  const { sayAck } = endings;

  const sayYoungAcks = () => {
    const since = Date.now() / 1000 - YOUNG_S;
    for (const message of messages()?.getModelsArray?.() ?? []) {
      // Zero is no news.
      if (message.t > since && message.ack > 0) sayAck(message);
    }
  };

  // wa-js begins with the newest message of the chat when it is given none.
  const find = async (chat, before, count) => WPP().chat.getMessages(chat.id, { direction: "before", count, ...(before ? { id: String(before) } : {}) });
  const hear = () => {
    if (!shared.hearing) return;
    const { WidFactory, UserPrefs, ContactStore, GroupMetadataStore, Cmd } = WPP().whatsapp;
    const own = (name) => shared.resolve(OWN[name]);
    shared.hearing.attach("wa-js", {
      createWid: WidFactory && ((text) => WidFactory.createWid(text)),
      me: UserPrefs && (() => ({ number: UserPrefs.getMaybeMePnUser(), lid: UserPrefs.getMaybeMeLidUser?.() })),
      numberOf: own("getPhoneNumber"), lidOf: own("getCurrentLid"),
      Contacts: ContactStore, Groups: GroupMetadataStore, Cmd, Backend: own("backend"), Chats: chatsOf(), find,
      reactions: own("reactionTable"), edits: own("edits"), receipts: own("receipts"),
      Messages: messages(),
    });
  };

  // Known to wa-js since 4.6.0.
  const linkEvents = () => WPP().whatsapp.LinkDeviceEvents ?? shared.resolve(OWN.linkEvents);

  const begin = () => {
    isLoaded = true;
    probe();
    const { Socket, Stream, Conn } = WPP().whatsapp;
    Socket?.on?.("change:state", tell);
    Stream?.on?.("change:mode", tell);
    messages()?.on?.("change:ack", sayAck);
    hear();
    if (shared.passkey) shared.passkey.modules.follow(linkEvents(), tell);
    else linkEvents()?.on?.(PASSKEY_WANTED, () => { announced = "PASSKEY_REQUIRED"; tell(); });
    sayYoungAcks();
    WPP().on("chat.msg_ack_change", ({ ids, ack }) => {
      for (const id of ids) {
        if (id.fromMe) say({ kind: "ack", key: id.id, ack });
        // wa-js takes the place of the function for receipts, and with it that of a script which has done so before.
        shared.hearing?.onReceipt(id, ack);
      }
    });
    WPP().on("conn.backend_event", (event) => {
      if (!TROUBLE_EVENTS[event]) return;
      announced = TROUBLE_EVENTS[event];
      tell();
    });
    if (Conn?.on) {
      Conn.on("change:ref", onRef);
      onRef();
    }
    tell();
    const awaitFullReady = () => {
      if (!WPP().isFullReady) {
        setTimeout(awaitFullReady, connectedAt ? POLL_MS : LATE_POLL_MS);
      } else if (missing.state.length + missing.send.length > 0) {
        probe();
      }
      tell();
    };
    awaitFullReady();
  };

  const addressed = (chat) => {
    const to = WPP().whatsapp.WidFactory.createWid(chat);
    const { UserPrefs } = WPP().whatsapp;
    // Sender and recipient must be addressed in one mode (wa-js 4.3.1, 4.4.0).
    const from = shared.isByLid(to, shared.isGroup(to) ? chatsOf().get(to) : undefined) ? UserPrefs.getMaybeMeLidUser() : UserPrefs.getMaybeMePnUser();
    if (!from) throw failure("NO_ACCOUNT", "no account is linked");
    return { to, from };
  };
  // The address that WhatsApp has for a number, null when it has none. A question that failed is not an answer.
  const widOf = async (to) => {
    const { functions, WidFactory } = WPP().whatsapp;
    const wid = WidFactory.createWid(`${to}@c.us`);
    let known;
    try {
      // Not WPP.contact.queryWidExists: it answers null for a network error, too.
      known = await functions.queryWidExists(wid);
    } catch (error) {
      if (error instanceof TypeError) throw error;
      throw failure("CHECK_FAILED", `the number could not be checked: ${textOf(error)}`);
    }
    // An answer of another shape says nothing about the number.
    if (known && !known.wid) throw failure("MISFIT", "the number could not be checked: WhatsApp's answer was not understood");
    return known?.wid ?? null;
  };
  const keyOf = ({ to, from }, key) =>
    new (WPP().whatsapp.MsgKey)({ from, to, id: key, selfDir: "out", ...(shared.isGroup(to) ? { participant: from } : {}) });

  // The address of a chat as it is now: it may have moved from a number to a LID. Makes the chat if there is none.
  const latestChat = async (wid) => {
    if (shared.isGroup(wid)) return (await shared.groupOf(wid, chatsOf(), WPP().whatsapp.GroupMetadataStore)).id.toString();
    const { chat: chats } = WPP();
    try {
      return (await chats.find(wid, CHAT_ORIGIN)).id.toString();
    } catch (error) {
      // Some builds answer a plain {id}, which wa-js takes for nothing: the collection has the chat all the same.
      const model = chatsOf().get(wid);
      if (!model && error instanceof TypeError) throw error;
      if (!model) throw failure("NO_CHAT", `wa-js gave no chat for this number: ${textOf(error)}`);
      return model.id.toString();
    }
  };

  // Before 4.4.0 wa-js addresses the sender by number in every chat; in a chat by LID it needs another address.
  const addressesSenderByNumber = () => {
    const [major, minor] = WPP().version.split(".").map(Number);
    return major < 4 || (major === 4 && minor < 4);
  };

  const inStore = (id) => messages().get(id) ?? messages().get(id.toString());
  // Resolves with the message once WhatsApp's collection has it; `stop` ends the watch.
  const arrival = (id) => {
    const MsgStore = messages();
    let stop;
    const arrived = new Promise((done) => {
      const look = (message) => { if (message?.id?.id === id.id) done(message); };
      MsgStore.on("add", look);
      stop = () => MsgStore.off?.("add", look);
    });
    return { arrived, stop };
  };

  const ready = () => {
    if (!isLoaded) throw failure("NOT_LOADED", "wa-js is not loaded");
    return WPP();
  };

  // The fields of a message that wa-js would make of a text alone; null when that is all that it is. Its own senders of places and
  // polls are not used: of each the id that was assigned beforehand has to survive. In a group it addresses the sender by LID always.
  const restOf = async ({ key, to, body, extras }) => {
    if (!extras) return shared.isGroup(to) ? {} : null;
    const { WidFactory } = WPP().whatsapp;
    const own = (name) => shared.resolve(OWN[name]);
    return shared.content.fields({ key, body, extras, chat: chatsOf().get(to) }, {
      createWid: (text) => WidFactory.createWid(text), numberOf: own("getPhoneNumber"), lidOf: own("getCurrentLid"), Messages: messages(),
    });
  };

  // {key, kind, mimetype, filename, filehash, bytes}: the file in the input is on WhatsApp's server when this answers. What wa-js finds of
  // the page is used, as by its own sendFileMessage; that one has the message in the store before the file is uploaded.
  const stageMedia = async (medium) => {
    const { whatsapp } = ready();
    if (!shared.media) throw failure("NO_MEDIA", "media.js is missing");
    await shared.media.stage(medium, {
      OpaqueData: lookUp("whatsapp.OpaqueData"), getOrCreateMediaObject: lookUp("whatsapp.MediaObjectUtil.getOrCreateMediaObject"), uploadMedia: whatsapp.functions?.uploadMedia,
      blobCache: lookUp("whatsapp.MediaBlobCache"), getUploadLimit: lookUp("whatsapp.MediaGatingUtils.getUploadLimit"),
    });
  };

  // What the functions for messages that are there get of the page. Not wa-js's own editMessage: it dates an edit in seconds where
  // milliseconds are meant, so one that follows another is dropped as the older one.
  const pageOf = () => {
    const { whatsapp } = ready();
    const { functions, UserPrefs, WidFactory, ChatPresence, Cmd, Socket } = whatsapp;
    const own = (name) => shared.resolve(OWN[name]);
    return {
      createWid: (text) => WidFactory.createWid(text), widOf, latestChat, numberOf: own("getPhoneNumber"), lidOf: own("getCurrentLid"), Messages: messages(),
      Chats: chatsOf(), me: () => ({ number: UserPrefs.getMaybeMePnUser(), lid: UserPrefs.getMaybeMeLidUser?.() }), find, Cmd,
      isConnected: Socket && (() => Socket.state === "CONNECTED"),
      found: { react: functions.sendReactionToMsg, canEditText: functions.canEditMsg, canEditCaption: functions.canEditCaption, sendSeen: functions.sendSeen, presence: ChatPresence },
    };
  };
  const after = (name) => (ask) => {
    if (!shared.after) throw failure("NO_AFTER", "after.js is missing");
    return shared.after[name](ask, pageOf());
  };

  // {key, chat, message_id, body, extras?} -> {key, message_id}. A plain error only while certainly nothing was handed over. Takes
  // nothing under another id than the one given: the service may have made it without asking.
  const handOver = async ({ key, chat, message_id, body, extras }) => {
    const { whatsapp, chat: chats } = ready();
    const ends = addressed(chat);
    const id = keyOf(ends, key);
    if (id.toString() !== message_id || (await latestChat(ends.to)) !== chat) throw failure("MOVED", "the chat has another address by now");
    const options = {
      messageId: id, createChat: true,
      linkPreview: false, markIsRead: false, detectMentioned: false,
      // Not waited for here: wa-js tells the result only to those who ask for it, and has no limit for it.
      waitForAck: true,
    };
    const rest = await restOf({ key, to: ends.to, body, extras });
    const { arrived, stop } = arrival(id);
    try {
      const sent = rest || (ends.to.isLid() && addressesSenderByNumber())
        ? chats.sendRawMessage(ends.to, { type: "chat", body, subtype: null, urlText: null, urlNumber: null, ...rest, from: ends.from }, options)
        : chats.sendTextMessage(ends.to, body, options);
      sent.then(
        (told) => {
          const word = told?.sendMsgResult?.messageSendResult;
          if (word && !(inStore(id)?.ack > 0)) endings.result(key, word);
        },
        // An error may be wa-js's own, about a message that is on its way: the page itself has to say that it has failed.
        (error) => { if (inStore(id)?.isSendFailure) endings.result(key, shared.wordOf(error)); },
      );
      // The id was chosen here: the message in the collection is the proof, and wa-js may never resolve.
      await Promise.race([sent, arrived, late(HAND_OVER_PATIENCE_MS, "IN_DOUBT", "wa-js did not say whether WhatsApp took the message")]);
    } catch (error) {
      // A message goes into the collection before it travels: what never was in it was not sent.
      const wasSeen = await Promise.race([arrived, Promise.resolve(inStore(id))]);
      if (error?.code === "IN_DOUBT" || wasSeen) throw failure("IN_DOUBT", "WhatsApp took the message and then reported an error");
      throw failure("NOT_HANDED", `wa-js refused: ${textOf(error)}`);
    } finally {
      stop();
    }
    setTimeout(() => sayAck(inStore(id)), ACK_AGAIN_MS);
    return { key, message_id: id.toString() };
  };

  return {
    // Sets what wa-js reads when it starts; answers whether it may be injected. A second WPP would double every event.
    configure: () => {
      if (window.WPP) return false;
      window.WPPConfig = { disableGoogleAnalytics: true, linkPreviewApiServers: [] };
      return true;
    },

    // Waits for the injected library, and goes on doing so after it has complained.
    async loaded() {
      const end = Date.now() + READY_PATIENCE_MS;
      const isReady = async () => {
        for (;;) {
          if (WPP()?.isReady) return begin();
          await sleep(Date.now() > end ? LATE_POLL_MS : POLL_MS);
        }
      };
      await Promise.race([
        isReady(),
        late(READY_PATIENCE_MS, "NOT_READY", `wa-js ${WPP()?.version ?? ""} did not become ready within ${READY_PATIENCE_MS / 1000} s`),
      ]);
    },

    // {to: digits} -> {chat}, null when the number is not on WhatsApp.
    async checkNumber({ to }) {
      ready();
      return { chat: (await widOf(to))?.toString() ?? null };
    },

    // {message_id, key} -> {ack}, null when WhatsApp's store does not have it. Not WPP.chat.getMessageById: it throws for
    // "not there" and for "could not look" alike.
    async lookUp({ message_id, key }) {
      const { UserPrefs, WidFactory } = ready().whatsapp;
      const from = UserPrefs.getMaybeMePnUser() ?? UserPrefs.getMaybeMeLidUser();
      const idIn = (chat) => keyOf({ to: WidFactory.createWid(chat), from }, key).toString();
      const message = await findMessage(messages(), chatsOf(), { message_id, key }, idIn);
      return { ack: message ? message.ack ?? 0 : null };
    },

    // {chat, asks, own}: begins new Signal sessions.
    resetSessions: shared.resetSessions,

    // {key, to: digits, chat: known or null} -> {message_id, chat}. Looks up, sends nothing.
    async prepare({ key, to, chat: known }) {
      const { whatsapp } = ready();
      const wid = known ? whatsapp.WidFactory.createWid(known) : await widOf(to);
      if (!wid) throw failure("NOT_ON_WHATSAPP", "the number is not on WhatsApp");
      const chat = await latestChat(wid);
      return { message_id: keyOf(addressed(chat), key).toString(), chat };
    },

    stageMedia,

    handOver,
    handOverWithExtras: handOver,

    prepareAfter: after("prepare"),
    handOverAfter: after("handOver"),
    lookUpAfter: after("lookUp"),
    inChat: after("inChat"),

    dismissNotice: shared.dismissNotice,

    async refreshCodes() {
      const { conn } = ready();
      const asked = Promise.resolve().then(() => conn.refreshQR());
      try {
        await Promise.race([asked, late(REFRESH_PATIENCE_MS, "NO_REFRESH", "wa-js gave no fresh code")]);
      } catch (error) {
        // Since August 2026 there are builds without Cmd.refreshQR, which wa-js calls.
        const sockets = shared.resolve(OWN.sockets);
        if (!sockets) throw failure("NO_REFRESH", `wa-js: ${textOf(error)}`);
        await sockets.refreshQR();
      }
    },

    // {phone: digits, renewal}. The code goes out with the view. What WPP.conn.genLinkDeviceCodeForPhoneNumber calls, whose
    // own arguments change with its version; its managed twin (since 4.6.0) renews 15 s later than codes end.
    async requestPairingCode({ phone, renewal }) {
      const { whatsapp } = ready();
      const { initializeAltDeviceLinking, genLinkDeviceCodeForPhoneNumber } = whatsapp.functions;
      if (!initializeAltDeviceLinking || !genLinkDeviceCodeForPhoneNumber) throw failure("NO_PAIRING", "wa-js does not find genLinkDeviceCodeForPhoneNumber");
      if (!hearsPairing) {
        for (const event of PAIRING_OVER) linkEvents()?.on?.(event, () => { pairingCode = null; tell(); });
        hearsPairing = true;
      }
      pairingCode = null;
      await initializeAltDeviceLinking();
      // It makes a new secret: the code to scan is built again, and the one on the screen is useless until the next.
      code = await buildCode().catch(() => null);
      screenIsStale = true;
      tell();
      try {
        pairingCode = await genLinkDeviceCodeForPhoneNumber(phone, !renewal);
      } catch (error) {
        const name = error?.type?.name;
        throw failure(PAIRING_ERRORS[name] ?? "PAIRING_FAILED", name ?? textOf(error));
      }
      tell();
    },

    // {act}, a step of linking with a passkey, for which wa-js has no functions: the page's own are called.
    async passkey(step) {
      ready();
      if (!shared.passkey) throw failure("NO_PASSKEY_ACTION", "passkey.js is missing");
      await shared.passkey.modules.run(step);
    },

    takeOver: async () => {
      const { whatsapp } = ready();
      if (typeof whatsapp.Socket?.takeover !== "function") throw failure("NO_TAKEOVER", "WPP.whatsapp.Socket.takeover is missing");
      await whatsapp.Socket.takeover();
    },

    logOut: () => {
      const { conn, whatsapp } = ready();
      if (typeof whatsapp.Socket?.logout !== "function") throw failure("NO_LOGOUT", "WPP.whatsapp.Socket.logout is missing");
      // The page goes away with it, and with the page this call's answer.
      setTimeout(() => Promise.resolve(conn.logout()).catch(() => {}), 0);
    },

    // The bytes of what comes in.
    ...shared.mediaIn?.commands({ messages: () => (isLoaded ? messages() : null), page: pageOf, blobOf: (msg) => WPP().chat.downloadMedia(String(msg.id)) }),

    // What the page has of what this adapter relies on; of wa-js only once that is loaded, and then at once.
    inventory: () => {
      const { names, line, taken } = shared.inventory;
      const ofPage = names({ needed: NEEDED.map((module) => [module]), code: OWN }, PURPOSES);
      const bound = (group) => NAMES[group].map((path) =>
        line({ kind: "function", ...PURPOSES[group], homes: [{ name: `WPP.${path}`, isThere: () => lookUp(path) != null }] }));
      const lines = [...ofPage, ...(shared.passkey?.inventory() ?? []), ...(shared.content?.inventory() ?? []), ...(shared.mediaIn?.inventory() ?? []), ...(shared.media?.inventory() ?? []), ...(shared.after?.inventory() ?? []), ...(shared.reading?.inventory() ?? []), ...(isLoaded ? Object.keys(NAMES).flatMap(bound) : [])];
      return taken(() => lines, 0);
    },
  };
})
