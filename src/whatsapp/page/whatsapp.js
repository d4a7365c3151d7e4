// What more than one adapter knows of WhatsApp Web: words that the modules and wa-js show alike, and what both do with its
// collections. An expression, handed to each adapter as its second argument. docs/whatsapp.md has the sources.
({
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
      const other = chat.id?.isGroup?.() ? id : idIn(String(chat.id));
      if (other !== id) elsewhere.push(other);
    }
    for (let at = 0; at < elsewhere.length; at += 200) {
      const moved = await stored(elsewhere.slice(at, at + 200));
      if (moved) return moved;
    }
    return null;
  },
  // The end of a pairing code, as the page hears it from its server.
  PAIRING_OVER: [
    "link_device_events:refresh_alt_linking_code",
    "link_device_events:force_manual_refresh",
    "link_device_events:error_alt_linking",
  ],
})
