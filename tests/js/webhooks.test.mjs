// The webhooks of the service's page: what it makes of what the service says of them.

import assert from "node:assert/strict";
import { test } from "node:test";

import { ofPage, read } from "./support.mjs";

const english = async (name) => {
  const page = await ofPage(name);
  globalThis.document.getElementById = () => ({});
  return page;
};

/** The sentences for a failure in these sources, each with something in the place of what it has from elsewhere. */
function sentences() {
  const filled = (text) => text.replace(/\\\s+/g, "").replace(/\{status\}|\{\}|\{0\}|\{seconds\}|\{name\}/g, (place) => (place === "{name}" ? "incoming-message" : "503"));
  const of = (path, pattern) => [...read(path).split("mod tests")[0].matchAll(pattern)].map(([, text]) => filled(text));
  const all = [
    ...of("src/delivery/client.rs", /#\[error\(\s*"([^"]+)"/g),
    ...of("src/delivery/mod.rs", /"(it answered[^"]+)"/g),
    ...of("src/delivery/mod.rs", /"(its address cannot[^"]+|a person has[^"]+)"/g),
    ...of("src/delivery/worker.rs", /why: "([^"]+)"/g),
    ...of("src/delivery/bridge/hub.rs", /"(Central Hub (?:answered|did not|does not)[^"]+)"/g),
    ...of("src/delivery/bridge/mod.rs", /"(it (?:is|was written)[^"]+|WhatsApp has not[^"]+|the account's own[^"]+|the ledger cannot[^"]+)"/g),
  ];
  return all.map((text) => text.replaceAll(/\{\w+\}/g, "x"));
}

test("each failure that the service writes down has words of the page", async () => {
  const { failure } = await english("failures.js");
  const all = sentences();
  assert.ok(all.length > 20, all.join("\n"));
  assert.deepEqual(all.filter((text) => failure(text).lang), []);
});

test("a failure keeps the system's own word apart, and one that is new stays English", async () => {
  const { failure } = await english("failures.js");
  assert.deepEqual(failure("it answered 500"), { text: "It answered 500." });
  const refused = { text: "It cannot be reached.", cause: "Connection refused (os error 111)" };
  assert.deepEqual(failure("it cannot be reached: Connection refused (os error 111)"), refused);
  assert.deepEqual(failure("Central Hub: it cannot be reached: Connection refused (os error 111)"), refused);
  assert.deepEqual(failure("Central Hub answered 422 to incoming-message (BAD_TEXT)"), { text: "It answered 422.", cause: "BAD_TEXT" });
  assert.deepEqual(failure("it answered 302, a redirect, which is not followed: give the address that it leads to").text, "It answered 302 and names another address. Give that address: the service does not follow it.");
  const too = "; and the hub's answering machine may not have seen it (test-message): ";
  assert.ok(read("src/delivery/bridge/mod.rs").includes(`"{why}${too}{}"`));
  assert.deepEqual(failure(`Central Hub answered 400 to incoming-message (BAD_TEXT)${too}in doubt`), {
    text: "It answered 400. Nor is it known whether its answering machine has seen it.",
    cause: "BAD_TEXT",
  });
  assert.deepEqual(failure(`it was eaten${too}in doubt`), { text: `it was eaten${too}in doubt`, lang: "en" });
  assert.deepEqual(failure("it was eaten"), { text: "it was eaten", lang: "en" });
});

test("a receiver fails when its last attempt did", async () => {
  const { standing } = await english("deliveries.js");
  const [early, late] = ["2026-11-30T10:00:00Z", "2026-11-30T10:00:01Z"];
  assert.equal(standing({}), "on");
  assert.equal(standing({ failed_at: early }), "failing");
  assert.equal(standing({ failed_at: late, delivered_at: early }), "failing");
  assert.equal(standing({ failed_at: early, delivered_at: late }), "on");
});

/** An element that keeps what is put into it. */
const node = () => ({
  dataset: {},
  children: [],
  textContent: "",
  getAttribute: () => null,
  setAttribute() {},
  addEventListener() {},
  append(...parts) { this.replaceChildren(...this.children, ...parts); },
  replaceChildren(...parts) {
    this.children = parts;
    this.textContent = parts.map((part) => part.textContent ?? part).join("");
  },
});

test("a failure that something was delivered after is told as past, and not at all when nothing is left of it", async () => {
  const { deliveries } = await english("deliveries.js");
  globalThis.document.createElement = node;
  const { nodes, draw } = deliveries("webhooks/wh_1", () => {});
  const [early, late] = ["2020-11-30T10:00:00Z", "2020-11-30T10:00:01Z"];
  const tally = { waiting: 0, dead: 1, delivered: 1, failed: 2, failure: "it answered 500" };
  const told = (more) => (draw({ ...tally, ...more }), nodes[1].textContent);
  assert.match(told({ failed_at: late, delivered_at: early }), /^Last failure, Nov 30.*: It answered 500\.$/);
  assert.match(told({ failed_at: early, delivered_at: late }), /^Events were delivered since its last failure, the newest Nov 30.* That failure, Nov 30.*: It answered 500\.$/);
  assert.equal(told({ failed_at: early, delivered_at: late, dead: 0 }), "");
});

