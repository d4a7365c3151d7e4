// The script that keeps what a page hears: what is kept, in which order, and until when.

import assert from "node:assert/strict";
import { test } from "node:test";

import { valueOf } from "./support.mjs";

/** What a question asks that has all of the store looked through. */
const WALK = { walks: 1, since: 1, reach: 1 };

/** A page whose collections speak when a test says so, and whose long waits end when a test says so. */
function page({ searches = true } = {}) {
  const said = [];
  const shared = { wordOf: String };
  const later = [];
  const wait = (act, ms) => (ms >= 1000 ? later.push([ms, act]) : setTimeout(act, ms));
  const hearing = valueOf("src/whatsapp/page/hearing.js", { setTimeout: wait, clearTimeout, performance, Date, Math, JSON })((fact) => said.push(fact), shared);
  const listeners = new Map();
  const tell = (event, ...more) => listeners.get(event)?.(...more);
  const messages = { on: (event, listener) => listeners.set(event, listener), processMultipleMessages: () => "done" };
  const stored = [];
  const chats = { getModelsArray: () => [...new Set(stored.map((msg) => msg.id.remote))].map((id) => ({ id, t: 2e9 })), get: () => undefined };
  const PAGE = 50;
  let search = (of) => of;
  const find = async (chat, before) => {
    const of = stored.filter((msg) => msg.id.remote === chat.id);
    const end = before ? of.findIndex(({ id }) => id === before) : of.length;
    return search(of.slice(Math.max(0, end - PAGE), end));
  };
  /** Has each search of the store wait until the answer is called. */
  const holdSearches = () => {
    let proceed;
    const open = new Promise((resolve) => { proceed = resolve; });
    search = (of) => open.then(() => of);
    return proceed;
  };
  hearing.shared.attach("modules", { Messages: messages, Chats: chats, find: searches ? find : undefined, me: () => ({ number: "5491150000001@c.us", lid: "9@lid" }) });
  const ask = (more = {}) => {
    const answer = hearing.commands.hear({ document: null, upto: 0, since: 0, floor: 0, reach: 0, walks: 0, ...more });
    return { ...answer, events: answer.events === "" ? [] : answer.events.split("\n").map((line) => JSON.parse(line)) };
  };
  const confirm = ({ document, upto }, more) => ask({ document, upto, ...more });
  const pass = (ms) => { for (const [, act] of later.filter(([of]) => of === ms)) act(); };
  /** Fetches until nothing is left, and confirms it. */
  const all = async (more = WALK) => {
    const events = [];
    let batch = ask(more);
    for (let empty = 0; empty < 10; empty = batch.events.length > 0 ? 0 : empty + 1) {
      events.push(...batch.events);
      await new Promise((done) => setTimeout(done, 1));
      batch = confirm(batch, more);
    }
    return events.filter(({ kind }) => kind !== "until");
  };
  return { said, hearing, messages, stored, tell, ask, confirm, pass, all, holdSearches };
}

const keys = (events) => events.map(({ data }) => data.key);
/** As the store gives it. */
const row = (msg) => ({ ...msg, isNewMsg: undefined, recvFresh: undefined });

function message(key, more = {}) {
  const { remote = "5491150002222@c.us", fromMe = false, ...rest } = more;
  const id = { id: key, remote, fromMe, toString: () => `${fromMe}_${remote}_${key}` };
  return { id, type: "chat", body: `text of ${key}`, t: 1_700_000_000, ack: 1, isNewMsg: true, recvFresh: true, from: remote, ...rest };
}

test("what was heard comes again until it is confirmed, and the service is called once", async () => {
  const { said, tell, ask, confirm, all } = page();
  assert.deepEqual(said.map(({ kind }) => kind), ["heard"], "its listeners are there");
  assert.deepEqual(await all(), []);
  said.length = 1;
  tell("add", message("3A01"));
  tell("add", message("3A02"));
  tell("add", message("3A02"));
  assert.equal(said.length, 2);
  const first = ask();
  assert.deepEqual(first.events.map(({ data }) => data.key), ["3A01", "3A02"]);
  assert.deepEqual(keys(ask().events), ["3A01", "3A02"], "nothing was confirmed");
  assert.deepEqual(confirm({ ...first, document: "another" }).events.length, 2, "by another document");
  tell("add", message("3A03"));
  assert.deepEqual(confirm(first).events.map(({ data }) => data.key), ["3A03"]);
  assert.equal(said.length, 2, "the service asks until nothing is left");
});

