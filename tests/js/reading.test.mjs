// The script that reads out of the page: which chats and messages it answers with, in which order, and where it ends.

import assert from "node:assert/strict";
import { test } from "node:test";

import { valueOf } from "./support.mjs";

const wid = (text) => ({
  user: text.split("@")[0], isLid: () => text.endsWith("@lid"), isGroup: () => text.endsWith("@g.us"), toString: () => text,
});
const CHAT = "5491150002222@c.us";
const msg = (nth, { t = 1000 + nth, chat = CHAT, ...more } = {}) => {
  const text = `false_${chat}_KEY${nth}`;
  return { id: { id: `KEY${nth}`, remote: wid(chat), fromMe: false, toString: () => text }, type: "chat", body: `${nth}`, t, rowId: 2e9 + nth, ...more };
};

/** The script in a page with these chats, whose store has these messages. */
function page({ chats = [{ id: wid(CHAT), t: 2000 }], stored = [], newestFirst = false, groups, phone } = {}) {
  const PAGE = 50;
  const asked = [];
  const search = async (chat, before) => {
    asked.push(before && String(before));
    const of = stored.filter(({ id }) => String(id.remote) === String(chat.id)).sort((a, b) => a.t - b.t || a.rowId - b.rowId);
    const end = before ? of.findIndex(({ id }) => String(id) === String(before)) : of.length;
    const found = of.slice(Math.max(0, end - PAGE), Math.max(0, end));
    return newestFirst ? found.reverse() : found;
  };
  const byId = new Map(chats.map((chat) => [String(chat.id), chat]));
  const sources = {
    Chats: { getModelsArray: () => chats, get: (id) => byId.get(String(id)) }, find: search, createWid: wid, Groups: groups,
    lidOf: (number) => (String(number) === CHAT ? wid("99@lid") : undefined), numberOf: (lid) => (String(lid) === "99@lid" ? wid(CHAT) : undefined),
    Messages: { getModelsArray: () => [], getMessagesById: async (ids) => ({ messages: stored.filter(({ id }) => ids.includes(String(id))) }) },
  };
  const person = (given) => ({ phone: String(given).endsWith("@lid") ? null : String(given).split("@")[0], lid: null, name: null });
  const parts = {
    sources, search, person, isHeard: (id) => /@(c\.us|lid|g\.us)$/.test(String(id)), isGroup: (id) => String(id).endsWith("@g.us"),
    isNoMessage: ({ type }) => type === "gp2", me: () => ({ phone: "1", lid: null }), shorter: (text) => text ?? null, cut: String,
    contentOf: ({ id, type, body }) => ({ id: String(id), key: id.id, kind: type, text: body }), stateOf: (ack) => ["sent", "delivered", "read"][ack - 1],
    chosenBy: () => "modules",
  };
  const shared = {
    hearing: { parts }, nameOf: String, resolve: () => phone, collection: () => undefined, inventory: { names: () => [] },
    content: { idsOf: (before, chat) => (before.includes("_") ? [before] : [`true_${chat}_${before}`, `false_${chat}_${before}`]) },
  };
  // What waits long is a limit that no test reaches.
  const later = (act, ms) => (ms >= 5000 ? setTimeout(act, 1e6).unref() : setTimeout(act, 1));
  const { commands } = valueOf("src/whatsapp/page/reading.js", { setTimeout: later, performance, JSON, Number, Math, Set, String, Promise, Error })(shared);
  const read = async (command, argument) => JSON.parse((await commands[command](argument)).answer);
  return { read, asked };
}

const texts = (answer) => answer.messages.map(({ text }) => Number(text));
const down = (from, to) => Array.from({ length: from - to + 1 }, (_, nth) => from - nth);

for (const newestFirst of [false, true]) {
  test(`messages are paged through once each, the newest first, whichever end the store gives first (${newestFirst})`, async () => {
    // Many of one second: their order is that in which they were stored.
    const stored = Array.from({ length: 173 }, (_, nth) => msg(nth, { t: 1000 + Math.floor(nth / 7) }));
    const { read } = page({ stored, newestFirst });
    const all = [];
    let before = null;
    do {
      const answer = await read("readMessages", { chat: CHAT, before, limit: 20, fetch: false });
      all.push(...texts(answer));
      before = answer.next;
    } while (before);
    assert.deepEqual(all, down(172, 0));
  });
}

test("notices are no messages, and a chat that ends with them has an end", async () => {
  const stored = Array.from({ length: 120 }, (_, nth) => msg(nth, nth % 2 ? {} : { type: "gp2" }));
  const answer = await page({ stored }).read("readMessages", { chat: CHAT, before: null, limit: 200, fetch: false });
  assert.equal(answer.messages.length, 60);
  assert.equal(answer.next, null);
  assert.equal(answer.older, "unknown");
});

test("an answer ends where it gets too long, and the next one goes on there", async () => {
  const stored = Array.from({ length: 40 }, (_, nth) => msg(nth, { body: `${nth}`.padStart(60_000, "0") }));
  const { read } = page({ stored });
  const first = await read("readMessages", { chat: CHAT, before: null, limit: 200, fetch: false });
  assert.ok(first.messages.length < 20 && first.messages.length > 10, first.messages.length);
  const second = await read("readMessages", { chat: CHAT, before: first.next, limit: 1, fetch: false });
  assert.deepEqual(texts(second), [39 - first.messages.length]);
});

