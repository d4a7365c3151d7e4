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

// The dialog that an account must answer after linking: else WhatsApp logs it out minutes later (OpenWA #982). In another
// language than these it is answered by its module only.
const WHATS_NEW = ["what's new", "novedades", "hay de nuevo", "novidades", "há de novo"];
// Its title stands first.
const TITLE_CHARACTERS = 60;
const DIALOGS = '[role="dialog"], [data-testid="confirm-popup"]';
const isWhatsNew = (dialog) => {
  const text = dialog.textContent.trim().slice(0, TITLE_CHARACTERS).toLowerCase().replaceAll("’", "'");
  return text.includes("whatsapp") && WHATS_NEW.some((words) => text.includes(words));
};
const isLinkedPage = () => Boolean(document.querySelector("#pane-side") ?? required("WAWebUserPrefsMeUser")?.getMaybeMePnUser?.());
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
    const days = required("WAWebWhatsNewGatingUtils")?.getWhatsNewAutoModalCooldownDays?.();
    const nux = required("WAWebWhatsNewNux")?.createWhatsNewNux(days);
    if (!nux) return;
    if (nux.shouldShow()) nux.dismiss();
    isAnswered = !nux.shouldShow();
  } catch {
    // Its preferences cannot be written yet, or the module has changed: its button is left.
  }
};
const closeByButton = (dialog) => {
  const buttons = [...dialog.querySelectorAll('button, [role="button"]')];
  // The last one with words on it goes on; the other is a cross.
  (buttons.findLast((button) => /\p{L}/u.test(button.textContent)) ?? buttons.at(-1))?.click();
};
let closing = null;
const answerWhatsNew = () => {
  if (!isLinkedPage()) return;
  if (!isAnswered && performance.now() - askedAt >= ASK_AGAIN_MS) {
    askedAt = performance.now();
    answerByModule();
  }
  const dialogs = [...document.querySelectorAll(DIALOGS)].filter((dialog) => !dialog.parentElement?.closest(DIALOGS));
  const shown = dialogs.find(isWhatsNew);
  if (!shown || shown === closing) return;
  closing = shown;
  // The manager closes whatever is on top.
  if (dialogs.length === 1) required("WAWebModalManager")?.ModalManager?.close?.();
  setTimeout(() => {
    closing = null;
    if (shown.isConnected) closeByButton(shown);
  }, CLOSED_MS);
};
let isWatching = false;

// Results of a send after which the message may still go out.
const NOT_FINAL = ["ERROR_NETWORK"];
// Acknowledgements below zero (WAWebAck).
const GIVEN_UP = {
  "-1": "FAILED", "-2": "EXPIRED", "-3": "CONTENT_GONE", "-4": "CONTENT_TOO_BIG", "-5": "CONTENT_UNUPLOADABLE", "-6": "INACTIVE", "-7": "MD_DOWNGRADE",
};
// Result and acknowledgement come in either order; and the service has the key by then.
const WORD_MS = 300;
const LONGEST_WORD = 80;

// What begins new Signal sessions: what we call -> [module, export]. WhatsApp Web's own job for bots does it in these steps
// (WAWebMetaAiBotSessionCleanupJob).
const SIGNAL = {
  createWid: ["WAWebWidFactory", "createWid"],
  getFanOutList: ["WAWebDBDeviceListFanout", "getFanOutList"],
  deleteRemoteSession: ["WAWebSignalSessionApi", "deleteRemoteSession"],
  getSignalProtocolStore: ["WAWebSignalProtocolStore", "getSignalProtocolStore"],
};
// Modules may come late; a page that is older than this has those that it has.
const SIGNAL_LATE_MS = 5000;
const SIGNAL_LOOK_MS = 200;
const cannotReset = (detail) => Object.assign(new Error(detail), { code: "NO_RESET" });
const signal = async () => {
  for (;;) {
    const found = Object.entries(SIGNAL).map(([name, [module, key]]) => [name, required(module)?.[key]]);
    const missing = found.filter(([, value]) => typeof value !== "function").map(([name]) => SIGNAL[name].join("."));
    if (missing.length === 0) return Object.fromEntries(found);
    if (performance.now() > SIGNAL_LATE_MS) throw cannotReset(`WhatsApp Web has no ${missing.join(", ")}`);
    await new Promise((done) => setTimeout(done, SIGNAL_LOOK_MS));
  }
};
const ownWids = () => {
  const me = required("WAWebUserPrefsMeUser");
  return [me?.getMaybeMePnUser?.(), me?.getMaybeMeLidUser?.()];
};
// A person is addressed by number or by LID, with Signal sessions of their own for each. A number that was typed may not be
// the one that the account is registered by.
const widsOf = async (chat, isAsked, createWid) => {
  const wid = createWid(chat);
  const asked = isAsked ? (await required("WAWebQueryExistsJob")?.queryWidExists?.(wid))?.wid : null;
  const { getCurrentLid, getPhoneNumber } = required("WAWebApiContact") ?? {};
  const other = (known) => (known.isLid?.() ? getPhoneNumber?.(known) : getCurrentLid?.(known));
  const known = [wid, asked].filter(Boolean);
  return [...known, ...known.map(other)];
};

return {
  SIGNAL,
  // {chat, asks, own}: deletes the Signal sessions with all devices of a recipient, or with the account's own other devices. The
  // page's next message to each begins a new one, which the other side accepts. Answers once that is on disk; may be repeated.
  // `asks`: the chat is no more than the number that was typed.
  async resetSessions({ chat, asks, own }) {
    const { createWid, getFanOutList, deleteRemoteSession, getSignalProtocolStore } = await signal();
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
    const left = await required("WAWebSignalSessionApi").hasSignalSessions?.([...devices.values()]);
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
  // What findOrCreateLatestChat wants to know: for what a chat is made. Other origins are refused or reported (wa-js #3573).
  CHAT_ORIGIN: "createChat",
  // Where the page says that the phone wants a passkey.
  PASSKEY_WANTED: "link_device_events:passkey_prologue_request",
  // The collections, when their own modules are gone: all in one (whatsapp-web.js, WAHA).
  collection: (name) => required("WAWebCollections")?.[name],
  // Answers the dialog "What's new" as long as the page lives. Called by each adapter; one watch is enough.
  watchWhatsNew() {
    if (isWatching) return;
    isWatching = true;
    let timer = 0;
    const later = () => {
      timer ||= setTimeout(() => {
        timer = 0;
        answerWhatsNew();
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
