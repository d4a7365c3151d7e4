// What more than one adapter knows of WhatsApp Web: words that the modules and wa-js show alike, and what both do with its
// collections and notices. An expression, handed to each adapter as its second argument. docs/whatsapp.md has the sources.
(() => {
"use strict";

const required = (module) => {
  try {
    return window.require(module);
  } catch {
    return undefined; // The loader throws for a module that it does not have.
  }
};

// A home is where something lives: [module, export], or [module] for a module's default export; then, for a collection, its
// name in the module of all collections. An export may be a path, "Socket.logout". What has moved between builds has a list of homes.
const COLLECTIONS = "WAWebCollections";
const homesOf = (entry) => {
  const homes = Array.isArray(entry[0]) ? entry : [entry];
  return homes.flatMap(([module, name, collection]) => [[module, name], ...(collection ? [[COLLECTIONS, collection]] : [])]);
};
const nameOf = ([module, name]) => (name ? `${module}.${name}` : module);
const inModule = ([module, path]) => {
  const exports = required(module);
  try {
    return path ? path.split(".").reduce((value, name) => value?.[name], exports) : exports?.default ?? exports;
  } catch {
    return undefined; // A property may throw as well.
  }
};
// What lives there now; undefined when no home has it.
const resolve = (entry) => {
  for (const home of homesOf(entry)) {
    const found = inModule(home);
    if (found !== undefined && found !== null) return found;
  }
  return undefined;
};

// Lines of an inventory (see `inventory` below). What is found at another home than its first has moved.
const lineOf = ({ kind, use, jobs, homes }) => {
  const at = homes.findIndex(({ isThere }) => isThere());
  const status = ["missing", "found"][at + 1] ?? "moved";
  return { kind, name: homes[0].name, status, at: at > 0 ? homes[at].name : null, use, jobs };
};
const lineOfName = (entry, purpose) => {
  const homes = homesOf(entry);
  // A module that is gone takes all its exports along.
  const kind = homes[0][1] && required(homes[0][0]) ? "export" : "module";
  return lineOf({ ...purpose, kind, homes: homes.map((home) => ({ name: nameOf(home), isThere: () => (inModule(home) ?? null) !== null })) });
};

// What all adapters rely on.
const NAMES = {
  whatsNew: {
    me: ["WAWebUserPrefsMeUser", "getMaybeMePnUser"],
    cooldown: ["WAWebWhatsNewGatingUtils", "getWhatsNewAutoModalCooldownDays"],
    createNux: ["WAWebWhatsNewNux", "createWhatsNewNux"],
    modals: ["WAWebModalManager", "ModalManager"],
  },
  // What begins new Signal sessions. WhatsApp Web's own job for bots does it in these steps (WAWebMetaAiBotSessionCleanupJob).
  signal: {
    createWid: ["WAWebWidFactory", "createWid"],
    getFanOutList: ["WAWebDBDeviceListFanout", "getFanOutList"],
    deleteRemoteSession: ["WAWebSignalSessionApi", "deleteRemoteSession"],
    getSignalProtocolStore: ["WAWebSignalProtocolStore", "getSignalProtocolStore"],
  },
  // Whose sessions these are, and whether they are gone: what of it is there is used.
  signalMore: {
    hasSignalSessions: ["WAWebSignalSessionApi", "hasSignalSessions"],
    getMaybeMeLidUser: ["WAWebUserPrefsMeUser", "getMaybeMeLidUser"],
    queryWidExists: ["WAWebQueryExistsJob", "queryWidExists"],
    getCurrentLid: ["WAWebApiContact", "getCurrentLid"],
    getPhoneNumber: ["WAWebApiContact", "getPhoneNumber"],
  },
};
const PURPOSES = {
  whatsNew: { use: "the dialog What's new", jobs: [] },
  signal: { use: "sends after a restore", jobs: ["reset"] },
  signalMore: { use: "sends after a restore", jobs: [] },
};
const linesOf = (table, purposes) => Object.entries(table).flatMap(([group, names]) => Object.values(names).map((entry) => lineOfName(entry, purposes[group])));
// The list of chats, which arrives last.
const CHATS = "#pane-side";

// The dialog that an account must answer after linking: else WhatsApp logs it out minutes later (OpenWA #982). Its button
// has a name that is the same in every language (page modules, WAWebWhatsNewModal.react); the words are for a build without it.
const WHATS_NEW_BUTTON = '[data-testid="whats_new_continue_button"]';
const WHATS_NEW = ["what's new", "novedades", "hay de nuevo", "novidades", "há de novo"];
// Its title stands first.
const TITLE_CHARACTERS = 60;
const DIALOGS = '[role="dialog"], [data-testid="confirm-popup"]';
const isWhatsNew = (dialog) => {
  if (dialog.querySelector(WHATS_NEW_BUTTON)) return true;
  const text = dialog.textContent.trim().slice(0, TITLE_CHARACTERS).toLowerCase().replaceAll("’", "'");
  return text.includes("whatsapp") && WHATS_NEW.some((words) => text.includes(words));
};
const topDialogs = () => [...document.querySelectorAll(DIALOGS)].filter((dialog) => !dialog.parentElement?.closest(DIALOGS));
const buttonsOf = (dialog) => [...dialog.querySelectorAll('button, [role="button"]')];
// What a person fills in or chooses: a dialog with any of it asks something.
const CHOICES = 'input, select, textarea, [contenteditable="true"], [role="checkbox"], [role="radio"], [role="switch"], [role="textbox"], [role="option"]';
// A dialog that only wants to be closed.
const isNotice = (dialog) => buttonsOf(dialog).length === 1 && !dialog.querySelector(CHOICES);
// The dialog of the route to a number that has no account: each list of words occurs as a whole.
const UNKNOWN_NUMBER = [["phone number", "url", "invalid"], ["número de teléfono", "url", "no es válid"], ["número de telefone", "url", "inválido"]];
const isUnknownNumber = (dialog) => {
  const text = dialog.textContent.toLowerCase();
  return UNKNOWN_NUMBER.some((words) => words.every((word) => text.includes(word)));
};
// The length of what is reported of an unknown notice.
const FIRST_WORDS = 60;
// Figures that are long enough for a phone number are left out.
const wordsOf = (dialog) => {
  const words = dialog.innerText.replace(/\s+/g, " ").replace(/\d{5,}/g, "…").trim();
  return words.length > FIRST_WORDS ? `${words.slice(0, FIRST_WORDS)}…` : words;
};
// What covers the chats and is not known, the topmost last.
const unknownDialogs = () =>
  (isLinkedPage() ? topDialogs() : []).filter((dialog) => dialog.checkVisibility() && !isWhatsNew(dialog) && !isUnknownNumber(dialog));
// The first words of the notice over the chats; null when none is there. What asks something may name a person.
const notice = () => {
  const top = unknownDialogs().at(-1);
  return top && isNotice(top) ? wordsOf(top) : null;
};
// From the press of its button to a dialog that is gone.
const DISMISSED_MS = 2000;
const isLinkedPage = () => Boolean(document.querySelector(CHATS) ?? resolve(NAMES.whatsNew.me)?.());
// From the word of its module to a dialog that is gone.
const CLOSED_MS = 500;
// A heavy page changes hundreds of times while it loads: it is looked at once it has paused that long.
const LOOK_MS = 200;

// Modules may come late: its own is asked for again, and not at each change of the page.
const ASK_AGAIN_MS = 2000;

let isAnswered = false;
let askedAt = -ASK_AGAIN_MS;
// Answered before it is shown, it never is (WAHA c9ac14e1).
const answerByModule = () => {
  try {
    const days = resolve(NAMES.whatsNew.cooldown)?.();
    const nux = resolve(NAMES.whatsNew.createNux)?.(days);
    if (!nux) return;
    if (nux.shouldShow()) nux.dismiss();
    isAnswered = !nux.shouldShow();
  } catch {
    // Its preferences cannot be written yet, or the module has changed: its button is left.
  }
};
const closeByButton = (dialog) => {
  const buttons = buttonsOf(dialog);
  // The last one with words on it goes on; the other is a cross.
  (dialog.querySelector(WHATS_NEW_BUTTON) ?? buttons.findLast((button) => /\p{L}/u.test(button.textContent)) ?? buttons.at(-1))?.click();
};
let closing = null;
const answerWhatsNew = () => {
  if (!isLinkedPage()) return;
  if (!isAnswered && performance.now() - askedAt >= ASK_AGAIN_MS) {
    askedAt = performance.now();
    answerByModule();
  }
  const dialogs = topDialogs();
  const shown = dialogs.find(isWhatsNew);
  if (!shown || shown === closing) return;
  closing = shown;
  // The manager closes whatever is on top.
  if (dialogs.length === 1) resolve(NAMES.whatsNew.modals)?.close?.();
  setTimeout(() => {
    closing = null;
    if (shown.isConnected) closeByButton(shown);
  }, CLOSED_MS);
};
let isWatching = false;
let lastNotice = null;
const whenNoticed = new Set();

// Results of a send after which the message may still go out.
const NOT_FINAL = ["ERROR_NETWORK"];
// Acknowledgements below zero (WAWebAck).
const GIVEN_UP = {
  "-1": "FAILED", "-2": "EXPIRED", "-3": "CONTENT_GONE", "-4": "CONTENT_TOO_BIG", "-5": "CONTENT_UNUPLOADABLE", "-6": "INACTIVE", "-7": "MD_DOWNGRADE",
};
// Result and acknowledgement come in either order; and the service has the key by then.
const WORD_MS = 300;
const LONGEST_WORD = 80;

// Modules may come late; a page that is older than this has those that it has.
const SIGNAL_LATE_MS = 5000;
const SIGNAL_LOOK_MS = 200;
const cannotReset = (detail) => Object.assign(new Error(detail), { code: "NO_RESET" });
const signal = async () => {
  for (;;) {
    const found = Object.entries(NAMES.signal).map(([name, home]) => [name, resolve(home)]);
    const missing = found.filter(([, value]) => typeof value !== "function").map(([name]) => nameOf(NAMES.signal[name]));
    if (missing.length === 0) return Object.fromEntries(found);
    if (performance.now() > SIGNAL_LATE_MS) throw cannotReset(`WhatsApp Web has no ${missing.join(", ")}`);
    await new Promise((done) => setTimeout(done, SIGNAL_LOOK_MS));
  }
};
const ownWids = () => [NAMES.whatsNew.me, NAMES.signalMore.getMaybeMeLidUser].map((home) => resolve(home)?.());
// A person is addressed by number or by LID, with Signal sessions of their own for each. A number that was typed may not be
// the one that the account is registered by.
const widsOf = async (chat, isAsked, createWid) => {
  const [asks, getCurrentLid, getPhoneNumber] = ["queryWidExists", "getCurrentLid", "getPhoneNumber"].map((name) => resolve(NAMES.signalMore[name]));
  const wid = createWid(chat);
  // A question that failed is no answer: the same may work in a moment.
  const failed = () => { throw Object.assign(new Error("the number could not be checked"), { code: "NO_ANSWER" }); };
  const asked = isAsked && asks ? (await asks(wid).catch(failed))?.wid : null;
  const other = (known) => (known.isLid?.() ? getPhoneNumber?.(known) : getCurrentLid?.(known));
  const known = [wid, asked].filter(Boolean);
  return [...known, ...known.map(other)];
};

return {
  // {chat, asks, own}: deletes the Signal sessions with all devices of a recipient, or with the account's own other devices. The
  // page's next message to each begins a new one, which the other side accepts. Answers once that is on disk; may be repeated.
  // `asks`: the chat is no more than the number that was typed.
  async resetSessions({ chat, asks, own }) {
    const { createWid, getFanOutList, deleteRemoteSession, getSignalProtocolStore } = await signal();
    // Its messages are encrypted with a key of the sender's for the whole group, which these functions do not renew.
    if (!own && createWid(chat).isGroup?.()) throw cannotReset("no way is known to renew the keys of a group");
    const wids = (own ? ownWids() : await widsOf(chat, asks, createWid)).filter(Boolean);
    if (wids.length === 0) throw cannotReset("WhatsApp Web does not say which account it has");
    const devices = new Map();
    for (const wid of wids) {
      // Hosted devices get messages of this very chat.
      const list = await getFanOutList({ wids: [wid], shouldMergeAltDevices: true, chatWidSetToIncludeHostedInFanoutOneToOneChatOnly: wid });
      for (const device of list) devices.set(String(device), device);
    }
    await Promise.all([...devices.values()].map((device) => deleteRemoteSession(device)));
    // Until then it is in memory only, and a Chrome that is killed has the old ones again. Older builds have no such buffer.
    await getSignalProtocolStore().flushBufferToDiskIfNotMemOnlyMode?.();
    const left = await resolve(NAMES.signalMore.hasSignalSessions)?.([...devices.values()]);
    if (left?.some(Boolean)) throw cannotReset("WhatsApp Web still has the old Signal sessions after it deleted them");
  },
  // What keeps the page from working, by the state of the socket or the mode of the stream.
  TROUBLES: {
    CONFLICT: "OPENED_ELSEWHERE",
    DEPRECATED_VERSION: "UPDATE_REQUIRED",
    TOS_BLOCK: "TERMS_BLOCKED",
    SMB_TOS_BLOCK: "TERMS_BLOCKED",
    PROXYBLOCK: "PROXY_BLOCKED",
  },
  // The same, as events of the page's back end. They are said once and hold for the life of the document.
  TROUBLE_EVENTS: {
    account_temporarily_banned: "TEMPORARILY_BANNED",
    storage_initialization_error: "STORAGE_ERROR",
  },
  // A page that reloaded itself in the middle of a send may hear how far the message got before an adapter listens: what
  // is that young is reported again. No caller waits longer for an answer.
  YOUNG_S: 15 * 60,
  // The code is read from the screen if it is there; one that is built waits that long for it.
  CODE_HEAD_START_MS: 700,
  // Since May 2026 the code is a link that a phone's camera opens too (whatsmeow 876de1e9).
  CODE_PREFIX: "https://wa.me/settings/linked_devices#",
  PLATFORM_CHROME: "1",
  // What WhatsApp's server says instead of a pairing code (WASmaxInMdIqMixinErrors); the rest is no word on the number.
  PAIRING_ERRORS: {
    IQErrorBadRequest: "PAIRING_REFUSED",
    IQErrorForbidden: "PAIRING_REFUSED",
    IQErrorFeatureNotAvailable: "PAIRING_REFUSED",
    IQErrorRateOverlimit: "PAIRING_RATE_LIMITED",
  },
  // Finds an own message in WhatsApp's store, null when it is not there. `idIn` gives its full id in a chat: a chat may have
  // moved from a number to a LID since, and then only the inner id is still the same. A collection holds what was looked at
  // lately; the rest is asked of the page's database (whatsapp-web.js 1.34 finds messages so).
  async findMessage(messages, chats, { message_id: id, key }, idIn) {
    if (typeof messages.getMessagesById !== "function") throw Object.assign(new Error("MsgCollection.getMessagesById is missing"), { code: "NO_LOOK_UP" });
    const isMeant = (message) => message?.id?.fromMe && message.id.id === key;
    const here = messages.get(id) ?? messages.getModelsArray?.().find(isMeant);
    if (here) return here;
    const stored = async (ids) => (await messages.getMessagesById(ids))?.messages?.find(isMeant);
    const found = await stored([id]);
    if (found) return found;
    const elsewhere = [];
    for (const chat of chats.getModelsArray()) {
      // Only chats with people. A look at the status updates of others can end a link (OpenWA #1072).
      if (!/@(c\.us|lid|g\.us)$/.test(String(chat.id))) continue;
      const other = chat.id?.isGroup?.() ? id : idIn(String(chat.id));
      if (other !== id) elsewhere.push(other);
    }
    for (let at = 0; at < elsewhere.length; at += 200) {
      const moved = await stored(elsewhere.slice(at, at + 200));
      if (moved) return moved;
    }
    return null;
  },
  // Which message is meant. Its last part alone does not tell: the sender chooses it, so anybody may write a message whose last part is
  // that of another one, in any chat with this account.
  messages: {
    // The parts of a full id: whose message, in which chat, its inner id, and in a group who wrote it. Of an inner id alone: that.
    partsOf(id) {
      const [side, chat, key, author] = String(id).split("_");
      return key ? { isOwn: side === "true", chat, key, author } : { key: side };
    },
    // The other address of a person, as far as the page knows it. A group has none, and these functions of the page may throw for one.
    otherOf(wid, page) {
      if (String(wid).endsWith("@g.us")) return undefined;
      return wid.isLid?.() ? page.numberOf?.(wid) : page.lidOf?.(wid);
    },
    // By each name that a chat or a person has.
    addressesOf(address, page) {
      return [address, this.otherOf(page.createWid(address), page)].filter(Boolean).map(String);
    },
    // Whether an id of the page's is that of this message, as far as more than its inner id is known of it. `chats` are addresses of the
    // chat, a Set. Own messages have this account as their author, by either of its addresses.
    isIdOf({ key, isOwn, author, chats }, page) {
      return (each) => {
        if (each?.id !== key || !chats.has(String(each.remote))) return false;
        if (isOwn !== undefined && Boolean(each.fromMe) !== isOwn) return false;
        const { author: by } = this.partsOf(each);
        return isOwn || !author || !by || this.addressesOf(author, page).includes(by);
      };
    },
  },
  // What findOrCreateLatestChat wants to know: for what a chat is made. Other origins are refused or reported (wa-js #3573).
  CHAT_ORIGIN: "createChat",
  // Where the page says that the phone wants a passkey.
  PASSKEY_WANTED: "link_device_events:passkey_prologue_request",
  isGroup: (wid) => Boolean(wid?.isGroup?.()),
  // How this chat addresses its senders; of a group, by its model. WhatsApp's own module for it is WAWebLidMigrationUtils
  // (getMeUserLidOrJidForChat).
  isByLid: (wid, group) => Boolean(wid.isLid?.() || group?.groupMetadata?.isLidAddressingMode),
  // The chat of a group that the account is in and may write to. Its metadata may not be loaded yet: the keys and members that a
  // message needs come with it (wa-js, chat.find).
  async groupOf(wid, chats, groups) {
    const chat = chats.get(wid);
    const refusal = (detail) => Object.assign(new Error(detail), { code: "NOT_IN_GROUP" });
    if (!chat || chat.isReadOnly === true) throw refusal("the account is not in this group");
    // The community itself has no members to read it; its announcement group has.
    if (chat.isParentGroup === true) throw refusal("this is a community: write to one of its groups");
    if (!chat.groupMetadata?.participants?.length) await groups?.find?.(wid);
    return chat;
  },
  // The collections, when their own modules are gone: all in one (whatsapp-web.js, WAHA).
  collection: (name) => inModule([COLLECTIONS, name]),
  // What lives at a home, and what its home is called.
  resolve,
  nameOf: (entry) => nameOf(homesOf(entry)[0]),
  CHATS,
  // What an adapter relies on, for a person who wants to know what a new page has of it (`session-manager probe`). Each line is
  // {kind, name, status, at, use, jobs}: status is found, moved (then `at` has its present home), missing, or unseen where the page
  // does not show it now; jobs are those that fail without it, link and send.
  inventory: {
    names: linesOf,
    line: lineOf,
    // Looks until nothing is missing that a job needs, for so long; answers with it what is known of the page itself.
    async taken(look, within_ms) {
      const all = () => {
        const lines = look();
        const isListed = ({ name }) => lines.some((line) => line.name === name);
        return [...lines, ...linesOf(NAMES, PURPOSES).filter((line) => !isListed(line))];
      };
      const end = performance.now() + within_ms;
      let lines = all();
      while (lines.some(({ status, jobs }) => status === "missing" && jobs.length > 0) && performance.now() < end) {
        await new Promise((done) => setTimeout(done, LOOK_MS));
        lines = all();
      }
      return { build: window.Debug?.VERSION ?? null, language: document.documentElement.lang || null, lines };
    },
  },
  isUnknownNumber,
  isNotice,
  wordsOf,
  notice,
  // {words}: presses the only button of the notice with these first words, and of no other dialog.
  async dismissNotice({ words }) {
    const refusal = (code, detail) => Object.assign(new Error(detail), { code });
    const top = unknownDialogs().at(-1);
    if (!top) throw refusal("NO_NOTICE", "no notice lies over the chats");
    if (!isNotice(top)) throw refusal("NOTICE_WITH_CHOICE", "the dialog over the chats asks something");
    if (wordsOf(top) !== words) throw refusal("NO_NOTICE", "another notice lies over the chats by now");
    buttonsOf(top)[0].click();
    const end = Date.now() + DISMISSED_MS;
    while (top.isConnected && top.checkVisibility()) {
      if (Date.now() > end) throw refusal("NOTICE_STAYS", "the notice stays although its button was pressed");
      await new Promise((done) => setTimeout(done, 50));
    }
  },
  // Answers the dialog "What's new" as long as the page lives, and calls `noticed` when another notice lies over the chats or
  // none does any more. Called by each adapter; one watch is enough.
  watchDialogs(noticed) {
    whenNoticed.add(noticed);
    if (isWatching) return;
    isWatching = true;
    let timer = 0;
    const later = () => {
      timer ||= setTimeout(() => {
        timer = 0;
        answerWhatsNew();
        const shown = notice();
        if (shown === lastNotice) return;
        lastNotice = shown;
        for (const noticed of whenNoticed) noticed();
      }, LOOK_MS);
    };
    new MutationObserver(later).observe(document, { subtree: true, childList: true });
    later();
  },
  // WhatsApp gives a message up by an acknowledgement below zero, by a result that is not OK, by a promise that rejects, or by
  // several of these: it is said once, with the word that says most. ERROR_NETWORK is no end: WhatsApp's own code calls it not
  // terminal and leaves the message its clock, so it may still go out. Answers {sayAck(message), result(key, word)}.
  endings(say) {
    const words = new Map();
    const told = new Set();
    const tell = (key, ack) => {
      if (told.has(key)) return;
      told.add(key);
      say({ kind: "ack", key, ack, word: words.get(key) ?? GIVEN_UP[ack] ?? String(ack) });
    };
    return {
      // How far an own message has got.
      sayAck(message) {
        if (!message?.id?.fromMe || typeof message.ack !== "number") return;
        const { id: { id: key }, ack } = message;
        if (ack < 0) setTimeout(() => tell(key, ack), WORD_MS);
        else say({ kind: "ack", key, ack });
      },
      result(key, word) {
        if (word === "OK" || NOT_FINAL.includes(word)) return;
        words.set(key, word);
        setTimeout(() => tell(key, -1), WORD_MS);
      },
    };
  },
  NOT_FINAL,
  // A module of the page; undefined when it is not there.
  required,
  // What the page says of an error, without whom it is about.
  wordOf: (error) => String(error?.message || error?.name || error).replace(/\d{5,}/g, "…").slice(0, LONGEST_WORD),
  // The end of a pairing code, as the page hears it from its server.
  PAIRING_OVER: [
    "link_device_events:refresh_alt_linking_code",
    "link_device_events:force_manual_refresh",
    "link_device_events:error_alt_linking",
  ],
};
})()
