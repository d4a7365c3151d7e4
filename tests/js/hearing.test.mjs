// The script that keeps what a page hears: what is kept, in which order, and until when.

import assert from "node:assert/strict";
import { test } from "node:test";

import { valueOf } from "./support.mjs";

/** A page whose collections speak when a test says so. */
function page() {
  const said = [];
  const shared = { wordOf: String };
  const hearing = valueOf("src/whatsapp/page/hearing.js", { setTimeout, clearTimeout, performance, Date, Math, JSON })((fact) => said.push(fact), shared);
  const listeners = new Map();
  const tell = (event, ...more) => listeners.get(event)?.(...more);
  const messages = { on: (event, listener) => listeners.set(event, listener), processMultipleMessages: () => "done" };
  const stored = [];
  const chats = { getModelsArray: () => [...new Set(stored.map((msg) => msg.id.remote))].map((id) => ({ id, t: 2e9 })), get: () => undefined };
  const find = async (chat, before) => (before ? [] : stored.filter((msg) => msg.id.remote === chat.id));
  hearing.shared.attach("modules", { Messages: messages, Chats: chats, find, me: () => ({ number: "5491150000001@c.us", lid: "9@lid" }) });
  const ask = (more = {}) => {
    const answer = hearing.commands.hear({ document: null, upto: 0, since: 0, overlap: 600_000, floor: 0, reach: 0, walks: 0, ...more });
    return { ...answer, events: JSON.parse(answer.events) };
  };
  const confirm = ({ document, upto }, more) => ask({ document, upto, ...more });
  return { said, hearing, messages, stored, tell, ask, confirm };
}

function message(key, more = {}) {
  const { remote = "5491150002222@c.us", fromMe = false, ...rest } = more;
  const id = { id: key, remote, fromMe, toString: () => `${fromMe}_${remote}_${key}` };
  return { id, type: "chat", body: `text of ${key}`, t: 1_700_000_000, ack: 1, isNewMsg: true, recvFresh: true, from: remote, ...rest };
}

test("what was heard comes again until it is confirmed, and the service is called once", () => {
  const { said, tell, ask, confirm } = page();
  assert.deepEqual(said.map(({ kind }) => kind), ["heard"], "its listeners are there");
  assert.deepEqual(ask().events, []);
  tell("add", message("3A01"));
  tell("add", message("3A02"));
  tell("add", message("3A02"));
  assert.equal(said.length, 2);
  const first = ask();
  assert.deepEqual(first.events.map(({ data }) => data.key), ["3A01", "3A02"]);
  assert.deepEqual(ask().events.map(({ n }) => n), [1, 2], "nothing was confirmed");
  const waited = ask().waited;
  assert.ok(waited.length === 2 && waited[0] >= waited[1] && waited[1] >= first.waited[1], "how long each has waited");
  assert.deepEqual(confirm({ ...first, document: "another" }).events.length, 2, "by another document");
  tell("add", message("3A03"));
  assert.deepEqual(confirm(first).events.map(({ data }) => data.key), ["3A03"]);
  assert.equal(said.length, 2, "the service asks until nothing is left");
});

test("an own message is heard once the server has it, and no status, channel or notice ever", () => {
  const { tell, ask } = page();
  const own = message("3EB0", { fromMe: true, ack: 0, local: true, recvFresh: undefined });
  tell("add", own);
  assert.deepEqual(ask().events, []);
  own.ack = 1;
  tell("change:ack", own);
  for (const remote of ["status@broadcast", "120363012345678901@newsletter", "0@c.us"]) tell("add", message(`3B${remote}`, { remote }));
  for (const type of ["gp2", "e2e_notification", "protocol", "call_log"]) tell("add", message(`3C${type}`, { type }));
  tell("add", message("3D01", { isMdHistoryMsg: true }));
  tell("add", message("3D02", { rowId: 17 }));
  tell("add", message("3D03", { type: "ciphertext", subtype: "view_once_unavailable_fanout" }));
  tell("add", message("3D04", { isNewMsg: false }));
  const { events } = ask();
  assert.deepEqual(events.map(({ kind }) => kind), ["message.own", "message.ack"]);
  assert.equal(events[0].own, "3EB0");
  assert.equal(events[0].data.from.phone, "5491150000001");
});

