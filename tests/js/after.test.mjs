// The script for what is done to messages that are there: how it finds them, what it asks of the page, and when it says that a thing is done.

import assert from "node:assert/strict";
import { test } from "node:test";

import { common, valueOf } from "./support.mjs";

const HERE = "5491150002222@c.us";
const BY_LID = "99@lid";
const GROUP = "1203630412@g.us";
const ME = "5491150000001@c.us";
/** A message of another person, by its full id. */
const THEIRS = `false_${HERE}_3A5F`;

const wid = (text) => ({ user: text.split("@")[0], isLid: () => text.endsWith("@lid"), isGroup: () => text.endsWith("@g.us"), toString: () => text });
const keyOf = (id) => {
  const [own, remote, key] = id.split("_");
  return { id: key, remote: wid(remote), fromMe: own === "true", toString: () => id };
};
const message = (id, more = {}) => ({ id: keyOf(id), type: "chat", body: "hola", t: 100, ...more });

const SRC = {
  react: "WAWebSendReactionMsgAction", reactions: "WAWebAddonReactionTableMode", edit: "WAWebSendMessageEditAction", capability: "WAWebMsgActionCapability",
  chat: "WAWebChatSendMessages", stored: "WAWebDBMsgUtils", seen: "WAWebUpdateUnreadChatAction", presence: "WAWebPresenceChatAction",
};

/** The script in a page that holds these messages, and has others in its database. */
function page({ here = [], stored = [], modules = {}, version = "2.3000.1048901417", ...more } = {}) {
  const asked = [];
  const acts = [];
  const shared = {
    resolve: ([module, name]) => (name ? modules[module]?.[name] : modules[module]), nameOf: (home) => home.join("."), inventory: { names: () => [] }, messages: common().messages,
    NOT_FINAL: ["ERROR_NETWORK"], wordOf: (error) => String(error.message), hearing: { onOwnAction: (...act) => acts.push([act[0], String(act[1]), ...act.slice(2)]) },
  };
  const chat = { id: wid(HERE) };
  const found = {
    createWid: wid, widOf: async (to) => wid(`${to}@c.us`), latestChat: async (given) => String(given), me: () => ({ number: wid(ME), lid: wid("1@lid") }),
    // As the page's own, of which some throw for what is no person.
    lidOf: (number) => { assert.ok(!number.isGroup()); return String(number) === HERE ? wid(BY_LID) : undefined; },
    numberOf: (address) => { assert.ok(!address.isGroup()); return String(address) === BY_LID ? wid(HERE) : undefined; },
    Messages: {
      get: (id) => here.find((each) => String(each.id) === String(id)), getModelsArray: () => here,
      getMessagesById: async (ids) => { asked.push(...ids); return { messages: stored.filter((each) => ids.includes(String(each.id))) }; },
    },
    Chats: { get: (id) => (String(id) === HERE ? chat : undefined) },
    ...more,
  };
  const window = { Debug: { VERSION: version } };
  const timers = [];
  const script = valueOf("src/whatsapp/page/after.js", { window, setTimeout: (act, ms) => { if (ms < 1000) return setTimeout(act, 0); timers.push(ms); return timers.length; }, clearTimeout: () => {} })(shared);
  const call = (name) => (ask) => script[name]({ send: "3EB0SEND", body: "", to: "5491150002222", chat: HERE, id: null, ...ask }, found);
  return { prepare: call("prepare"), handOver: call("handOver"), lookUp: call("lookUp"), inChat: call("inChat"), asked, acts, chat, timers };
}

const reactionsOf = (...rows) => ({ [SRC.reactions]: { reactionTableMode: { bulkGetByParentMsgKey: async () => rows } } });
const own = (id, text, more = {}) => ({ id: keyOf(`true_${HERE}_${id}`), reactionText: text, reactionTimestamp: 1, ack: 1, ...more });

