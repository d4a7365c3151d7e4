// The script that says what a message is beside a plain text: what it makes of each field, for a page that has the modules.

import assert from "node:assert/strict";
import { test } from "node:test";
import { webcrypto } from "node:crypto";

import { common, valueOf } from "./support.mjs";

const HERE = "5491150002222@c.us";
const BY_LID = "99@lid";

const wid = (text) => ({ user: text.split("@")[0], isLid: () => text.endsWith("@lid"), isGroup: () => text.endsWith("@g.us"), toString: () => text });
const held = (id, more = {}) => {
  const [fromMe, remote, key] = id.split("_");
  return { id: { id: key, remote: wid(remote), fromMe: fromMe === "true", toString: () => id }, msgContextInfo: (chat) => ({ quotedStanzaID: key, quotedIn: String(chat), quotedId: id }), ...more };
};

/** The script in a page that holds these messages, and has others in its database. */
function content({ here = [], stored = [], modules = {} } = {}) {
  const asked = [];
  const required = (module) => modules[module];
  const shared = {
    required, resolve: ([module, name]) => required(module)?.[name], nameOf: (home) => home.join("."), inventory: { names: () => [] }, messages: common().messages,
    isByLid: (chat, model) => chat.isLid() || Boolean(model?.groupMetadata?.isLidAddressingMode),
  };
  const page = {
    createWid: wid, lidOf: (number) => (String(number) === HERE ? wid(BY_LID) : undefined), numberOf: (address) => (String(address) === BY_LID ? wid(HERE) : address),
    Messages: {
      getModelsArray: () => here,
      getMessagesById: async (ids) => { asked.push(...ids); return { messages: stored }; },
    },
  };
  const script = valueOf("src/whatsapp/page/content.js", { crypto: webcrypto, Uint8Array })(shared);
  const fields = (extras, { body = "", chat = HERE, ...model } = {}) => script.fields({ body, extras, chat: { id: wid(chat), ...model } }, page);
  return { fields, asked };
}

test("a text is a text, and keeps its body", async () => {
  assert.deepEqual({ ...(await content().fields({}, { body: "hola" })) }, { type: "chat", body: "hola" });
});

test("a place has its name and its address on lines of their own, and the page is taught once that it is no medium", async () => {
  const common = { mediaTypeFromProtobuf: (proto) => (proto.locationMessage ? "location" : "other") };
  const utils = { typeAttributeFromProtobuf: () => "media" };
  const { fields } = content({ modules: { WAWebBackendJobsCommon: common, WAWebE2EProtoUtils: utils } });
  const place = await fields({ location: { latitude: 1, longitude: 2, name: "Obelisco", address: "Av. 9\r\nCABA" } });
  assert.deepEqual({ ...place }, { type: "location", lat: 1, lng: 2, loc: "Obelisco\nAv. 9\nCABA" });
  assert.equal(common.mediaTypeFromProtobuf({ locationMessage: {} }), null);
  assert.equal(common.mediaTypeFromProtobuf({ imageMessage: {} }), "other");
  assert.equal(utils.typeAttributeFromProtobuf({ locationMessage: {} }), "text");
  const taught = common.mediaTypeFromProtobuf;
  await fields({ location: { latitude: 1, longitude: 2 } });
  assert.equal(common.mediaTypeFromProtobuf, taught);
});

test("a page without the functions that a place needs says so", async () => {
  const place = { location: { latitude: 1, longitude: 2 } };
  await assert.rejects(content().fields(place), { code: "NO_CONTENT", message: /WAWebBackendJobsCommon/ });
});

test("a name cannot break out of its contact card", async () => {
  const card = await content().fields({ contacts: [{ name: "Ana; L,\\\nTEL:1", phone: "5491158254201" }] });
  assert.equal(card.type, "vcard");
  const lines = card.body.split("\n");
  assert.equal(lines.length, 6);
  assert.ok(lines.includes("FN:Ana\\; L\\,\\\\ TEL:1"), card.body);
});

test("several cards are one message", async () => {
  const cards = await content().fields({ contacts: [{ name: "Ana", phone: "1234567" }, { name: "Beto", phone: "7654321" }] });
  assert.equal(cards.type, "multi_vcard");
  assert.deepEqual(Array.from(cards.vcardList, ({ displayName }) => displayName), ["Ana", "Beto"]);
});