test("what does not fit is left to the walk, which gives it late and says when all has been said", async () => {
  const { tell, stored, ask, confirm } = page();
  let batch = ask({ walks: 1, since: 1, reach: 1 });
  await new Promise((done) => setTimeout(done, 10));
  batch = confirm(batch, { walks: 1, since: 1, reach: 1 });
  assert.equal(batch.events.at(-1).kind, "until");
  batch = confirm(batch, { walks: 1, since: 1, reach: 1 });
  const heard = new Map();
  const late = new Set();
  for (let nth = 0; nth < 5000; nth += 1) {
    const msg = message(`3A${nth}`, { t: 1_700_000_000 + nth });
    stored.push({ ...msg, isNewMsg: undefined, recvFresh: undefined });
    tell("add", msg);
  }
  for (let rounds = 0; rounds < 200 && heard.size < 5000; rounds += 1) {
    batch = confirm(batch, { walks: 1, since: 1, reach: 1 });
    for (const event of batch.events) {
      if (event.kind !== "message") continue;
      heard.set(event.data.key, (heard.get(event.data.key) ?? 0) + 1);
      if (event.late) late.add(event.data.key);
    }
    await new Promise((done) => setTimeout(done, 1));
  }
  assert.equal(heard.size, 5000);
  assert.equal(late.size, 3000, "what did not fit");
});

test("what happened before the service listened is none of its events, unless the page hears it now", () => {
  const { tell, hearing, messages, ask } = page();
  const at = 1_700_000_000_000;
  tell("add", message("3A01", { isOffline: true }));
  tell("add", message("3A02"));
  assert.equal(messages.processMultipleMessages("chat", []), "done", "the page's own function does its work");
  const table = { bulkUpsert: async () => {} };
  hearing.shared.attach("modules", { reactions: table });
  const reaction = (key, reactionTimestamp) => ({ id: message(key).id, reactionParentKey: message("3A02").id, reactionText: "👍", reactionTimestamp, from: "5491150002222@c.us" });
  table.bulkUpsert([reaction("3B01", at - 5000), reaction("3B02", at + 5000)]);
  const receipts = { handleChatSimpleReceipt: async () => {} };
  hearing.shared.attach("modules", { receipts });
  for (const from of ["5491150002222@c.us", "5491150000001@c.us", "9@lid"]) receipts.handleChatSimpleReceipt({ ack: 3, ackString: "read", from, externalIds: ["3EB0"], ts: 1 });
  const { events } = ask({ floor: at + 1000 });
  // A receipt of the account's own devices is about what came in.
  assert.deepEqual(events.map(({ once }) => once), ["message in person 3A02", "reaction person 3B02", "ack person 3EB0 3"]);
});

test("a number that the log lacks is said once the page knows it, by an event or without one", () => {
  const { hearing, ask, confirm } = page();
  const numbers = new Map([["11@lid", "5491150004444@c.us"]]);
  const listeners = new Map();
  const contacts = { on: (event, listener) => listeners.set(event, listener), get: () => ({ pushname: "Eva" }) };
  hearing.shared.attach("modules", { Contacts: contacts, createWid: (text) => text, numberOf: (lid) => numbers.get(lid) });
  const numberless = [11, 12].map((lid) => ({ lid: `${lid}@lid`, chat: `${lid}@lid`, key: `3A${lid}` }));
  const first = ask({ numberless });
  assert.deepEqual(first.events.map(({ kind, once, late }) => `${kind} ${once} ${late}`), ["message.resolved number 11@lid true"]);
  assert.equal(first.events[0].data.from.phone, "5491150004444");
  assert.equal(first.events[0].data.key, "3A11");
  listeners.get("change:phoneNumber")({ id: "12@lid" }, "5491150005555@c.us");
  const second = confirm(first);
  assert.deepEqual(second.events.map(({ once, late }) => `${once} ${late}`), ["number 12@lid false"]);
  listeners.get("change:phoneNumber")({ id: "12@lid" }, "5491150005555@c.us");
  assert.deepEqual(confirm(second).events, [], "once");
});