test("a message is found in memory, in the database under each id that it may have, and never among status updates", async () => {
  const held = page({ here: [message(THEIRS)] });
  assert.deepEqual({ ...(await held.prepare({ kind: "reaction", key: "3A5F", id: THEIRS })) }, { chat: HERE });
  const moved = page({ stored: [message(THEIRS)] });
  assert.equal((await moved.prepare({ kind: "reaction", key: "3A5F", id: `false_${BY_LID}_3A5F`, chat: BY_LID })).chat, HERE);
  assert.deepEqual(moved.asked, [`false_${BY_LID}_3A5F`, THEIRS]);
  const queued = page({ stored: [message(`true_${GROUP}_3EB0_1@lid`)] });
  assert.equal((await queued.prepare({ kind: "reaction", key: "3EB0", chat: GROUP })).chat, GROUP);
  const status = page({ here: [message("false_status@broadcast_3A5F")] });
  await assert.rejects(status.prepare({ kind: "reaction", key: "3A5F", id: "false_status@broadcast_3A5F" }), { code: "NO_MESSAGE" });
  assert.deepEqual(status.asked, [THEIRS]);
});

test("a message of another chat, side or author is never meant, though its sender gave it the same last part", async () => {
  const ofGroup = `false_${GROUP}_3A5F_99@lid`;
  const sameKey = [message("false_5491150003333@c.us_3A5F"), message(THEIRS), message(`true_${GROUP}_3A5F_1@lid`), message(`false_${GROUP}_3A5F_77@lid`)];
  const ask = { kind: "reaction", key: "3A5F", id: ofGroup, chat: GROUP, body: "👍" };
  const reacted = [];
  const modules = { [SRC.react]: { sendReactionToMsg: async (msg) => { reacted.push(String(msg.id)); } }, ...reactionsOf() };
  for (const [where, more] of [["memory", { here: sameKey }], ["database", { stored: sameKey }]]) {
    const without = page({ ...more, modules });
    await assert.rejects(without.prepare(ask), { code: "NO_MESSAGE" }, where);
    await assert.rejects(without.handOver(ask), { code: "NO_MESSAGE" }, where);
    await assert.rejects(without.lookUp(ask), { code: "GONE" }, where);
  }
  const here = [...sameKey, message(ofGroup)];
  await page({ here, modules }).handOver(ask);
  await page({ here, modules }).handOver({ ...ask, id: THEIRS, chat: HERE });
  // The author by the other address, as the page has it.
  await page({ here, modules }).handOver({ ...ask, id: `false_${GROUP}_3A5F_${HERE}` });
  // Without an id it is one that the service has sent.
  await page({ here, modules }).handOver({ ...ask, id: null });
  assert.deepEqual(reacted, [ofGroup, THEIRS, ofGroup, `true_${GROUP}_3A5F_1@lid`]);
});

test("a person's message is found under either address, by whichever it is named", async () => {
  for (const [named, chat] of [[HERE, BY_LID], [BY_LID, HERE], [HERE, HERE], [BY_LID, BY_LID]]) {
    const one = page({ here: [message(`false_${chat}_3A5F`)] });
    assert.equal((await one.prepare({ kind: "reaction", key: "3A5F", id: `false_${named}_3A5F`, chat: named })).chat, chat);
  }
});

test("a deletion in another chat says nothing about the message", async () => {
  const named = { ...message(`false_5491150003333@c.us_3A00`), type: "revoked", protocolMessageKey: keyOf("false_5491150003333@c.us_3EB0") };
  await assert.rejects(page({ here: [named] }).lookUp({ kind: "revoke", key: "3EB0" }), { code: "GONE" });
});

test("what WhatsApp Web does not offer is refused before anything is done, and an older build that cannot say is asked to do it", async () => {
  const here = [message(`true_${HERE}_3EB0`)];
  const no = () => false;
  const capability = { canEditText: no, canEditCaption: no, canSenderRevokeMsg: no, canAdminRevokeMsg: no };
  const strict = page({ here, modules: { [SRC.capability]: capability } });
  await assert.rejects(strict.prepare({ kind: "edit", key: "3EB0", body: "x" }), { code: "NOT_EDITABLE" });
  await assert.rejects(strict.handOver({ kind: "revoke", key: "3EB0" }), { code: "NOT_REVOCABLE" });
  assert.deepEqual(strict.acts, []);
  const byAdmin = page({ here, modules: { [SRC.capability]: { ...capability, canAdminRevokeMsg: () => true } } });
  assert.equal((await byAdmin.prepare({ kind: "revoke", key: "3EB0" })).chat, HERE);
  await assert.rejects(page({ here }).handOver({ kind: "edit", key: "3EB0", body: "x" }), { code: "NO_AFTER", message: /sendMessageEdit/ });
});

