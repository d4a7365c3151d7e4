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
