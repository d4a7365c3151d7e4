// The adapter "dom": what a person sees. Reads state, code and ticks from landmarks of the screen, and tells the service
// where to click and what stands where; the service clicks and types with real input events (typing.rs). A command here
// looks and waits; none writes into the page, whose editor throws out what no input event brought.
//
// It relies on (LANDMARKS, STATUSES; docs/whatsapp.md#the-screen has their sources; where a landmark has moved, the new place is
// looked at first and the old one second):
//   the route /send?phone=<digits>          opens the chat with a number, at the price of reloading the page
//   [data-ref], the login landmarks         the code and the login screen
//   the screens behind it                   linking by phone number: its field, which takes digits, its button, and
//                                           data-link-code
//   #pane-side                              the chat list: linked; what stands beside it is where the banner appears
//   #main, its header and its footer        the open chat, the compose box (contenteditable) and the send button's icon
//   [data-id], [data-testid^="conv-msg-"]   bubbles: the message's key, in older builds its full id
//   svg titles, [data-testid="msg-meta"]    how far an own message has got; only own bubbles say so
//   [role="dialog"]                         what covers the page
//   [data-testid="shortcake_passkey_screen"] the phone wants a passkey
// No class name. Texts (TEXTS, three languages) only where the page has no landmark: the dialog about an unknown number,
// how far a message has got, the banner of a lost connection, notices of a ban, a passkey, another window, an old browser.
// In another language an unknown number is a failed check, a delivered message may count as sent and a read one as delivered,
// and a lost connection does not show.
//
// Why the route, and not the search box or "new chat": those are found by texts, list contacts and groups besides, and
// leave the page as it was. A document that was loaded for a number has no other chat open, no half-written text on the
// screen and no forgotten dialog. Its address stays known (performance navigation entry) when the page rewrites its own.
//
// To mend a moved landmark: copy this file into PAGE_SCRIPTS_DIR, change it, restart the session.
(function dom(say, shared) {
  "use strict";

  // Each is one selector, or several, of which the first that finds something counts.
  const LANDMARKS = {
    // The element around the picture carries the code's text.
    code: "[data-ref]",
    // The login screen, with or without a code on it.
    login: '[data-testid="link-device-qr-code"], canvas[aria-label*="Scan"], [data-testid^="link-device-qrcode-alt-linking"], [data-ref], [data-testid="link-device-phone-number-entry-screen"], [data-link-code], [data-testid="link_device_qr_phone_number_link"], [data-testid="shortcake_passkey_screen"]',
    // The phone wants a passkey. The screen has no role, until an error stands on it.
    passkey: '[data-testid="shortcake_passkey_screen"]',
    // Its buttons, and the code that a person compares with the phone's.
    passkeyBegin: '[data-testid="shortcake_passkey_continue_button"]',
    passkeyCode: '[data-testid="shortcake_verification_code_display"]',
    passkeyConfirm: '[data-testid="shortcake_code_confirm_button"]',
    passkeyGiveUp: '[data-testid="shortcake_cancel_button"]',
    // The way from the code to the number. The old id lives on, on a link to a page of help: only a button is meant.
    byNumber: [
      '[data-testid="link_device_qr_phone_number_link"]',
      'button[data-testid="link-device-qrcode-alt-linking-hint"], [role="button"][data-testid="link-device-qrcode-alt-linking-hint"]',
    ],
    // From the number to its code; where there is none, Enter does it.
    next: '[data-testid="link-device-phone-number-entry-next-button"]',
    // Linking by phone number: the field for the number, what it says of a wrong one, the code, whose characters stand in it.
    numberField: 'input[data-testid="phone-number-input"], input[data-testid="link-device-phone-number-input"], [data-testid="link-device-phone-number-entry-screen"] input',
    numberTrouble: "#link-device-phone-number-entry-screen-error",
    pairingCode: "[data-link-code]",
    // Shown when the codes of a batch have run out.
    refresh: '[data-testid="link_device_qr_expired_refresh_button"]',
    chats: shared.CHATS,
    // The picture before anything else.
    splash: "#wa_web_initial_startup",
    // The open chat and its parts. The compose box is the only editable part of a chat's footer.
    chat: "#main",
    header: "#main header",
    bubble: '#main [data-id], #main [data-testid^="conv-msg-"]',
    box: ['#main footer [data-testid="conversation-compose-box-input"]', '#main footer [contenteditable="true"]'],
    sendIcon: ['#main footer [data-testid="wds-ic-send-filled"]', '#main footer [data-icon="wds-ic-send-filled"], #main footer [data-icon="send"]'],
    dialog: '[role="dialog"]',
    notice: '[role="dialog"], [role="alert"]',
    // Inside a bubble: its time and status; what says that it is the account's own.
    meta: '[data-testid="msg-meta"]',
    ownMark: '[data-testid="tail-out"], [data-icon="tail-out"]',
  };
  // On which screen each landmark stands, what it is needed for, and which jobs fail without it: for `inventory`. Some screens come
  // only when something has happened: these are reported when they are there, and are not missed.
  const SCREENS = [
    { on: "login", use: "login screen and its code", jobs: ["link"], landmarks: ["login", "code"] },
    { on: "login", use: "linking by phone number", jobs: [], landmarks: ["byNumber"] },
    { on: "number", use: "linking by phone number", jobs: [], landmarks: ["numberField", "next"] },
    { on: "pairing", use: "linking by phone number", jobs: [], landmarks: ["pairingCode"] },
    { on: "trouble", use: "linking by phone number", jobs: [], landmarks: ["numberTrouble"] },
    { on: "start", use: "state of the page", jobs: [], landmarks: ["splash"] },
    { on: "ended codes", use: "fresh login codes", jobs: [], landmarks: ["refresh"] },
    { on: "passkey", use: "linking with a passkey", jobs: [], landmarks: ["passkey", "passkeyGiveUp"] },
    { on: "passkey to sign", use: "linking with a passkey", jobs: [], landmarks: ["passkeyBegin"] },
    { on: "passkey to confirm", use: "linking with a passkey", jobs: [], landmarks: ["passkeyCode", "passkeyConfirm"] },
    { on: "chats", use: "state of the page", jobs: ["link", "send"], landmarks: ["chats"] },
    { on: "chat", use: "opening a chat, typing", jobs: ["send"], landmarks: ["chat", "header", "box"] },
    { on: "own message", use: "finding the sent message", jobs: ["send"], landmarks: ["bubble"] },
    { on: "own message", use: "acks", jobs: [], landmarks: ["meta", "ownMark"] },
    { on: "typed text", use: "send button, else Enter", jobs: [], landmarks: ["sendIcon"] },
    { on: "dialog", use: "what covers the page", jobs: [], landmarks: ["dialog", "notice"] },
  ];
  // An icon is named by the title of its picture, or by an attribute.
  const SEND_ICON = "wds-ic-send-filled";
  // What the icons of a message say at the least: a build was seen whose single tick is named "delivered" and whose grey double
  // one "read". The label beside them is sure, where its language is known.
  const STATUSES = {
    "wds-ic-pending": 0, "wds-ic-sent": 1, "wds-ic-delivered": 1, "wds-ic-read": 2,
    "msg-time": 0, "msg-check": 1, "msg-dblcheck": 2,
  };
  const FAILED_ICON = "message-fail";
  const KEY = /^[0-9A-Za-z]{16,40}$/;
  // Compared in lower case; each is a list of words that all occur.
  const TEXTS = {
    notConnected: { en: ["computer not connected"], es: ["computadora sin conexión"], pt: ["computador sem conexão"] },
    phoneAway: { en: ["phone not connected"], es: ["teléfono sin conexión"], pt: ["telefone sem conexão"] },
    connecting: { en: ["connecting"], es: ["conectando"], pt: ["conectando"] },
    openElsewhere: { en: ["use here"], es: ["usar aquí"], pt: ["usar nesta janela"] },
    banned: { en: ["temporarily banned"], es: ["suspendida temporalmente"], pt: ["temporariamente banida"] },
    passkey: { en: ["passkey"], es: ["llave de acceso"], pt: ["chave de acesso"] },
    tooMany: { en: ["too many attempts"], es: ["demasiados intentos"], pt: ["muitas tentativas"] },
    updateBrowser: { en: ["update", "chrome"], es: ["actualiz", "chrome"], pt: ["atualize", "chrome"] },
  };

  // The labels of a status, whole: by acknowledgement.
  const LABELS = {
    pending: 0, sent: 1, delivered: 2, read: 3,
    pendiente: 0, enviado: 1, entregado: 2, leído: 3,
    pendente: 0, enviada: 1, entregue: 2, lida: 3,
  };

  // A heavy page changes hundreds of times while it loads: it is looked at once it has paused that long.
  const PAUSE_MS = 50;
  // The page stores a message before it sends it, and both take a second at most: a reload after that loses nothing, for
  // the page sends again what the server has not taken.
  const TAKEN_MS = 5000;
  // The head of a chat and its bubbles come with its box, or one answer of the server later.
  const PROOF_MS = 5000;
  // A failed opening is followed by the next address within milliseconds.
  const LEFT_ALONE_MS = 3000;
  // The editor shows what was typed one render later.
  const TYPED_MS = 2000;
  // A bubble is there at once; a page busy with its own start-up can take seconds for it.
  const BUBBLE_MS = 10000;
  // The service learns a message's key from the answer to `sent`: a tick that was quicker is reported again.
  const RETELL_MS = [200, 1000, 3000];
  // A bubble of a long text is cut ("read more"); that much of it is always there.
  const SHOWN_CHARACTERS = 200;
  // Each screen of the login is there a moment after the click that leads to it, and after a reload within seconds.
  const SCREEN_MS = 10000;
  // A pairing code is one answer of WhatsApp's server away.
  const PAIRING_MS = 15000;
  // Shorter figures are times, dates and counts.
  const SHORTEST_NUMBER = 7;

  const find = (landmark) => {
    for (const selector of [LANDMARKS[landmark]].flat()) {
      const found = document.querySelector(selector);
      if (found) return found;
    }
    return null;
  };
  const all = (landmark) => [...document.querySelectorAll(LANDMARKS[landmark])];
  const failure = (code, detail) => Object.assign(new Error(detail), { code });
  const says = (text, meaning) => {
    const lower = text.toLowerCase();
    return Object.values(TEXTS[meaning]).some((words) => words.every((word) => lower.includes(word)));
  };

  // The text of an element as a person would copy it: an emoji may be a picture, a line a paragraph. Each block ends with a
  // line break that was not typed, if it ends with one.
  const textOf = (root) => {
    let text = "";
    for (const child of root.childNodes) {
      if (child.nodeType === Node.TEXT_NODE) text += child.data;
      else if (child.nodeName === "BR") text += "\n";
      else if (child.nodeName === "IMG") text += child.alt;
      else if (child instanceof HTMLElement) {
        if (["P", "DIV"].includes(child.nodeName) && child.previousSibling) text += "\n";
        text += textOf(child);
      }
    }
    return ["SPAN", "STRONG", "EM", "DEL", "CODE"].includes(root.nodeName) ? text : text.replace(/\n$/, "");
  };

  // The pictures inside an element that are named so by title or attribute.
  const iconsIn = (element) => [
    ...[...element.querySelectorAll("svg title")].map((title) => title.textContent.trim()),
    ...[...element.querySelectorAll("[data-icon]")].map((icon) => icon.getAttribute("data-icon")),
  ];

  const { isUnknownNumber } = shared;
  const isLinked = () => Boolean(find("chats"));
  const isLogin = () => !isLinked() && Boolean(find("login") ?? find("refresh"));
  // The banner stands somewhere around the list of chats, and never in it, where texts are other people's.
  const isOnline = () => {
    const around = [...(find("chats")?.parentElement?.children ?? [])].filter((element) => !element.matches(LANDMARKS.chats));
    const text = around.map((element) => element.textContent).join("\n");
    // Where the real page has its banner is not known; where none is seen, the list of chats is all that is known.
    return !["notConnected", "phoneAway", "connecting"].some((meaning) => says(text, meaning));
  };

  // Read only where no person's words can stand: in notices, and on a page that is not otherwise known.
  const troubleOf = (isKnown) => {
    const notices = all("notice").map((notice) => notice.textContent).join("\n");
    if (says(notices, "openElsewhere")) return "OPENED_ELSEWHERE";
    if (says(notices, "banned")) return "TEMPORARILY_BANNED";
    // The page's own screen for it is a way to go on.
    if (find("passkey") ? !shared.passkey : says(notices, "passkey")) return "PASSKEY_REQUIRED";
    return !isKnown && says(document.body?.textContent ?? "", "updateBrowser") ? "UPDATE_REQUIRED" : null;
  };

  // A, B, C … as the page writes its cells.
  const pairingCode = () => find("pairingCode")?.getAttribute("data-link-code")?.replace(/[^0-9A-Z]/gi, "") || null;
  const digitsOf = (text) => text.replace(/\D/g, "");

  const isDisabled = (button) => button.disabled || button.getAttribute("aria-disabled") === "true";
  // How far linking with a passkey has got, as in passkey.js; null while it is not wanted.
  const passkeyView = () => {
    const screen = find("passkey");
    if (!screen || !shared.passkey) return null;
    const [begin, code, confirm] = ["passkeyBegin", "passkeyCode", "passkeyConfirm"].map(find);
    if (code) {
      const isAsked = confirm && !isDisabled(confirm);
      return { step: isAsked ? "compare" : "linking", code: isAsked ? code.textContent.replace(/[^0-9A-Z]/gi, "") : null };
    }
    // Neither a button nor a code: it waits for the phone.
    if (!begin) return { step: "phone" };
    if (isDisabled(begin)) return { step: "busy" };
    const alert = screen.querySelector('[role="alert"]');
    return { step: "wanted", word: (alert && shared.wordsOf(alert)) || null };
  };

  // A notice that only wants to be closed is named by its first words; what asks something may name a person.
  const nameOf = (dialog) => (shared.isNotice(dialog) ? `the dialog "${shared.wordsOf(dialog)}"` : "a dialog");

  let lastView = "";
  const tellView = () => {
    const linked = isLinked();
    const login = isLogin();
    const codes_ended = login && Boolean(find("refresh"));
    const covers = linked ? all("dialog").filter((dialog) => !isUnknownNumber(dialog)) : [];
    const isCovered = covers.length > 0;
    const view = {
      state_known: linked || login || Boolean(find("splash")),
      linked,
      login,
      codes_ended,
      pairing_code: login ? pairingCode() : null,
      code: login && !codes_ended ? find("code")?.getAttribute("data-ref") || null : null,
      // The page shows its own number nowhere but in its settings.
      account: null,
      online: linked && isOnline(),
      can_send: linked && !isCovered,
      passkey: login ? passkeyView() : null,
      trouble: troubleOf(linked || login || Boolean(find("splash"))),
      notice: shared.notice(),
      missing: covers.slice(0, 1).map((dialog) => `a page without ${nameOf(dialog)} on it`),
    };
    const text = JSON.stringify(view);
    if (text !== lastView) say({ kind: "view", view });
    lastView = text;
  };

  // Older builds: true_<chat>_<key>, with the author behind it in groups. Newer ones: the key alone, by either of two
  // attributes; the chat is then known from the route.
  const idOf = (bubble) => bubble.getAttribute("data-id") ?? bubble.getAttribute("data-testid").replace(/^conv-msg-/, "");
  const partsOf = (bubble) => {
    const [side, chat, key] = idOf(bubble).split("_");
    return key === undefined ? { key: side, chat: null, own: null } : { key, chat, own: side === "true" };
  };
  const keyOf = (bubble) => partsOf(bubble).key;
  // A bubble may carry both attributes on two elements, one inside the other: the outer one counts.
  const bubbles = () => {
    const byKey = new Map();
    for (const bubble of all("bubble")) {
      const key = keyOf(bubble);
      if (KEY.test(key) && !byKey.has(key)) byKey.set(key, bubble);
    }
    return [...byKey.values()];
  };
  // How far a message has got, below zero when it was given up, null when its bubble does not say: then it is not an own one.
  const statusOf = (bubble) => {
    if (iconsIn(bubble).includes(FAILED_ICON) || bubble.querySelector(`[data-testid="${FAILED_ICON}"]`)) return -1;
    const meta = bubble.querySelector(LANDMARKS.meta) ?? bubble;
    const least = iconsIn(meta).map((icon) => STATUSES[icon]).find((status) => status !== undefined);
    const labels = [...meta.querySelectorAll("[aria-label]")].map((element) => element.getAttribute("aria-label").trim().toLowerCase());
    const labelled = labels.map((label) => LABELS[label]).find((status) => status !== undefined);
    return labelled ?? least ?? null;
  };
  const isOwn = (bubble) => partsOf(bubble).own ?? (statusOf(bubble) !== null || Boolean(bubble.querySelector(LANDMARKS.ownMark)));
  const owns = () => bubbles().filter(isOwn);
  const lastOwn = () => bubbles().findLast(isOwn);
  const ackOf = (bubble) => statusOf(bubble) ?? 0;
  const fullId = (bubble) => (partsOf(bubble).chat ? idOf(bubble) : `true_${routed()}@c.us_${keyOf(bubble)}`);
  const told = new Map();
  // Zero is no news, and could arrive after better ones of another adapter.
  const tellAck = (bubble, again) => {
    const key = keyOf(bubble);
    const ack = ackOf(bubble);
    if (!key || ack === 0 || (!again && told.get(key) === ack)) return;
    told.set(key, ack);
    say({ kind: "ack", key, ack, ...(ack < 0 && { word: FAILED_ICON }) });
  };

  // The chat that is open: by its bubbles, or by a header that is a number. One that is headed by a name is not known.
  const openChat = () => {
    const named = bubbles().map((bubble) => partsOf(bubble).chat).find(Boolean);
    if (named) return named;
    const [number] = numbersInHeader();
    return number ? `${number}@c.us` : null;
  };
  const writtenIn = (bubble) => {
    const copy = bubble.cloneNode(true);
    for (const other of copy.querySelectorAll(`${LANDMARKS.meta}, svg, [aria-hidden="true"]`)) other.remove();
    return textOf(copy).trim();
  };
  // What is drawn when a chat is opened was said before; what is drawn after that is new.
  let shownChat = null;
  const shown = new Map();
  const hearScreen = () => {
    if (!shared.hearing || !isLinked()) return;
    shared.hearing.watchesScreen("dom");
    const chat = openChat();
    const isNew = chat === shownChat;
    if (!isNew) shown.clear();
    shownChat = chat;
    for (const bubble of bubbles()) {
      const [key, own] = [keyOf(bubble), isOwn(bubble)];
      const ack = own ? ackOf(bubble) : 1;
      const before = shown.get(key);
      if (before === ack) continue;
      shown.set(key, ack);
      // An own one that was being sent when the chat was opened is news once it is sent.
      if (chat && (isNew || (own && ack <= 0))) shared.hearing.onScreen("dom", { key, chat, isOwn: own, text: writtenIn(bubble), ack });
    }
  };

  let timer = 0;
  const later = () => {
    timer ||= setTimeout(() => {
      timer = 0;
      tellView();
      for (const bubble of owns()) tellAck(bubble, false);
      hearScreen();
    }, PAUSE_MS);
  };
  const CHANGES = {
    subtree: true,
    childList: true,
    characterData: true,
    attributes: true,
    attributeFilter: ["data-ref", "data-testid", "data-link-code", "data-id", "data-icon", "aria-label", "aria-disabled", "disabled", "id", "role", "hidden"],
  };
  new MutationObserver(later).observe(document, CHANGES);
  later();
  shared.watchDialogs(later);
  shared.passkey?.onRequest(tellView);

  // Waits until `look` finds something; null when it has not by then.
  const until = (look, ms) =>
    new Promise((resolve) => {
      let end = 0;
      const observer = new MutationObserver(() => settle(look()));
      const settle = (found, isLate) => {
        if (!found && !isLate) return;
        observer.disconnect();
        clearTimeout(end);
        resolve(found || null);
      };
      observer.observe(document, CHANGES);
      end = setTimeout(() => settle(look(), true), ms);
      settle(look());
    });

  // Where to click: the middle of an element, provided that a click there would reach it.
  const target = (element, name) => {
    element?.scrollIntoView({ block: "nearest" });
    const { x, y, width, height } = element?.getBoundingClientRect() ?? {};
    if (!width || !height) throw failure("NOT_THERE", `the page shows no ${name}`);
    const point = { x: x + width / 2, y: y + height / 2 };
    const hit = document.elementFromPoint(point.x, point.y);
    if (!element.contains(hit)) throw failure("COVERED", `something covers the ${name}`);
    return point;
  };

  const home = () => new URL("/", location.href).href;

  // The number that this document was loaded for; no later change of the address hides it.
  const routed = () => {
    const [entry] = performance.getEntriesByType("navigation");
    const { pathname, searchParams } = new URL(entry?.name ?? location.href, location.href);
    return pathname.endsWith("/send") ? searchParams.get("phone") : null;
  };

  // Whether a text is a phone number and nothing else: digits and what may stand between them, marks of direction included.
  const numberIn = (text) => {
    const digits = text.replace(/\D/g, "");
    const rest = text.replace(/[\d\s+().\-\u2010-\u2015\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "");
    return rest === "" && digits.length >= SHORTEST_NUMBER ? digits : null;
  };
  const numbersInHeader = () => {
    const header = find("header");
    const elements = header ? [header, ...header.querySelectorAll("*")] : [];
    return elements.flatMap((element) => [element.getAttribute("title") ?? "", element.textContent].map(numberIn).filter(Boolean));
  };
  // Why the open chat is not proven to be the one with `to`; empty when it is. The route says what was asked for; only the
  // header, or in older builds the chat's own ids, say what was opened. A chat by LID under a saved name shows neither: refused.
  const doubt = (to) => {
    if (routed() !== to) return "the page was not opened for this number";
    if (!find("chat") || !find("header")) return "no chat is open";
    const chats = bubbles().map((bubble) => partsOf(bubble).chat ?? "").filter((chat) => chat.includes("@"));
    if (chats.some((chat) => !/@(c\.us|lid)$/.test(chat))) return "the open chat is not one with a person";
    const byNumber = chats.filter((chat) => chat.endsWith("@c.us")).map((chat) => chat.replace(/[:@].*$/, ""));
    const shown = [...numbersInHeader(), ...byNumber];
    if (shown.some((number) => number !== to)) return "the open chat shows another number";
    return shown.length ? "" : "the open chat does not show its number, so it may be another one";
  };
  const demandChat = (to) => {
    const why = doubt(to);
    if (why) throw failure("NOT_PROVEN", `${why}; nothing was sent`);
    const cover = find("dialog");
    if (cover) throw failure("COVERED", "a dialog covers the chat; nothing was sent");
  };
  const demandBox = () => {
    const box = find("box");
    if (!box) throw failure("NO_BOX", "the open chat has no box to type into; nothing was sent");
    return box;
  };

  // What a bubble shows of a text: marks become bold and slanted type, and white space at the ends is cut off.
  const bare = (text) => {
    const packed = text.replace(/[\s\ufe0f]/g, "");
    return packed.replace(/[*_~`>]/g, "") || packed;
  };
  const sendIcon = () => {
    const titled = () => [...document.querySelectorAll("#main footer svg title")].find((title) => title.textContent.trim() === SEND_ICON);
    return find("sendIcon") ?? titled()?.closest("svg") ?? null;
  };
  const shows = (bubble, body) => bare(textOf(bubble)).includes([...bare(body)].slice(0, SHOWN_CHARACTERS).join(""));

  // The number that the code's screen was asked for with, in this document.
  let pairedWith = null;
  const screen = (phone) => {
    if (find("dialog")) return "other";
    if (find("numberField")) return "number";
    if (find("pairingCode")) return pairedWith === phone ? "code" : "other";
    // Without code or field the hint leads back from the code's screen, where the page is about to show another code.
    if (pairedWith) return pairedWith === phone ? "code" : "other";
    return find("code") ?? find("refresh") ? "scan" : null;
  };

  return {
    // {screens: those that the page is known to show, within_ms} -> what the page has of what this adapter relies on.
    inventory: ({ screens, within_ms }) => {
      const { line, taken } = shared.inventory;
      const lineOf = (landmark, { on, use, jobs }) => {
        const homes = [LANDMARKS[landmark]].flat().map((selector) => ({ name: selector, isThere: () => Boolean(document.querySelector(selector)) }));
        const { status, at } = line({ homes });
        const isUnseen = status === "missing" && !screens.includes(on);
        return { kind: "landmark", name: landmark, status: isUnseen ? "unseen" : status, at, use, jobs, screen: on };
      };
      return taken(() => SCREENS.flatMap((screen) => screen.landmarks.map((landmark) => lineOf(landmark, screen))), within_ms);
    },

    // The key of the last message of the open chat, from either side; null when none is shown.
    lastKey: () => {
      const last = bubbles().at(-1);
      return last ? keyOf(last) : null;
    },

    // {phone: digits} -> which screen of the login is there, once one is.
    pairingScreen: async ({ phone }) => (await until(() => screen(phone), SCREEN_MS)) ?? "other",

    // Where to click to link by phone number.
    byNumberTarget: () => target(find("byNumber"), "way to link by phone number"),

    // Where to click to type the number.
    numberField: async () => target(await until(() => find("numberField"), SCREEN_MS), "field for the phone number"),

    // {phone}: the field holds exactly the number. Answers where to click for its code, null where Enter does it.
    numberTyped: async ({ phone }) => {
      const isTyped = () => digitsOf(find("numberField")?.value ?? "") === phone;
      if (!(await until(isTyped, TYPED_MS))) throw failure("NOT_TYPED", "the field does not hold the phone number");
      pairedWith = phone;
      return find("next") ? target(find("next"), "button that leads on") : null;
    },

    // {phone} once the page shows its code, or an error that says why not.
    pairingAnswer: async ({ phone }) => {
      const look = () => (find("dialog") ? "notice" : find("numberTrouble") ? "trouble" : pairingCode() && pairedWith === phone && "code");
      const end = await until(look, PAIRING_MS);
      if (end === "code") return;
      pairedWith = null;
      if (end === "trouble") throw failure("PAIRING_REFUSED", "the page takes this for no phone number");
      if (end !== "notice") throw failure("PAIRING_FAILED", "the page showed no code");
      const isLimit = all("dialog").some((dialog) => says(dialog.textContent, "tooMany"));
      throw failure(isLimit ? "PAIRING_RATE_LIMITED" : "PAIRING_REFUSED", "the page shows a notice instead of a code");
    },

    dismissNotice: shared.dismissNotice,

    // Where a person would click for fresh codes: {x, y} in the window.
    refreshTarget: () => target(find("refresh"), "button for fresh codes"),

    // {act} -> where to click for a step of linking with a passkey.
    passkeyTarget: ({ act }) => {
      const landmark = { begin: "passkeyBegin", confirm: "passkeyConfirm", give_up: "passkeyGiveUp" }[act];
      return target(find(landmark), "button for this step of linking with a passkey");
    },

    // {to: digits} -> {url}: the address that opens the chat, once leaving this page loses nothing.
    route: async ({ to }) => {
      const isTaken = () => {
        const last = lastOwn();
        return !last || ackOf(last) !== 0;
      };
      await until(isTaken, TAKEN_MS);
      // By now the service knows the key of the last message, and no later tick of it will be seen.
      const last = lastOwn();
      if (last) tellAck(last, true);
      return { url: new URL(`/send?phone=${to}`, location.href).href };
    },

    // {to, within_ms} -> {chat}, once the chat is open and proven to be the one asked for.
    opened: async ({ to, within_ms }) => {
      const look = () => {
        if (all("dialog").some(isUnknownNumber)) return "unknown";
        return isLogin() ? "login" : find("box") && !find("dialog") && "open";
      };
      const end = await until(look, within_ms);
      if (end === "unknown") throw failure("NOT_ON_WHATSAPP", "the number is not on WhatsApp");
      if (end === "login") throw failure("NOT_LINKED", "the page asks for a scan");
      if (end && (await until(() => !doubt(to), PROOF_MS))) return { chat: `${to}@c.us` };
      // A page left with a dialog on it could not be used any more. The service leaves it at once, unless it waits no more.
      setTimeout(() => location.replace(home()), LEFT_ALONE_MS);
      const cover = find("dialog") && "a dialog that is not known covers the page";
      throw failure("NOT_OPENED", `the chat was not opened: ${cover || doubt(to)}; nothing was sent`);
    },

    // The address of the page with no chat open.
    home: () => ({ url: home() }),

    // Where to click to close the dialog about an unknown number: its last button.
    dialogTarget: () => {
      const dialog = all("dialog").find(isUnknownNumber);
      return target([...(dialog?.querySelectorAll('button, [role="button"]') ?? [])].pop(), "button to close the dialog");
    },

    // {chat, asks, own}: begins new Signal sessions, where the page's modules can be reached. The screen shows nothing of them.
    resetSessions: shared.resetSessions,

    // {to} -> the compose box of the proven chat: {x, y, is_empty, is_focused}.
    box: ({ to }) => {
      demandChat(to);
      const box = demandBox();
      return { ...target(box, "compose box"), is_empty: textOf(box) === "", is_focused: box.contains(document.activeElement) };
    },

    // {to, body} -> where to click to send, {x, y, known}, once the box holds exactly the text; without a place where the
    // page shows no button for it: Enter sends too. `known`: keys of own bubbles.
    ready: async ({ to, body }) => {
      const isTyped = () => textOf(demandBox()) === body;
      const icon = await until(() => isTyped() && sendIcon(), TYPED_MS);
      demandChat(to);
      if (!isTyped()) throw failure("NOT_TYPED", "the compose box does not hold exactly the text; nothing was sent");
      const known = owns().map(keyOf);
      if (!icon) return { known };
      return { ...target(icon.closest('button, [role="button"]') ?? icon, "send button"), known };
    },

    // {known, body} -> {key, message_id} of the bubble that the click made. The last one only: older ones may still be loading.
    sent: async ({ known, body }) => {
      const before = new Set(known);
      const look = () => {
        const last = lastOwn();
        const isNew = last && !before.has(keyOf(last)) && shows(last, body);
        const box = find("box");
        return isNew && box && textOf(box) === "" && last;
      };
      const bubble = await until(look, BUBBLE_MS);
      if (!bubble) throw failure("IN_DOUBT", "the page did not show the message after the click on its send button");
      const key = keyOf(bubble);
      const retell = () => {
        const shown = owns().find((own) => keyOf(own) === key);
        if (shown) tellAck(shown, true);
      };
      for (const ms of RETELL_MS) setTimeout(retell, ms);
      return { key, message_id: fullId(bubble) };
    },
  };
})
