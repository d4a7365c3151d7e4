// What a message says beside a plain text, in the words of WhatsApp Web: an answer, mentions, a medium, a place, contact cards, a poll. The
// adapters find the page's objects and give them to `fields`; the fields do not depend on which adapter it was.
// docs/whatsapp.md#sending-more-than-text has the source of each fact used here.
//
// Not responsible for who sends to whom, nor for handing a message over: that is each adapter's own. Called by the frame (bridge.js) as
// (content)(shared), with what all adapters share.
(function content(shared) {
  "use strict";

  const { resolve, nameOf, messages } = shared;

  const NAMES = {
    content: {
      canReply: ["WAWebMsgReply", "canReplyMsg"],
      mediaType: ["WAWebBackendJobsCommon", "mediaTypeFromProtobuf"],
      typeAttribute: ["WAWebE2EProtoUtils", "typeAttributeFromProtobuf"],
    },
  };
  const PURPOSES = { content: { use: "answers and places", jobs: [] } };

  const failure = (code, detail) => Object.assign(new Error(detail), { code });
  // The ids that the message to answer may have in this chat, whose address may be another one by now.
  const idsOf = (quote, chat) => {
    const { isOwn, chat: before, key, author } = messages.partsOf(quote);
    const tail = author ? `_${author}` : "";
    const sides = isOwn === undefined ? [true, false] : [isOwn];
    const here = sides.map((side) => `${side}_${chat}_${key}${tail}`);
    return before && before !== chat ? [...here, quote] : here;
  };

  // The message that is to be answered. The collection holds what was looked at lately; the rest is asked of the page's database.
  const quoted = async (quote, chat, page) => {
    const meant = messages.partsOf(quote);
    const here = String(chat.id);
    const chats = new Set([here, meant.chat].filter(Boolean).flatMap((each) => messages.addressesOf(each, page)));
    // A look at the status updates of others can end a link (OpenWA #1072).
    if (meant.chat && !messages.addressesOf(here, page).includes(meant.chat) && !messages.addressesOf(meant.chat, page).includes(here)) return null;
    const isIdOf = messages.isIdOf({ ...meant, chats }, page);
    const isMeant = (message) => isIdOf(message?.id);
    const held = page.Messages.getModelsArray?.().filter(isMeant) ?? [];
    if (meant.chat && held.length > 0) return held[0];
    // By its inner id alone it may be more than one message, and neither is meant more than the other one.
    const stored = (await page.Messages.getMessagesById?.(idsOf(quote, here)))?.messages?.filter(isMeant) ?? [];
    const found = new Map([...stored, ...held].map((message) => [`${Boolean(message.id.fromMe)} ${messages.partsOf(message.id).author ?? ""}`, message]));
    return found.size === 1 ? [...found.values()][0] : null;
  };
  const answerTo = async (quote, chat, page) => {
    const message = await quoted(quote, chat, page);
    const canReply = resolve(NAMES.content.canReply);
    const plain = message?.unsafe?.() ?? message;
    if (!message || (canReply && !canReply(plain))) throw failure("NO_QUOTE", "the message to answer is not in this chat, or cannot be answered");
    if (typeof message.msgContextInfo !== "function") throw failure("NO_CONTENT", "WhatsApp Web does not say what an answer carries of a message (msgContextInfo)");
    return message.msgContextInfo(chat.id);
  };

  // In a chat by LID the mentioned are addressed by LID, and the text names them so: phones show the name that belongs to it.
  const mentioned = (numbers, body, isByLid, page) => {
    let text = body;
    const wids = numbers.map((number) => {
      const wid = page.createWid(`${number}@c.us`);
      const lid = isByLid ? page.lidOf?.(wid) : undefined;
      // Not a longer number that begins with the same digits.
      if (lid) text = text.replace(new RegExp(`@${number}(?!\\d)`, "g"), `@${lid.user}`);
      return lid ?? wid;
    });
    return { body: text, mentionedJidList: wids };
  };

  // What a message is encoded as follows from these two functions of the page. Of a location they say that it is a medium, which the
  // server does not take from a page (wa-js, sendLocationMessage).
  const LOCATION_IS = { mediaType: null, typeAttribute: "text" };
  const teachLocations = () => {
    for (const [name, answer] of Object.entries(LOCATION_IS)) {
      const [module, exported] = NAMES.content[name];
      const exports = shared.required(module);
      const original = exports?.[exported];
      if (typeof original !== "function") throw failure("NO_CONTENT", `WhatsApp Web has no ${nameOf(NAMES.content[name])}`);
      if (original({ locationMessage: {} }) === answer) continue;
      exports[exported] = function asked(proto, ...rest) {
        return proto?.locationMessage ? answer : original.call(this, proto, ...rest);
      };
    }
  };
  const place = ({ latitude, longitude, name, address }) => {
    teachLocations();
    return { type: "location", lat: latitude, lng: longitude, loc: [name, address].filter(Boolean).join("\n").replace(/\r\n?/g, "\n") };
  };

  // RFC 2426; `waid` makes it a contact that can be written to on WhatsApp.
  const escaped = (text) => text.replace(/[\\,;]/g, "\\$&").replace(/\r?\n|\r/g, " ");
  const vcard = ({ name, phone }) => ["BEGIN:VCARD", "VERSION:3.0", `N:;${escaped(name)};;;`, `FN:${escaped(name)}`, `TEL;type=CELL;type=VOICE;waid=${phone}:+${phone}`, "END:VCARD"].join("\n");
  const cards = (contacts) => {
    const [first, ...others] = contacts;
    if (others.length === 0) return { type: "vcard", body: vcard(first), vcardFormattedName: first.name };
    return { type: "multi_vcard", vcardList: contacts.map((contact) => ({ displayName: contact.name, vcard: vcard(contact) })) };
  };

  // Votes are encrypted with the secret of their poll, so each poll has its own.
  const SECRET_BYTES = 32;
  const question = ({ question: pollName, options, choices }) => ({
    type: "poll_creation", pollName, pollOptions: options.map((name, localId) => ({ name, localId })), pollSelectableOptionsCount: choices ?? 0,
    messageSecret: crypto.getRandomValues(new Uint8Array(SECRET_BYTES)),
  });

  return {
    // {key, body, extras, chat: the model} -> the fields of the message that say what it is. `page` is what an adapter finds of the page:
    // {createWid, numberOf, lidOf, Messages}.
    async fields({ key, body, extras, chat }, page) {
      const { quote, mentions = [], media, location, contacts = [], poll } = extras;
      if (media && !shared.media) throw failure("NO_MEDIA", "media.js is missing");
      const said = media ? shared.media.fields(key, media) : location ? place(location) : contacts.length > 0 ? cards(contacts) : poll ? question(poll) : { type: "chat", body };
      const { body: text, ...mention } = mentions.length > 0 ? mentioned(mentions, media?.caption ?? body, shared.isByLid(chat.id, chat), page) : {};
      return {
        ...said,
        ...mention,
        // The text of a medium is its caption.
        ...(text === undefined ? {} : media ? { caption: text } : { body: text }),
        ...(quote ? await answerTo(quote, chat, page) : {}),
      };
    },
    // The ids that a message may have in a chat, by any of its ids.
    idsOf,
    inventory: () => shared.inventory.names(NAMES, PURPOSES),
  };
})