test("a place has its name and its address apart again, and a poll says how many options a person may choose", async () => {
  const { tell, ask, all } = page();
  await all();
  const place = { type: "location", lat: 1, lng: 2, body: undefined };
  tell("add", message("3A01", { ...place, loc: "Obelisco\nAv. 9\nCABA" }));
  tell("add", message("3A02", { ...place, loc: "Obelisco" }));
  tell("add", message("3A03", place));
  tell("add", message("3A04", { type: "poll_creation", pollName: "?", pollOptions: [{ name: "a" }], pollSelectableOptionsCount: 1 }));
  const said = ask().events.map(({ data }) => data);
  assert.deepEqual(said[0].location, { latitude: 1, longitude: 2, name: "Obelisco", address: "Av. 9\nCABA" });
  assert.deepEqual(said[1].location, { latitude: 1, longitude: 2, name: "Obelisco" });
  assert.deepEqual(said[2].location, { latitude: 1, longitude: 2, name: null });
  assert.equal(said[3].poll.choices, 1);
});

test("an own message is heard once the server has it, and no status, channel or notice ever", async () => {
  const { tell, ask, all } = page();
  await all();
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

test("what happens to a group is heard by the line that WhatsApp writes into its chat, and each thing once", async () => {
  const { tell, ask, all } = page();
  await all();
  const [me, ana, beto] = ["5491150000001@c.us", "5491150002222@c.us", "5491150003333@c.us"];
  const line = (key, subtype, more = {}) => tell("add", message(key, { remote: "120@g.us", type: "gp2", subtype, author: ana, recipients: [], body: undefined, ...more }));
  line("1", "create", { body: "Equipo" });
  line("1", "add", { recipients: [me] });
  line("1", "add", { recipients: [me] });
  line("2", "create", { author: me, body: "Mío" });
  line("3", "add", { recipients: [me, beto] });
  line("4", "invite", { author: beto, recipients: [beto] });
  line("5", "promote", { recipients: [me] });
  line("6", "subject", { body: "Familia" });
  line("7", "description");
  line("8", "picture", { body: "set" });
  line("9", "announce", { body: "on" });
  line("10", "leave", { author: me, recipients: [me] });
  line("11", "membership_approval_request");
  line("12", "subject", { body: "vieja", isMdHistoryMsg: true });
  tell("add", message("13", { type: "gp2", subtype: "subject", body: "a chat is no group" }));
  const { events } = ask();
  const short = ({ kind, data: { how, action, what, participants, by } }) => [kind, how ?? action ?? what, ...(participants ?? []).map(({ phone }) => phone), by?.phone];
  assert.deepEqual(events.map(short), [
    ["group.joined", "added", "5491150002222"], ["group.joined", "created", "5491150000001"],
    ["group.joined", "added", "5491150002222"], ["group.participants", "added", "5491150003333", "5491150002222"],
    ["group.participants", "joined", "5491150003333", "5491150003333"], ["group.participants", "promoted", "5491150000001", "5491150002222"],
    ["group.updated", "subject", "5491150002222"], ["group.updated", "description", "5491150002222"], ["group.updated", "picture", "5491150002222"],
    ["group.updated", "setting", "5491150002222"], ["group.left", "left", "5491150000001"],
  ]);
  const [, , , , , , subject, described, picture, setting] = events.map(({ data }) => data);
  assert.deepEqual([subject.subject, subject.group_name, described.description, picture.setting, setting.setting], ["Familia", "Familia", undefined, undefined, "announce"]);
});

test("what does not fit is left to the walk, which gives it late and says when all has been said", async () => {
  const { tell, stored, ask, confirm } = page();
  stored.push(row(message("3A", { t: 1_600_000_000 })));
  let batch = ask({ walks: 1, since: 1, reach: 1 });
  await new Promise((done) => setTimeout(done, 10));
  batch = confirm(batch, { walks: 1, since: 1, reach: 1 });
  assert.deepEqual([batch.events.at(-1).kind, batch.events.at(-1).at], ["until", 1_600_000_000_000]);
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

test("what happened before the service listened is none of its events, unless the page hears it now", async () => {
  const { tell, hearing, messages, ask, all } = page();
  await all();
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

test("what is heard while a page starts comes behind what its store has of the same chat, and is not late", async () => {
  const { tell, stored, all, holdSearches } = page();
  const before = [1, 2, 3].map((nth) => message(`3A0${nth}`, { t: 1_700_000_000 + nth }));
  const now = [4, 5].map((nth) => message(`3A0${nth}`, { t: 1_700_000_000 + nth }));
  stored.push(...before.map(row), row(now[0]));
  tell("add", now[0]);
  const proceed = holdSearches();
  assert.deepEqual(await all(), [], "the walk has not ended");
  tell("add", now[1]);
  assert.deepEqual(await all(), []);
  proceed();
  const events = await all();
  assert.deepEqual(keys(events), ["3A01", "3A02", "3A03", "3A04", "3A05"]);
  assert.deepEqual(events.map(({ late }) => late), [true, true, true, false, false]);
  tell("add", message("3A06"));
  assert.deepEqual(keys(await all()), ["3A06"], "from then on at once");
});

test("the walk of a page that reloads waits until the page has what waited at the server", async () => {
  const { hearing, tell, stored, all } = page();
  const Backend = { isMainStreamReadyMd: false };
  hearing.shared.attach("modules", { Backend });
  stored.push(row(message("3A01")));
  assert.deepEqual(await all(), []);
  stored.push(row(message("3A02")));
  Backend.isMainStreamReadyMd = true;
  const now = message("3A03");
  stored.push(row(now));
  tell("add", now);
  await new Promise((done) => setTimeout(done, 150));
  assert.deepEqual(keys(await all()), ["3A01", "3A02", "3A03"]);
});

test("a chat is told in its order also where a second or a page of the store has many messages", async () => {
  const { stored, all } = page();
  const keysOfAll = [];
  for (let nth = 0; nth < 230; nth += 1) {
    const key = `3A${nth}`;
    keysOfAll.push(key);
    stored.push(row(message(key, { t: 1_700_000_000 + Math.floor(nth / 120) })));
  }
  assert.deepEqual(keys(await all()), keysOfAll);
});

test("the store's own numbers have the last word within a second", async () => {
  const { stored, all } = page();
  for (const nth of [3, 1, 2]) stored.push(row(message(`3A0${nth}`, { rowId: 1e9 + nth })));
  assert.deepEqual(keys(await all()), ["3A01", "3A02", "3A03"]);
});

test("more than a page can keep is told in order, and what comes after it behind it", async () => {
  const { tell, stored, ask, confirm, all } = page();
  await all();
  const keysOfAll = [];
  const comes = () => {
    const nth = keysOfAll.length;
    const msg = message(`3A${nth}`, { t: 1_700_000_000 + nth });
    keysOfAll.push(msg.id.id);
    stored.push(row(msg));
    tell("add", msg);
  };
  for (let nth = 0; nth < 5000; nth += 1) comes();
  // There is room again before the walk begins.
  const first = ask(WALK);
  const second = confirm(first, WALK);
  comes();
  const third = confirm(second, WALK);
  comes();
  const rest = await all();
  const told = keys([...first.events, ...second.events, ...third.events, ...rest]);
  assert.deepEqual([...new Set(told)], keysOfAll);
});

test("what is held back is told after a minute without a walk, and at once when the store does not answer", async () => {
  const { tell, ask, pass } = page();
  tell("add", message("3A01"));
  assert.deepEqual(ask().events, []);
  pass(60_000);
  assert.deepEqual(keys(ask().events), ["3A01"]);

  const hangs = page();
  hangs.stored.push(row(message("3B00")));
  hangs.holdSearches();
  hangs.ask(WALK);
  hangs.tell("add", message("3B01"));
  assert.deepEqual(await hangs.all(), []);
  hangs.pass(10_000);
  await new Promise((done) => setTimeout(done, 10));
  assert.deepEqual(keys(hangs.ask(WALK).events), ["3B01"]);
});

test("what a sender makes of sizes and letters is read by the service, and no text is longer than WhatsApp takes", async () => {
  const { tell, ask, all } = page();
  await all();
  const filename = `${"a".repeat(299)}\u{1F600}.pdf`;
  tell("add", message("3A01", { type: "document", filename, size: "18446744073709551615", caption: "c".repeat(70_000), mimetype: "application/pdf" }));
  tell("add", message("3A02", { body: "b".repeat(70_000), mentionedJidList: Array.from({ length: 400 }, (_, nth) => `${nth}@c.us`) }));
  const [first, second] = ask().events;
  assert.equal(first.data.media.bytes, null, "more than any number that can be kept");
  assert.equal(first.data.media.filename, `${"a".repeat(299)}\uFFFD`);
  assert.deepEqual([first.data.caption.length, second.data.text.length, second.data.mentions.length], [65_536, 65_536, 300]);
});

test("an acknowledgement makes no event of a message from before the service listened, or that is too old to be recognised", async () => {
  const { tell, ask, all } = page();
  const own = (key, more) => message(key, { fromMe: true, local: true, recvFresh: undefined, ack: 2, ...more });
  const floor = Date.now() - 60 * 24 * 3_600_000;
  const seconds = (days) => Math.floor(Date.now() / 1000) - days * 24 * 3600;
  await all({ walks: 1, since: floor, reach: floor, floor });
  const asked = { floor, since: floor };
  for (const [key, t] of [["3E61", seconds(61)], ["3E32", seconds(32)], ["3E01", seconds(1)]]) tell("change:ack", own(key, { t }));
  // Its own clock is wrong by a year, and it has sent this one itself.
  const sent = own("3E00", { t: seconds(365), ack: 0 });
  tell("add", sent);
  sent.ack = 1;
  tell("change:ack", sent);
  const { events } = ask(asked);
  assert.deepEqual(keys(events.filter(({ kind }) => kind === "message.own")), ["3E01", "3E00"]);
  assert.deepEqual(keys(events.filter(({ kind }) => kind === "message.ack")), ["3E61", "3E32", "3E01", "3E00"]);
});

test("a clock that is wrong does not say how far the page has heard", async () => {
  const { stored, ask, confirm, pass } = page();
  const ahead = Date.now() + 4 * 24 * 3_600_000;
  stored.push(row(message("3E00", { fromMe: true, t: ahead / 1000 })));
  let batch = ask({ walks: 1, since: ahead - 600_000, reach: ahead - 24 * 3_600_000 });
  await new Promise((done) => setTimeout(done, 10));
  pass(2000);
  const untils = [];
  for (let empty = 0; empty < 3; empty = batch.events.length > 0 ? 0 : empty + 1) {
    untils.push(...batch.events.filter(({ kind }) => kind === "until"));
    batch = confirm(batch);
    await new Promise((done) => setTimeout(done, 1));
  }
  assert.deepEqual(untils, []);
  assert.equal(batch.is_walking, false);
});

test("a page that cannot search its store hears on after more came than it can keep", async () => {
  const { tell, confirm } = page({ searches: false });
  let nth = 0;
  const flood = (count) => { for (let end = nth + count; nth < end; nth += 1) tell("add", message(`3A${nth}`, { t: 1_700_000_000 + nth })); };
  flood(2500);
  let batch = { document: null, upto: 0 };
  const fetch = () => {
    const events = [];
    do {
      batch = confirm(batch);
      events.push(...batch.events);
    } while (batch.events.length > 0);
    return events;
  };
  assert.equal(fetch().length, 2000);
  assert.match(confirm(batch).trouble, /more came at once/);
  flood(10);
  assert.equal(fetch().length, 10, "what comes later is heard");
});

test("what became of a message of the last seconds comes behind that message", async () => {
  const { stored, hearing, all, pass } = page();
  const t = Math.floor(Date.now() / 1000) - 2;
  const key = { id: "3E0F", toString: () => "3E0F" };
  const young = message("3A01", { t, latestEditMsgKey: key, latestEditSenderTimestampMs: t * 1000 });
  stored.push(row(young));
  const reaction = { id: { id: "3E0E", fromMe: false }, reactionParentKey: young.id, reactionText: "👍", reactionTimestamp: t * 1000, from: young.id.remote };
  hearing.shared.attach("modules", { reactions: { bulkUpsert: () => {}, bulkGetByParentMsgKey: async () => [reaction] } });
  const heard = all({ walks: 1, since: (t - 600) * 1000, reach: (t - 600) * 1000 });
  await new Promise((done) => setTimeout(done, 8));
  pass(2000);
  assert.deepEqual((await heard).map(({ kind }) => kind), ["message", "message.edited", "message.reaction"]);
});

test("an edit by a clock that goes slow is found when a page begins", async () => {
  const { stored, all } = page();
  const t = Math.floor(Date.now() / 1000) - 3600;
  const key = { id: "3E0F", toString: () => "3E0F" };
  stored.push(row(message("3A01", { t, latestEditMsgKey: key, latestEditSenderTimestampMs: (t - 1200) * 1000 })));
  const since = (t + 600) * 1000;
  const events = await all({ walks: 1, since, reach: since - 24 * 3_600_000 });
  assert.deepEqual(events.map(({ kind }) => kind), ["message.edited"], "the message itself was heard before");
});

test("a message of another person under the same id is another one, and each says whose it is", async () => {
  const { tell, stored, ask, all } = page();
  const [ana, beto, group] = ["5491150002222@c.us", "77@lid", "120@g.us"];
  const heard = [
    message("3A01", { remote: ana }), message("3A01", { remote: ana }), message("3A01", { remote: beto }),
    message("3A01", { remote: group, author: ana }), message("3A01", { remote: group, author: beto }), message("3A01", { remote: group, author: beto }),
  ];
  // The first ones are held back, until the walk has found them as well.
  for (const msg of heard) tell("add", msg);
  stored.push(...heard.filter((msg, nth) => ![1, 5].includes(nth)).map(row));
  const events = await all();
  assert.deepEqual(events.map(({ once, who }) => [once, who.phone ?? who.lid]), [
    ["message in person 3A01", "5491150002222"], ["message in person 3A01", beto], [`message in ${group} 3A01`, "5491150002222"], [`message in ${group} 3A01`, beto],
  ]);
  for (const msg of heard) tell("add", msg);
  assert.deepEqual(ask().events, []);
  tell("add", message("3EB0", { remote: group, fromMe: true }));
  assert.equal(ask().events[0].who, null, "this account's own in a group are nobody else's");
});