test("figures are those that say something", async () => {
  const { figures } = await english("deliveries.js");
  const none = { waiting: 0, dead: 0, delivered: 0, failed: 0, missed: 0 };
  assert.deepEqual(figures(none), [["delivered", 0], ["waiting", 0], ["failed", 0], ["dead", 0]]);
  const some = Object.fromEntries(figures({ ...none, waiting: 2, oldest_waiting_at: new Date().toISOString(), missed: 3 }));
  assert.match(some.waiting, /^2, the first since \d/);
  assert.equal(some.missed, 3);
});

test("each type of event has a name in both languages, and a new one keeps its word", async () => {
  const { typeWord } = await english("deliveries.js");
  const rows = [...read("src/ledger/event.rs").matchAll(/=> "((?:message|session)[\w.]*)"/g)].map(([, word]) => word);
  assert.ok(new Set(rows).size >= 9, rows.join());
  for (const type of [...rows, "message.any"]) {
    assert.notEqual(typeWord(type), type);
    for (const language of ["en", "es"]) {
      const { t } = await ofPage("words.js", language);
      assert.notEqual(t(`hookType.${type.replaceAll(".", "_")}`), type.replaceAll(".", "_"));
    }
  }
  assert.equal(typeWord("call.missed"), "call.missed");
});

test("clients are read from what a person types, and an entry that is no id is named", async () => {
  const { clientsIn } = await english("webhooks.js");
  assert.deepEqual(clientsIn(" ,\n "), { ids: null, wrong: undefined });
  for (const text of ["51, shop, 52", "51,shop;52", " 51\nshop\r\n52\n"]) assert.deepEqual(clientsIn(text), { ids: ["51", "shop", "52"], wrong: undefined });
  assert.equal(clientsIn("51, my shop").wrong, "my shop");
  assert.equal(clientsIn(`51, ${"a".repeat(65)}`).wrong, "a".repeat(65));
});

test("a webhook that cannot be made says what is wrong with it", async () => {
  const { whyNotMade } = await english("webhooks.js");
  const wrong = (message) => ({ code: "INVALID_WEBHOOK", message });
  assert.match(whyNotMade(wrong("url is not an address such as https://example.com/hook")), /begins with https/);
  assert.match(whyNotMade(wrong("url is an address of this machine: set WEBHOOK_ALLOW_PRIVATE=true if that is meant")), /private network/);
  assert.match(whyNotMade(wrong("cliente_ids must be a list of sessions")), /client ids/);
  assert.match(whyNotMade({ code: "FORBIDDEN", message: "" }, null), /some clients only/);
  assert.equal(whyNotMade({ code: "TOO_MANY_WEBHOOKS", message: "" }, null), null);
});

test("settings are shown in words, and those that are usual not at all", async () => {
  const { settingsOf } = await english("webhooks.js");
  assert.deepEqual(settingsOf({ types: null, cliente_ids: null, headers: [] }), [["Events", "All"], ["Clients", "All"]]);
  const hook = { types: ["message.any", "message.ack"], cliente_ids: [51, "shop"], headers: ["authorization"], compat: "waha" };
  assert.deepEqual(settingsOf(hook).map(([, value]) => value), ["Messages that come in or go out, Ticks of messages", "51, shop", "authorization", "WAHA"]);
});

/** A list that notes what is moved in it. */
function listOf(...children) {
  const moved = [];
  const list = {
    children,
    insertBefore(child, before) {
      moved.push(child);
      if (children.includes(child)) children.splice(children.indexOf(child), 1);
      children.splice(before ? children.indexOf(before) : children.length, 0, child);
    },
  };
  return { list, moved };
}

test("a row that is in its place is not moved", async () => {
  const { arrange } = await english("elements.js");
  const row = (name) => ({ name, remove() { list.children.splice(list.children.indexOf(this), 1); } });
  const [a, b, c, d] = ["a", "b", "c", "d"].map(row);
  const { list, moved } = listOf(a, b, d);
  arrange(list, [b, c, d]);
  assert.deepEqual(list.children.map(({ name }) => name), ["b", "c", "d"]);
  assert.deepEqual(moved, [c]);
});

test("an answer that comes after the panel was closed is not drawn, and nothing is asked for again", async (context) => {
  const { open } = await english("webhooks.js");
  const shown = {};
  globalThis.document.getElementById = (id) => (shown[id] ??= { setAttribute() {}, removeAttribute() {}, hidden: true });
  const answers = [];
  globalThis.fetch = (url) => new Promise((resolve) => answers.push([String(url).split("/").pop(), resolve]));
  context.mock.timers.enable({ apis: ["setTimeout"] });
  open(true);
  assert.deepEqual(answers.map(([path]) => path), ["webhooks", "bridge"]);
  assert.equal(shown.webhooks.hidden, false);
  open(false);
  for (const [, resolve] of answers) resolve(Response.json({ webhooks: [], on: false }));
  await new Promise(setImmediate);
  await new Promise(setImmediate);
  context.mock.timers.tick(60_000);
  assert.equal(answers.length, 2);
  assert.equal(shown["no-webhooks"], undefined, "it was drawn");
  assert.equal(shown["webhook-secret"].value, "");
});
