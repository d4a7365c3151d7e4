// The scripts that run inside WhatsApp Web: the frame around the adapters, and how a message is found again.

import assert from "node:assert/strict";
import { test } from "node:test";

import { valueOf } from "./support.mjs";

/** A page with these adapters: what it told the service, and how the service calls it. */
function bridged(adapters, shared = {}) {
  const told = [];
  const window = { report: (text) => told.push(JSON.parse(text)) };
  window.top = window;
  const bridge = valueOf("src/whatsapp/page/bridge.js", { window });
  bridge("report", "entry", adapters, shared);
  return { told, bridge, window, call: window.entry };
}

test("a document speaks once, and each adapter under its name", () => {
  const { told, bridge } = bridged({ one: (say) => (say({ kind: "view" }), {}) });
  assert.deepEqual(told, [{ adapter: "bridge", kind: "document" }, { kind: "view", adapter: "one" }]);
  bridge("report", "entry", { one: (say) => say({ kind: "view" }) }, {});
  assert.equal(told.length, 2, "a second run in one document says nothing");
});

test("an adapter that cannot be made is reported, and the others serve", async () => {
  const { told, call } = bridged({ broken: () => { throw new Error("no registry"); }, whole: (_say, shared) => ({ twice: (n) => n * shared.two }) }, { two: 2 });
  assert.deepEqual(told[1], { adapter: "broken", kind: "broken", detail: "Error: no registry" });
  assert.equal((await call("whole", "twice", 4)).ok, 8);
});

test("a command answers a value or an error, and never throws", async () => {
  const adapter = () => ({
    nothing: () => undefined,
    named: () => { throw Object.assign(new Error("5491158254201 is not on it"), { code: "NOT_ON_WHATSAPP" }); },
    plain: () => Promise.reject(new Error("odd")),
  });
  const { call } = bridged({ one: adapter });
  const answer = async (command, name = "one") => JSON.parse(JSON.stringify(await call(name, command)));
  assert.deepEqual(await answer("nothing"), { ok: null });
  assert.deepEqual(await answer("named"), { error: { code: "NOT_ON_WHATSAPP", detail: "… is not on it" } }, "a number is masked");
  assert.equal((await answer("plain")).error.code, "PAGE_ERROR");
  assert.equal((await answer("absent")).error.code, "NO_SUCH_COMMAND");
  assert.equal((await answer("plain", "two")).error.code, "NO_SUCH_COMMAND");
});

test("an error of JavaScript itself means that the page is not as the adapter takes it", async () => {
  // The page's own classes of errors, not those of this file.
  const window = { report() {} };
  window.top = window;
  const bridge = valueOf("src/whatsapp/page/bridge.js", { window, TypeError });
  bridge("report", "entry", { one: () => ({ misfit: () => { throw new TypeError("x is not a function"); } }) }, {});
  assert.equal((await window.entry("one", "misfit")).error.code, "MISFIT");
});

const { findMessage } = valueOf("src/whatsapp/page/whatsapp.js");
const KEY = "3EB0AA";
const own = (chat) => ({ id: { fromMe: true, id: KEY }, chat });
const idIn = (chat) => `true_${chat}_${KEY}`;
/** WhatsApp's collections: messages in memory, messages in its database by their full ids, and chats. */
function whatsapp({ shown = [], stored = {}, chats = [] }) {
  const asked = [];
  const messages = {
    get: () => undefined,
    getModelsArray: () => shown,
    async getMessagesById(ids) {
      asked.push(ids);
      return { messages: ids.map((id) => stored[id]).filter(Boolean) };
    },
  };
  const collection = { getModelsArray: () => chats.map((id) => ({ id: { isGroup: () => id.endsWith("@g.us"), toString: () => id } })) };
  const find = () => findMessage(messages, collection, { message_id: idIn("1@c.us"), key: KEY }, idIn);
  return { find, asked, messages };
}

test("a message is found in memory by its key, and only if it is an own one", async () => {
  const theirs = { id: { fromMe: false, id: KEY } };
  assert.equal(await whatsapp({ shown: [theirs] }).find(), null);
  const { find, asked } = whatsapp({ shown: [theirs, own("1@c.us")] });
  assert.equal((await find()).chat, "1@c.us");
  assert.deepEqual(asked, [], "what is in memory is not asked for");
});

