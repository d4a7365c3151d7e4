// The simulated WhatsApp Web: its modules as outsiders see them, its ids, its models.

import assert from "node:assert/strict";
import { webcrypto as crypto } from "node:crypto";
import { test } from "node:test";

import { pageWith } from "./support.mjs";

const FOLDER = "crates/sandbox/src/page";

/** A page with these faults and files. */
function page(faults, ...files) {
  const document = { getElementById: () => ({ textContent: JSON.stringify(faults) }) };
  return pageWith({ document, crypto, queueMicrotask, setTimeout, navigator: { onLine: true }, addEventListener() {} }, ...["loader", ...files].map((file) => `${FOLDER}/${file}.js`));
}

const names = (page) => Object.keys(page.require("__debug").modulesMap);

test("a fault of the registry changes what outsiders see, and never the page itself", () => {
  const faults = { rename_modules: { WAWebWid: "WAWebWid2" }, missing: ["WAWebMsgKey", "WAWebWidFactory.createUserWid"], reshape: ["WAWebWidFactory.createWid"] };
  const faulty = page(faults, "ids");
  assert.throws(() => faulty.require("WAWebWid"), /unknown module/);
  assert.throws(() => faulty.require("WAWebMsgKey"), /unknown module/);
  assert.ok(names(faulty).includes("WAWebWid2"));
  const factory = faulty.require("WAWebWidFactory");
  assert.equal(factory.createUserWid, undefined);
  assert.throws(() => factory.createWid("1@c.us"), /Cannot read/);
  const inside = faulty.sandboxPage.load;
  assert.equal(String(inside("WAWebWidFactory").createWid("1@c.us")), "1@c.us");
  assert.equal(inside("WAWebMsgKey").default.name, "MsgKey");
});

test("the modules may be absent, late, or leave a remnant where they were", async () => {
  const bare = page({ no_registry: true }, "ids");
  assert.equal(bare.require, undefined);
  const late = page({ modules_delay_ms: 5 }, "ids");
  assert.deepEqual(names(late), []);
  await new Promise((resolve) => late.sandboxPage.whenModulesArrive(resolve));
  assert.ok(names(late).includes("WAWebWid"));
  const moved = page({ remnants: { WAWebWidFactory: "WAWebWidFactoryNew" } }, "ids");
  assert.throws(() => moved.require("WAWebWidFactory").createWid("1@c.us"), /has moved/);
  assert.equal(String(moved.require("WAWebWidFactoryNew").createWid("1@c.us")), "1@c.us");
});

test("ids of chats are read, compared and spelled as WhatsApp Web does", () => {
  const { require, importDefault } = page({}, "ids");
  const { createWid, toUserWid } = require("WAWebWidFactory");
  const Wid = importDefault("WAWebWid");
  const device = createWid("5491158254201:7@s.whatsapp.net");
  assert.equal(String(device), "5491158254201:7@c.us");
  assert.equal(String(toUserWid(device)), "5491158254201@c.us");
  assert.equal(device.toJid(), "5491158254201@s.whatsapp.net");
  assert.ok(device.isCompanion() && device.isSameAccount(createWid("5491158254201@c.us")) && !device.equals("5491158254201@c.us"));
  assert.deepEqual(["1@lid", "1@g.us", "1@c.us"].map((text) => [createWid(text).isLid(), createWid(text).isGroup(), Wid.isUser(text)]), [[true, false, true], [false, true, false], [false, false, true]]);
  for (const wrong of ["", "5491158254201", "1@nowhere", "@c.us"]) assert.throws(() => createWid(wrong), /invalid wid/);
  assert.throws(() => new Wid("1@c.us"), /WidFactory/);
});

test("a message's id is spelled by one field or the other, and read back", async () => {
  for (const [faults, field, gone] of [[{}, "$1", "_serialized"], [{ build: "early-2026" }, "_serialized", "$1"], [{ build: "early-2026", lid_chats: true }, "$1", "_serialized"]]) {
    const { require, importDefault } = page(faults, "ids");
    const MsgKey = importDefault("WAWebMsgKey");
    const to = require("WAWebWidFactory").createWid("1@c.us");
    const key = new MsgKey({ to, selfDir: "out", id: await MsgKey.newId() });
    assert.match(key[field], /^true_1@c\.us_3EB0[0-9A-F]{18}$/);
    assert.equal(key[gone], undefined);
    assert.ok(MsgKey.fromString(String(key)).equals(key));
    assert.throws(() => new MsgKey({ to: "1@c.us", selfDir: "out", id: "A" }), /remote is not a wid/);
  }
});

test("a model tells its collection what has changed, once for each change", () => {
  const inside = page({}, "models").sandboxPage.load;
  const { BaseModel, defineModel } = inside("WAWebBaseModel");
  const { BaseCollection } = inside("WAWebBaseCollection");
  class Message extends BaseModel {}
  defineModel(Message, "msg", ["id", "ack"]);
  class Messages extends BaseCollection {}
  Messages.model = Message;
  const all = new Messages();
  const heard = [];
  all.on("add change:ack", (model, value) => heard.push([model.id, value === all ? "added" : value]));
  const one = all.add({ id: "A", ack: 0 });
  one.ack = 1;
  one.ack = 1;
  assert.equal(all.add({ id: "A", ack: 2 }, { merge: true }), one);
  assert.deepEqual(heard, [["A", "added"], ["A", 1], ["A", 2]]);
  assert.equal(all.get(one), one);
  // All changes of an update are made before anybody hears of one, and each comes with the value before.
  one.on("change:ack", (model, value, before) => heard.push([model.id, value, before]));
  one.set({ ack: 3, id: "B" });
  all.replaceId("A", "B");
  assert.deepEqual(heard.slice(-2), [["B", 3, 2], ["B", 3]]);
  assert.deepEqual([all.get("A"), all.get("B")], [undefined, one]);
  one.id = "A";
  all.replaceId("B", "A");
  assert.deepEqual([all.remove("A").length, all.length, all.get("A")], [1, 0, undefined]);
});