test("a reaction is handed over, its event is known to be the service's, and its own id is answered", async () => {
  const given = [];
  const modules = { ...reactionsOf(own("3EB0R", "👍")), [SRC.react]: { sendReactionToMsg: async (msg, emoji) => { given.push([String(msg.id), emoji]); } } };
  const one = page({ here: [message(THEIRS)], modules });
  assert.deepEqual({ ...(await one.handOver({ kind: "reaction", key: "3A5F", id: THEIRS, body: "👍" })) }, { key: "3EB0R", id: `true_${HERE}_3EB0R` });
  assert.deepEqual(given, [[THEIRS, "👍"]]);
  assert.deepEqual(one.acts, [["reaction", THEIRS, "👍", "3EB0SEND"]]);
});

test("a page that reports a failure is believed only if the message does not show that it is done", async () => {
  const throws = { [SRC.react]: { sendReactionToMsg: async () => { throw new Error("Reaction send error"); } } };
  const here = [message(THEIRS)];
  const ask = { kind: "reaction", key: "3A5F", id: THEIRS, body: "👍" };
  const unsent = page({ here, modules: { ...throws, ...reactionsOf(own("3EB0R", "👍", { ack: 0 })) } });
  await assert.rejects(unsent.handOver(ask), { code: "REFUSED", message: "Reaction send error" });
  const done = page({ here, modules: { ...throws, ...reactionsOf(own("3EB0R", "👍")) } });
  assert.equal((await done.handOver(ask)).key, null);
});

test("a reaction is done when the newest of this account says so and WhatsApp has it; one that is not there is taken back", async () => {
  const here = [message(THEIRS)];
  const isDone = async (body, ...rows) => (await page({ here, modules: reactionsOf(...rows) }).lookUp({ kind: "reaction", key: "3A5F", id: THEIRS, body })).done;
  const theirs = { ...own("3A00", "👍"), id: keyOf(`false_${HERE}_3A00`) };
  assert.equal(await isDone("👍", own("1", "👍")), true);
  assert.equal(await isDone("👍", own("1", "👍", { ack: 0 })), false);
  assert.equal(await isDone("👍", theirs), false);
  assert.equal(await isDone("👍", own("1", "👍"), own("2", "❤️", { reactionTimestamp: 2 })), false);
  assert.equal(await isDone(""), true);
  assert.equal(await isDone("", own("1", "")), true);
  assert.equal(await isDone("", own("1", "👍")), false);
});

test("an edit is done when the text is there and WhatsApp has it; when it is too late to do it again, that cannot be known", async () => {
  const edited = message(`true_${HERE}_3EB0`, { body: "Hola, Ana", latestEditMsgKey: keyOf(`true_${HERE}_3EB0E`) });
  const look = (ack, more = {}, body = " Hola, Ana ") => page({
    here: [{ ...edited, ...more }], modules: { [SRC.stored]: { getMsgByMsgKey: async () => (ack === undefined ? undefined : { ack }) }, [SRC.capability]: { canEditText: () => more.may !== false } },
  }).lookUp({ kind: "edit", key: "3EB0", body });
  assert.equal((await look(1)).done, true);
  assert.equal((await look(undefined)).done, true, "edited elsewhere");
  assert.equal((await look(0)).done, false);
  assert.equal((await look(1, {}, "another text")).done, false);
  assert.equal((await look(1, { isSendFailure: true })).done, false);
  await assert.rejects(look(0, { may: false }), { code: "GONE" });
});

