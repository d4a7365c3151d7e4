// What is done to messages that are there (a reaction, another text, a deletion) and in chats (seen, typing), in the words of WhatsApp
// Web. The adapters find the page's objects and give them to these functions.
// docs/whatsapp.md#after-a-message has the source of each fact used here.
//
// WhatsApp Web gives what is done an id of its own, so none can be assigned beforehand. But each of these things may be done twice: the
// same reaction, the same text, a deletion of what is deleted. So what is in doubt is settled by a look at the message: it is done, or it
// is done again.
//
// Not responsible for who asks, nor for the order. Called by the frame (bridge.js) as (after)(shared), with what all adapters share.
(function after(shared) {
  "use strict";

  const { resolve, nameOf, messages } = shared;

  const NAMES = {
    after: {
      react: ["WAWebSendReactionMsgAction", "sendReactionToMsg"],
      reactions: ["WAWebAddonReactionTableMode", "reactionTableMode"],
      edit: ["WAWebSendMessageEditAction", "sendMessageEdit"],
      canEditText: ["WAWebMsgActionCapability", "canEditText"],
      canEditCaption: ["WAWebMsgActionCapability", "canEditCaption"],
      canSenderRevoke: ["WAWebMsgActionCapability", "canSenderRevokeMsg"],
      canAdminRevoke: ["WAWebMsgActionCapability", "canAdminRevokeMsg"],
      sendRevokeMsgs: ["WAWebChatSendMessages", "sendRevokeMsgs"],
      sendDeleteMsgs: ["WAWebChatSendMessages", "sendDeleteMsgs"],
      storedMessage: ["WAWebDBMsgUtils", "getMsgByMsgKey"],
      sendSeen: ["WAWebUpdateUnreadChatAction", "sendSeen"],
      presence: ["WAWebPresenceChatAction"],
    },
  };
  const PURPOSES = { after: { use: "reactions, edits, deletions, seen, typing", jobs: [] } };

  // A search of the page's storage for what has replaced a message that is gone.
  const PAGE = 50;
  const MOST_PAGES = 20;
  // Before this build the chat stood alone (wa-js, markIsRead).
  const SEEN_BY_NAME = 1031992593;
  // WhatsApp Web itself stops showing that a person types after 2.5 s, and shows a recording without an end. Phones show either for 25 s.
  const SHOWN_MS = 25_000;
  // A deletion by command takes a moment: the screen carries it out.
  const COMMAND_MS = 10_000;
  const COMMAND_LOOK_MS = 100;

  const failure = (code, detail) => Object.assign(new Error(detail), { code });
  const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
  // By what an adapter has found, or by its name.
  const own = (page, name) => page.found?.[name] ?? resolve(NAMES.after[name]);
  const needed = (page, name) => {
    const found = own(page, name);
    if (!found) throw failure("NO_AFTER", `WhatsApp Web has no ${nameOf(NAMES.after[name])}`);
    return found;
  };
  const isChat = (address) => /@(c\.us|lid|g\.us)$/.test(String(address));
  const isGroup = (address) => String(address).endsWith("@g.us");

  // --- Which message ---------------------------------------------------------------------------------------------------

  // The full id as it was given, in parts. Without one it is a message that the service has sent.
  const partsOf = (id) => (id ? messages.partsOf(id) : { isOwn: true });
  const isKeyOf = ({ key, id, chats }, page) => messages.isIdOf({ ...partsOf(id), key, chats }, page);
  // The full ids that it may have: as it was given, and in the chat as that is called now.
  const idsOf = ({ key, id, chat }, page) => {
    const { isOwn, chat: before, author } = partsOf(id);
    const chats = new Set([chat, before].filter(Boolean));
    const ids = [...chats].flatMap((each) => {
      if (!isGroup(each)) return [`${isOwn}_${each}_${key}`];
      // In a group the author stands behind; an own message has this account, in one of two ways.
      const { number, lid } = page.me() ?? {};
      const authors = author ? [author] : [number, lid].filter(Boolean).map((wid) => String(wid));
      return authors.map((one) => `${isOwn}_${each}_${key}_${one}`);
    });
    return [...new Set(id ? [id, ...ids] : ids)];
  };
  // A look at the status updates of others can end a link (OpenWA #1072).
  const find = async (ask, page) => {
    const isKey = isKeyOf(ask, page);
    const isMeant = (message) => isKey(message?.id) && message.type !== "revoked";
    const held = page.Messages.getModelsArray?.().find(isMeant);
    if (held) return held;
    const ids = idsOf(ask, page).filter((id) => isChat(id.split("_")[1]));
    if (ids.length === 0) return null;
    if (typeof page.Messages.getMessagesById !== "function") throw failure("NO_AFTER", "MsgCollection.getMessagesById is missing");
    return (await page.Messages.getMessagesById(ids))?.messages?.find(isMeant) ?? null;
  };
  // What was deleted for everybody has the id of the deletion, and names its own.
  const isDeleted = async (ask, page) => {
    const { chat } = ask;
    const isKey = isKeyOf(ask, page);
    const isIt = (message) => message?.type === "revoked" && isKey(message.protocolMessageKey);
    if (page.Messages.getModelsArray?.().some(isIt)) return true;
    const model = chat && page.Chats.get(page.createWid(chat));
    if (!model || !page.find) return false;
    let before = null;
    for (let nth = 0; nth < MOST_PAGES; nth += 1) {
      const stored = [...((await page.find(model, before, PAGE)) ?? [])].filter((message) => message?.id);
      if (stored.some(isIt)) return true;
      if (stored.length < PAGE) return false;
      // The store gives either end first.
      before = (stored[0].t <= stored.at(-1).t ? stored[0] : stored.at(-1)).id;
    }
    return false;
  };

  // The chat as it is called now: a person's may have moved from a number to a LID. None is made for it.
  const modelOf = (wid, page) => {
    const other = messages.otherOf(wid, page);
    return page.Chats.get(wid) ?? (other && page.Chats.get(other));
  };
  const located = async (ask, page) => {
    const wid = ask.chat ? page.createWid(ask.chat) : await page.widOf(ask.to);
    if (!wid) throw failure("NOT_ON_WHATSAPP", "the number is not on WhatsApp");
    const chat = isGroup(wid) ? String(await page.latestChat(wid)) : String(modelOf(wid, page)?.id ?? wid);
    // By each name that it has had, since a message keeps the one of its time.
    const named = [chat, String(wid), partsOf(ask.id).chat].filter((each) => each && isChat(each));
    return { ...ask, chat, chats: new Set(named.flatMap((each) => messages.addressesOf(each, page))) };
  };

  // --- What is so already ----------------------------------------------------------------------------------------------

  const textOf = (message) => (message.type === "chat" ? message.body : message.caption) ?? "";
  // The page drops blanks around a new text.
  const isText = (message, body) => textOf(message).trim() === body.trim();
  // The newest of this account: one that was given on the phone may stand under its other address.
  const ownReaction = async (message, page) => {
    const rows = (await needed(page, "reactions").bulkGetByParentMsgKey?.([message.id])) ?? [];
    const mine = rows.filter((row) => row.id?.fromMe);
    return mine.sort((a, b) => (b.reactionTimestamp ?? 0) - (a.reactionTimestamp ?? 0))[0] ?? null;
  };
  // What this page did is in its store before WhatsApp's server has it, and says so.
  const isAcknowledged = ({ ack }) => ack === undefined || ack === null || ack > 0;
  const isReaction = (reaction, body) => (reaction ? (reaction.reactionText ?? "") === body && isAcknowledged(reaction) : body === "");
  const isEdited = async (message, body, page) => {
    if (!isText(message, body) || message.isSendFailure) return false;
    if (!message.latestEditMsgKey) return true;
    const edit = await own(page, "storedMessage")?.(message.latestEditMsgKey);
    return !edit || isAcknowledged(edit);
  };
  const canEdit = (message, page) => {
    const allowed = [own(page, "canEditText"), own(page, "canEditCaption")].filter(Boolean);
    return allowed.length === 0 || allowed.some((may) => may(message));
  };
  const canRevoke = (message, page) => {
    const allowed = [own(page, "canSenderRevoke"), own(page, "canAdminRevoke")].filter(Boolean);
    return allowed.length === 0 || allowed.some((may) => may(message));
  };

  // --- What is done ----------------------------------------------------------------------------------------------------

  const check = (message, kind, page) => {
    if (kind === "edit" && !canEdit(message, page)) throw failure("NOT_EDITABLE", "WhatsApp Web does not offer to edit this message");
    if (kind === "revoke" && !canRevoke(message, page)) throw failure("NOT_REVOCABLE", "WhatsApp Web does not offer to delete this message for everybody");
  };
  const chatModel = (message, page) => {
    const chat = page.Chats.get(message.id.remote);
    // Not NO_MESSAGE, which no other adapter is asked about: it may find the chat in another place.
    if (!chat) throw failure("MISFIT", "WhatsApp Web has the message, and not its chat");
    return chat;
  };
  const byCommand = async (act, isOver) => {
    act();
    const end = Date.now() + COMMAND_MS;
    while (!isOver()) {
      if (Date.now() > end) throw failure("IN_DOUBT", "WhatsApp Web did not carry out its command in time");
      await sleep(COMMAND_LOOK_MS);
    }
  };

  const ACTS = {
    async reaction(message, body, page) {
      await needed(page, "react")(message, body);
      return (await ownReaction(message, page))?.id;
    },
    async edit(message, body, page) {
      await needed(page, "edit")(message, body, {});
      if (message.isSendFailure) throw failure("REFUSED", "WhatsApp did not take the edit");
      return message.latestEditMsgKey;
    },
    async revoke(message, body, page) {
      const chat = chatModel(message, page);
      const record = { type: "message", list: [message] };
      const send = own(page, "sendRevokeMsgs");
      if (send) {
        const [sent] = [await send(chat, record, true)].flat();
        const word = sent?.messageSendResult;
        if (word && word !== "OK") throw failure("REFUSED", word);
      } else if (page.Cmd?.sendRevokeMsgs) {
        await byCommand(() => page.Cmd.sendRevokeMsgs(chat, record, { clearMedia: true }), () => message.type === "revoked");
      } else {
        needed(page, "sendRevokeMsgs");
      }
      // The page waits for one deletion of a chat at a time, and gives the promise of the one that is under way for any other.
      if (message.type !== "revoked") throw failure("IN_DOUBT", "WhatsApp Web did not delete the message");
      return message.id;
    },
    async revoke_for_me(message, body, page) {
      const chat = chatModel(message, page);
      const record = { type: "message", list: [message] };
      const isGone = () => !page.Messages.get(message.id);
      const send = own(page, "sendDeleteMsgs");
      if (send) await send({ chat_: chat, clearMedia: true, record });
      else if (page.Cmd?.sendDeleteMsgs) await byCommand(() => page.Cmd.sendDeleteMsgs(chat, record, true), isGone);
      else needed(page, "sendDeleteMsgs");
      if (!isGone()) throw failure("IN_DOUBT", "WhatsApp Web did not delete the message");
      return null;
    },
  };

  // What a failure of the page's means, where the message does not show that it is done.
  const failureOf = (error, page) => {
    if (error?.code === "MISFIT") return error;
    const word = error?.code === "REFUSED" ? error.message : shared.wordOf(error);
    // A function of the page that has changed: another adapter may know the new one.
    if (error?.name === "TypeError" || error?.name === "ReferenceError") return failure("MISFIT", word);
    // Of an edit and a reaction the page does not say why they failed. While it has no connection, that is why.
    const isOfNetwork = shared.NOT_FINAL.includes(word) || page.isConnected?.() === false;
    return failure(error?.code === "IN_DOUBT" || isOfNetwork ? "NO_ANSWER" : "REFUSED", word);
  };

  // Whether it is done. A message that is gone can no longer say.
  const isDone = async (ask, page) => {
    const { kind, body } = ask;
    const message = await find(ask, page);
    if (kind === "revoke_for_me") return !message;
    if (!message) {
      if (kind === "revoke" && (await isDeleted(ask, page))) return true;
      throw failure("GONE", "the message is not there any more, so WhatsApp Web cannot say what became of it");
    }
    if (kind === "reaction") return isReaction(await ownReaction(message, page), body);
    if (kind === "edit") {
      if (await isEdited(message, body, page)) return true;
      if (isText(message, body) && !canEdit(message, page)) throw failure("GONE", "the message has this text here, and it is not known whether WhatsApp has it; it is too late to edit it again");
    }
    return false;
  };

  const isMissing = async (ask, page) => {
    // Asked for once more, under another key: there is nothing left to do.
    if (ask.kind === "revoke_for_me") return false;
    return !(ask.kind === "revoke" && (await isDeleted(ask, page)));
  };

  return {
    // {send, kind, key, id, to, chat, body} -> {chat}. Sees that the message is there, and that WhatsApp allows it. Does nothing.
    async prepare(given, page) {
      const ask = await located(given, page);
      const message = await find(ask, page);
      if (message) check(message, ask.kind, page);
      else if (ask.kind === "revoke_for_me" || (await isMissing(ask, page))) throw failure("NO_MESSAGE", "WhatsApp Web has no such message");
      return { chat: String(message?.id.remote ?? ask.chat) };
    },

    // The same -> {key, id} of what was done, as far as there is one. Answers once WhatsApp's server has it.
    async handOver(given, page) {
      const ask = await located(given, page);
      const { send, kind, body } = ask;
      const message = await find(ask, page);
      if (!message) {
        if (await isMissing(ask, page)) throw failure("NO_MESSAGE", "WhatsApp Web has no such message");
        return { key: null, id: null };
      }
      check(message, kind, page);
      shared.hearing?.onOwnAction?.(kind, message.id, body, send);
      let id = null;
      try {
        id = await ACTS[kind](message, body, page);
      } catch (error) {
        if (error?.code === "NO_AFTER") throw error;
        // Before anything is waited for: the page may be connected again a moment later.
        const failed = failureOf(error, page);
        // What the page says of a failure is little; the message itself says more.
        if (!(await isDone(ask, page).catch(() => false))) throw failed;
      }
      return { key: id?.id ?? null, id: id ? String(id) : null };
    },

    // The same -> {done}. A message that is gone says nothing: GONE.
    async lookUp(given, page) {
      return { done: await isDone(await located(given, page), page) };
    },

    // {to, chat, act: "seen" | "typing" | "recording" | "paused"}
    async inChat({ to, chat: address, act }, page) {
      const wid = page.createWid(address ?? `${to}@c.us`);
      if (!isChat(wid)) throw failure("NO_CHAT", "this is no chat");
      const chat = modelOf(wid, page);
      if (!chat) throw failure("NO_CHAT", "WhatsApp Web has no such chat");
      if (act === "seen") {
        const sendSeen = needed(page, "sendSeen");
        const build = Number(window.Debug?.VERSION?.split(".")[2]);
        // Without `false` it waits until a person looks at the page.
        await (build < SEEN_BY_NAME ? sendSeen(chat, false) : sendSeen({ chat, afterAvailable: false }));
        return;
      }
      const presence = needed(page, "presence");
      if (act === "paused") {
        presence.markPaused(chat);
        return;
      }
      if (act === "typing") presence.markComposing(chat);
      else presence.markRecording(chat);
      clearTimeout(chat.pausedTimerId);
      chat.pausedTimerId = setTimeout(() => presence.markPaused(chat), SHOWN_MS);
    },

    inventory: () => shared.inventory.names(NAMES, PURPOSES),
  };
})