test("a message is found in the database under its id, or in the chat that has moved to a LID", async () => {
  assert.equal((await whatsapp({ stored: { [idIn("1@c.us")]: own("1@c.us") } }).find()).chat, "1@c.us");
  const chats = [...Array.from({ length: 250 }, (_, at) => `${at + 2}@c.us`), "team@g.us", "9@lid"];
  const { find, asked } = whatsapp({ stored: { [idIn("9@lid")]: own("9@lid") }, chats });
  assert.equal((await find()).chat, "9@lid");
  assert.deepEqual(asked.map((ids) => ids.length), [1, 200, 51], "in parts, and in no group");
});

test("a store that cannot be asked is an error, and not an absent message", async () => {
  const { find, messages } = whatsapp({});
  delete messages.getMessagesById;
  await assert.rejects(find(), { code: "NO_LOOK_UP" });
});

/** WhatsApp's modules for Signal sessions: what was asked of them, in order. */
function signal({ without = [], left = false } = {}) {
  const asked = [];
  const wid = (text) => ({ toString: () => text, isLid: () => text.endsWith("@lid") });
  const modules = {
    WAWebWidFactory: { createWid: wid },
    WAWebUserPrefsMeUser: { getMaybeMePnUser: () => wid("549110@c.us"), getMaybeMeLidUser: () => wid("77@lid") },
    WAWebApiContact: { getCurrentLid: () => wid("99@lid"), getPhoneNumber: () => wid("549115@c.us") },
    WAWebQueryExistsJob: { queryWidExists: async () => ({ wid: wid("5491@c.us") }) },
    WAWebDBDeviceListFanout: { getFanOutList: async ({ wids: [one] }) => [wid(`${one}`), wid(`7:${one}`)] },
    WAWebSignalSessionApi: {
      deleteRemoteSession: async (device) => { asked.push(String(device)); },
      hasSignalSessions: async (devices) => devices.map(() => left),
    },
    WAWebSignalProtocolStore: { getSignalProtocolStore: () => ({ flushBufferToDiskIfNotMemOnlyMode: async () => { asked.push("flush"); } }) },
  };
  for (const name of without) delete modules[name];
  const window = { require: (name) => { if (!modules[name]) throw new Error("no such module"); return modules[name]; } };
  // Long after the page was loaded: nothing comes late.
  const { resetSessions } = valueOf("src/whatsapp/page/whatsapp.js", { window, performance: { now: () => 60_000 } });
  return { asked, resetSessions };
}

test("new Signal sessions are begun with all devices of a recipient, by number and by LID, and written down", async () => {
  const { asked, resetSessions } = signal();
  await resetSessions({ chat: "549115@c.us", asks: false, own: false });
  assert.deepEqual(asked, ["549115@c.us", "7:549115@c.us", "99@lid", "7:99@lid", "flush"]);
  asked.length = 0;
  await resetSessions({ chat: "77@lid", asks: false, own: false });
  assert.deepEqual(asked, ["77@lid", "7:77@lid", "549115@c.us", "7:549115@c.us", "flush"]);
  asked.length = 0;
  await resetSessions({ own: true });
  assert.deepEqual(asked, ["549110@c.us", "7:549110@c.us", "77@lid", "7:77@lid", "flush"]);
});

test("a number that was typed is asked for the one that its account is registered by", async () => {
  const { asked, resetSessions } = signal();
  await resetSessions({ chat: "54991@c.us", asks: true, own: false });
  assert.deepEqual(asked.slice(0, 4), ["54991@c.us", "7:54991@c.us", "5491@c.us", "7:5491@c.us"]);
});

test("a page that lacks a function for it, or keeps the old sessions, says so", async () => {
  const { asked, resetSessions } = signal({ without: ["WAWebDBDeviceListFanout"] });
  await assert.rejects(resetSessions({ own: true }), { code: "NO_RESET", message: /WAWebDBDeviceListFanout.getFanOutList/ });
  assert.deepEqual(asked, []);
  const kept = signal({ left: true });
  await assert.rejects(kept.resetSessions({ own: true }), { code: "NO_RESET" });
});