test("an edit that WhatsApp did not take shows in the message alone", async () => {
  const msg = message(`true_${HERE}_3EB0`);
  const given = [];
  const sendMessageEdit = async (target, text, options) => { given.push([target === msg, text, Object.keys(options).length]); msg.isSendFailure = true; };
  const { handOver } = page({ here: [msg], modules: { [SRC.edit]: { sendMessageEdit } } });
  await assert.rejects(handOver({ kind: "edit", key: "3EB0", body: "x" }), { code: "REFUSED" });
  assert.deepEqual(given, [[true, "x", 0]]);
});

test("a deletion waits for the answer for this very message, and says what WhatsApp said", async () => {
  const msg = message(`true_${HERE}_3EB0`);
  const deleted = (result, then) => page({ here: [msg], modules: { [SRC.chat]: { sendRevokeMsgs: async (chat, record, clear) => {
    assert.deepEqual([String(chat.id), record.type, record.list[0] === msg, clear], [HERE, "message", true, true]);
    then?.();
    return [result];
  } } } }).handOver({ kind: "revoke", key: "3EB0" });
  await assert.rejects(deleted({ messageSendResult: "ERROR_UNKNOWN" }), { code: "REFUSED", message: "ERROR_UNKNOWN" });
  await assert.rejects(deleted({ messageSendResult: "OK" }), { code: "NO_ANSWER" }, "the promise of another deletion");
  const becomes = () => Object.assign(msg, { type: "revoked", id: keyOf(`true_${HERE}_3EB0D`), protocolMessageKey: keyOf(`true_${HERE}_3EB0`) });
  assert.deepEqual({ ...(await deleted({ messageSendResult: "OK" }, becomes)) }, { key: "3EB0D", id: `true_${HERE}_3EB0D` });
});

test("a network that fails has refused nothing, and what became of it is looked up", async () => {
  const own = message(`true_${HERE}_3EB0`);
  const modules = {
    [SRC.react]: { sendReactionToMsg: async () => { throw new Error("Reaction send error"); } }, ...reactionsOf(),
    [SRC.edit]: { sendMessageEdit: async (msg) => { msg.isSendFailure = true; } },
    [SRC.chat]: { sendRevokeMsgs: async () => [{ messageSendResult: "ERROR_UNKNOWN" }], sendDeleteMsgs: async () => { throw new Error("remove messages from history failed"); } },
  };
  for (const [kind, body] of [["reaction", "👍"], ["edit", "x"], ["revoke", ""], ["revoke_for_me", ""]]) {
    const handOver = (isConnected) => page({ here: [{ ...own }], modules, Chats: { get: () => ({}) }, isConnected: () => isConnected }).handOver({ kind, key: "3EB0", body });
    await assert.rejects(handOver(false), { code: "NO_ANSWER" }, kind);
    await assert.rejects(handOver(true), { code: "REFUSED" }, kind);
  }
  const withWord = { ...modules, [SRC.chat]: { sendRevokeMsgs: async () => [{ messageSendResult: "ERROR_NETWORK" }] } };
  await assert.rejects(page({ here: [{ ...own }], modules: withWord, isConnected: () => true }).handOver({ kind: "revoke", key: "3EB0" }), { code: "NO_ANSWER", message: "ERROR_NETWORK" });
});

test("a function of the page that has changed is no refusal by WhatsApp, so the next adapter is asked", async () => {
  const here = [message(`true_${HERE}_3EB0`)];
  const throws = async () => { throw new TypeError("Cannot read properties of undefined (reading 'remote')"); };
  const modules = { [SRC.edit]: { sendMessageEdit: throws }, [SRC.chat]: { sendRevokeMsgs: throws } };
  for (const isConnected of [() => true, () => false]) {
    await assert.rejects(page({ here, modules, isConnected }).handOver({ kind: "edit", key: "3EB0", body: "x" }), { code: "MISFIT" });
  }
  await assert.rejects(page({ here, modules }).handOver({ kind: "revoke", key: "3EB0" }), { code: "MISFIT" });
  await assert.rejects(page({ here, modules, Chats: { get: () => undefined } }).handOver({ kind: "revoke", key: "3EB0" }), { code: "MISFIT", message: /its chat/ });
});