test("each poll has a secret of its own, and any number of choices unless it says", async () => {
  const { fields } = content();
  const poll = { question: "¿?", options: ["a", "b"] };
  const [one, other] = [await fields({ poll }), await fields({ poll: { ...poll, choices: 1 } })];
  assert.equal(one.messageSecret.length, 32);
  assert.notDeepEqual([...one.messageSecret], [...other.messageSecret]);
  assert.deepEqual([one.pollSelectableOptionsCount, other.pollSelectableOptionsCount], [0, 1]);
  assert.deepEqual(Array.from(one.pollOptions, ({ name, localId }) => [name, localId]), [["a", 0], ["b", 1]]);
});

test("who is mentioned is named by LID in a chat by LID, and a longer number stays as it is", async () => {
  const [number] = HERE.split("@");
  const body = `@${number} y @${number}9`;
  const byNumber = await content().fields({ mentions: [number] }, { body });
  assert.deepEqual([byNumber.body, String(byNumber.mentionedJidList[0])], [body, HERE]);
  const group = { chat: "1203630412@g.us", groupMetadata: { isLidAddressingMode: true } };
  const byLid = await content().fields({ mentions: [number] }, { body, ...group });
  assert.deepEqual([byLid.body, String(byLid.mentionedJidList[0])], [`@99 y @${number}9`, BY_LID]);
});

test("an answer is found in memory, in the database, and where its chat has moved to a LID", async () => {
  const question = held(`false_${HERE}_3A5F`);
  assert.equal((await content({ here: [question] }).fields({ quote: "3A5F" }, { body: "sí" })).quotedStanzaID, "3A5F");
  const stored = content({ stored: [question] });
  assert.equal((await stored.fields({ quote: `false_${HERE}_3A5F` }, { body: "sí" })).quotedIn, HERE);
  assert.deepEqual(stored.asked, [`false_${HERE}_3A5F`]);
  const moved = content({ stored: [held(`false_${BY_LID}_3A5F`)] });
  assert.equal((await moved.fields({ quote: `false_${HERE}_3A5F` }, { chat: BY_LID })).quotedStanzaID, "3A5F");
  assert.deepEqual(moved.asked, [`false_${BY_LID}_3A5F`, `false_${HERE}_3A5F`]);
});

test("a message of another chat, or one that cannot be answered, is not quoted; status updates are not even looked for", async () => {
  const elsewhere = content({ here: [held("false_5491150003333@c.us_3A5F")] });
  await assert.rejects(elsewhere.fields({ quote: "3A5F" }), { code: "NO_QUOTE" });
  const status = content({ stored: [held("false_status@broadcast_3A5F")] });
  await assert.rejects(status.fields({ quote: "false_status@broadcast_3A5F_5491150003333@c.us" }), { code: "NO_QUOTE" });
  assert.deepEqual(status.asked, []);
  const deleted = content({ here: [held(`false_${HERE}_3A5F`)], modules: { WAWebMsgReply: { canReplyMsg: () => false } } });
  await assert.rejects(deleted.fields({ quote: "3A5F" }), { code: "NO_QUOTE" });
});

test("an answer quotes the message that is meant, and none that has the same last part", async () => {
  const group = "1203630412@g.us";
  const all = [`true_${HERE}_3A5F`, `false_${HERE}_3A5F`, `false_${group}_3A5F_77@lid`, `false_${group}_3A5F_${BY_LID}`, `true_${group}_3A5F_1@lid`].map((id) => held(id));
  for (const [where, more] of [["memory", { here: all }], ["database", { stored: all }]]) {
    const { fields } = content(more);
    for (const [quote, chat] of [
      [`false_${HERE}_3A5F`, HERE], [`true_${HERE}_3A5F`, HERE], [`false_${group}_3A5F_${BY_LID}`, group], [`false_${group}_3A5F_77@lid`, group], [`true_${group}_3A5F_1@lid`, group],
    ]) {
      assert.equal((await fields({ quote }, { chat })).quotedId, quote, where);
    }
    // By the other address of its author.
    assert.equal((await fields({ quote: `false_${group}_3A5F_${HERE}` }, { chat: group })).quotedId, `false_${group}_3A5F_${BY_LID}`, where);
    await assert.rejects(fields({ quote: `false_${group}_3A5F_55@lid` }, { chat: group }), { code: "NO_QUOTE" }, where);
    // Its last part alone does not say which of them.
    for (const chat of [HERE, group]) await assert.rejects(fields({ quote: "3A5F" }, { chat }), { code: "NO_QUOTE" }, `${where} ${chat}`);
  }
  const apart = content({ here: [all[1]], stored: [all[0]] });
  await assert.rejects(apart.fields({ quote: "3A5F" }), { code: "NO_QUOTE" });
});