test("a text that was cut in an emoji is read with a sign in the place of its half", async () => {
  const answer = await page({ stored: [msg(1, { body: "hola \ud83d" })] }).read("readMessages", { chat: CHAT, before: null, limit: 1, fetch: false });
  assert.equal(answer.messages[0].text, "hola \ufffd");
});

test("a message that was deleted keeps its own key, and its place is that of its row", async () => {
  const meant = msg(2).id;
  const stored = [msg(1), msg(2, { type: "revoked", body: undefined, protocolMessageKey: { ...meant, id: "OWN" } }), msg(3)];
  const answer = await page({ stored }).read("readMessages", { chat: CHAT, before: null, limit: 2, fetch: false });
  assert.deepEqual(answer.messages.map(({ key, is_revoked: gone }) => [key, gone]), [["KEY3", false], ["OWN", true]]);
  assert.equal(answer.next, `false_${CHAT}_KEY2`);
});

test("the phone is asked once when there is no more, and only if it has more", async () => {
  const chat = { id: wid(CHAT), t: 2000, endOfHistoryTransferType: 0 };
  const stored = [msg(7), msg(8)];
  const asked = [];
  const phone = async (type, { chatId }) => {
    asked.push([type, String(chatId)]);
    setTimeout(() => { stored.unshift(msg(5), msg(6)); chat.endOfHistoryTransferType = 1; }, 5);
  };
  const { read } = page({ chats: [chat], stored, phone });
  const without = await read("readMessages", { chat: CHAT, before: null, limit: 50, fetch: false });
  assert.deepEqual([texts(without), without.older, without.is_fetched], [[8, 7], "phone", undefined]);
  const all = await read("readMessages", { chat: CHAT, before: null, limit: 50, fetch: true });
  assert.deepEqual([texts(all), all.older, all.is_fetched], [[8, 7, 6, 5], "none", true]);
  assert.deepEqual(asked, [[3, CHAT]]);
  const again = await read("readMessages", { chat: CHAT, before: null, limit: 50, fetch: true });
  assert.equal(again.is_fetched, false);
  assert.equal(asked.length, 1);
});

test("what a build cannot do, what is not there and what is only seen are told apart", async () => {
  const chat = { id: wid(CHAT), t: 2000, endOfHistoryTransferType: 0 };
  const { read } = page({ chats: [chat] });
  await assert.rejects(read("readMessages", { chat: CHAT, before: null, limit: 1, fetch: true }), { code: "NO_FETCH" });
  await assert.rejects(read("readMessages", { chat: "5491150003333@c.us", before: null, limit: 1 }), { code: "NO_CHAT" });
  await assert.rejects(read("readMessages", { chat: CHAT, before: "KEY9", limit: 1 }), { code: "NO_ANCHOR" });
  await assert.rejects(read("readMessages", { chat: "status@broadcast", before: null, limit: 1 }), { code: "NO_CHAT" });
  const seen = valueOf("src/whatsapp/page/reading.js", {})({ hearing: { parts: { sources: {}, chosenBy: () => "dom" } } });
  await assert.rejects(seen.commands.readChats({ limit: 1 }), { code: "NO_READING" });
});

test("a chat is found by the other address of its person", async () => {
  const { read } = page({ stored: [msg(1)] });
  const answer = await read("readMessages", { chat: "99@lid", before: null, limit: 5, fetch: false });
  assert.deepEqual([answer.chat, texts(answer)], [CHAT, [1]]);
});

test("chats come in the order of their last message, each once, and neither status updates nor channels", async () => {
  const chats = Array.from({ length: 25 }, (_, nth) => ({ id: wid(`54911500${10 + nth}000@c.us`), t: 5000 - Math.floor(nth / 3), unreadCount: nth === 0 ? -1 : nth }));
  chats.push({ id: wid("status@broadcast"), t: 9000 }, { id: wid("12036301@newsletter"), t: 9001 });
  const { read } = page({ chats });
  const all = [];
  let after = null;
  do {
    const { chats: some, next } = await read("readChats", { after, limit: 4 });
    all.push(...some);
    after = next;
  } while (after);
  assert.deepEqual(all.map(({ chat }) => chat), chats.slice(0, 25).map(({ id }) => String(id)));
  assert.deepEqual([all[0].unread_count, all[0].is_marked_unread, all[3].unread_count], [0, true, 3]);
});

test("a group's members are asked for when the page does not know them, and a page that hangs there is given up", async () => {
  const group = { id: wid("120@g.us"), t: 1, formattedTitle: "Equipo" };
  const members = [{ id: wid("1@c.us"), isAdmin: true }, { id: wid("5491150002222@c.us"), isSuperAdmin: true }];
  const groups = { find: async () => { group.groupMetadata = { subject: "Equipo", participants: { length: 2, getModelsArray: () => members } }; } };
  const answer = await page({ chats: [group], groups }).read("readGroup", { chat: "120@g.us" });
  assert.deepEqual(answer.participants.map(({ phone, is_me: me, is_admin: admin, is_super_admin: founder }) => [phone, me, admin, founder]), [
    ["1", true, true, false], ["5491150002222", false, true, true],
  ]);
  assert.equal(answer.address_mode, "number");
});