test("without the module the screen is commanded, and watched", async () => {
  const msg = message(`true_${HERE}_3EB0`);
  const here = [msg];
  const Cmd = {
    sendRevokeMsgs: (chat, record, options) => { assert.deepEqual([record.type, options.clearMedia], ["message", true]); Object.assign(msg, { type: "revoked" }); },
    sendDeleteMsgs: (chat, record, clear) => { assert.equal(clear, true); here.pop(); },
  };
  assert.equal((await page({ here, Cmd }).handOver({ kind: "revoke", key: "3EB0" })).key, "3EB0");
  here[0] = message(`true_${HERE}_3EB0`);
  assert.equal((await page({ here, Cmd }).handOver({ kind: "revoke_for_me", key: "3EB0" })).id, null);
});

test("a message that is gone was deleted, if a deletion names it; else it cannot be known", async () => {
  const ask = { kind: "revoke", key: "3EB0" };
  const revoked = { ...message(`true_${HERE}_3EB0D`), type: "revoked", protocolMessageKey: keyOf(`true_${HERE}_3EB0`) };
  assert.equal((await page({ here: [revoked] }).lookUp(ask)).done, true);
  const others = Array.from({ length: 50 }, (_, nth) => message(`false_${HERE}_3A${nth}`, { t: 200 + nth }));
  const pages = [others, [revoked]];
  const asked = [];
  const find = async (chat, before) => { asked.push(before && String(before)); return pages.shift(); };
  assert.equal((await page({ find }).lookUp(ask)).done, true);
  assert.deepEqual(asked, [null, `false_${HERE}_3A0`]);
  await assert.rejects(page().lookUp(ask), { code: "GONE" });
  await assert.rejects(page().lookUp({ kind: "reaction", key: "3EB0" }), { code: "GONE" });
  assert.equal((await page().lookUp({ kind: "revoke_for_me", key: "3EB0" })).done, true);
  await assert.rejects(page().prepare({ kind: "revoke_for_me", key: "3EB0" }), { code: "NO_MESSAGE" });
});

test("a chat is read in the shape that the build takes, and without waiting for a person", async () => {
  for (const [version, shape] of [["2.3000.1048901417", "named"], ["2.3000.1031992592", "alone"]]) {
    const given = [];
    const one = page({ version, modules: { [SRC.seen]: { sendSeen: async (...args) => { given.push(args); } } } });
    await one.inChat({ act: "seen" });
    if (shape === "named") assert.deepEqual([given[0][0].chat === one.chat, given[0][0].afterAvailable], [true, false]);
    else assert.deepEqual([given[0][0] === one.chat, given[0][1]], [true, false]);
  }
});

test("a group is read, and shows typing, under the one address that it has", async () => {
  const group = { id: wid(GROUP) };
  const shown = [];
  const modules = { [SRC.seen]: { sendSeen: async ({ chat }) => { shown.push(["seen", chat]); } }, [SRC.presence]: { markComposing: (chat) => shown.push(["typing", chat]), markPaused: () => {} } };
  const one = page({ modules, Chats: { get: (id) => (String(id) === GROUP ? group : undefined) } });
  for (const act of ["seen", "typing"]) await one.inChat({ act, to: GROUP, chat: GROUP });
  assert.deepEqual(shown.map(([act, chat]) => [act, chat === group]), [["seen", true], ["typing", true]]);
  const none = page({ modules, Chats: { get: () => undefined } });
  await assert.rejects(none.inChat({ act: "typing", to: GROUP, chat: GROUP }), { code: "NO_CHAT" });
});

test("typing is shown until it is over, and in a chat that is there", async () => {
  const shown = [];
  const presence = { markComposing: () => shown.push("typing"), markRecording: () => shown.push("recording"), markPaused: () => shown.push("paused") };
  const one = page({ modules: { [SRC.presence]: presence } });
  for (const act of ["typing", "recording", "paused"]) await one.inChat({ act, chat: BY_LID });
  assert.deepEqual([shown, one.timers], [["typing", "recording", "paused"], [25_000, 25_000]]);
  await assert.rejects(one.inChat({ act: "typing", chat: "5491150003333@c.us" }), { code: "NO_CHAT" });
  await assert.rejects(one.inChat({ act: "seen", chat: "status@broadcast" }), { code: "NO_CHAT" });
});
