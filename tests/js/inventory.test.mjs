// What the adapters say they rely on: one table each, which they use themselves.

import assert from "node:assert/strict";
import { test } from "node:test";

import { read, valueOf } from "./support.mjs";

const FOLDER = "src/whatsapp/page";

/** A page with these modules, and with elements that these selectors find. */
function page({ modules = {}, elements = [], extra = {} } = {}) {
  const window = {
    Debug: { VERSION: "2.3000.1" },
    require: (name) => {
      if (!(name in modules)) throw new Error(`Requiring unknown module "${name}"`);
      return modules[name];
    },
    ...extra,
  };
  const document = {
    documentElement: { lang: "es" },
    querySelector: (selector) => (elements.includes(selector) ? {} : null),
    querySelectorAll: () => [],
  };
  const globals = { window, document, performance, MutationObserver: class { observe() {} }, setTimeout: () => 0, clearTimeout() {} };
  const shared = valueOf(`${FOLDER}/whatsapp.js`, globals);
  const inventory = async (file, argument = {}) => {
    const { lines } = await valueOf(`${FOLDER}/${file}`, globals)(() => {}, shared).inventory({ within_ms: 0, ...argument });
    return new Map(lines.map((line) => [line.name, JSON.parse(JSON.stringify(line))]));
  };
  return { shared, inventory };
}

const Emitter = { on() {} };
const status = (line) => [line.kind, line.status, line.at];

test("a name is found at its home, has moved to another one, or is missing with its module or alone", async () => {
  const { inventory } = page({
    modules: {
      WAWebSocketModel: { Socket: Emitter },
      WAWebMsgKey: { default: class {} },
      WAWebCollections: { Chat: {}, Msg: { getMessagesById() {} } },
      WAWebAdvSignatureApi: { getADVSecretKey() {} },
    },
  });
  const lines = await inventory("modules.js");
  assert.deepEqual(status(lines.get("WAWebSocketModel.Socket")), ["export", "found", null]);
  assert.deepEqual(status(lines.get("WAWebMsgKey")), ["module", "found", null]);
  assert.deepEqual(status(lines.get("WAWebChatCollection.ChatCollection")), ["module", "moved", "WAWebCollections.Chat"]);
  assert.deepEqual(status(lines.get("WAWebMsgCollection.MsgCollection.getMessagesById")), ["module", "moved", "WAWebCollections.Msg.getMessagesById"]);
  assert.deepEqual(status(lines.get("WAWebUserPrefsMultiDevice.getADVSecretKey")), ["module", "moved", "WAWebAdvSignatureApi.getADVSecretKey"]);
  assert.deepEqual(status(lines.get("WAWebWidFactory.createWid")), ["module", "missing", null]);
  assert.deepEqual(status(lines.get("WAWebSocketModel.Socket.logout")), ["export", "missing", null], "its module is there");
  assert.deepEqual(lines.get("WAWebWidFactory.createWid").jobs, ["send"]);
  assert.ok(lines.has("WAWebWhatsNewNux.createWhatsNewNux"), "what all adapters share is in each list");
});

test("a landmark is missing only on a screen that is known to be there", async () => {
  const { inventory } = page({ elements: ["[data-ref]", 'button[data-testid="link-device-qrcode-alt-linking-hint"], [role="button"][data-testid="link-device-qrcode-alt-linking-hint"]'] });
  const lines = await inventory("dom.js", { screens: ["login"] });
  assert.equal(lines.get("code").status, "found");
  assert.equal(lines.get("byNumber").status, "moved");
  assert.equal(lines.get("login").status, "missing");
  assert.equal(lines.get("box").status, "unseen");
  assert.equal((await inventory("dom.js", { screens: ["chat"] })).get("box").status, "missing");
});

test("wa-js is asked only once it is loaded", async () => {
  const lines = await page().inventory("wa_js.js");
  assert.equal(lines.get("WAWebCmd").status, "missing");
  assert.ok(![...lines.keys()].some((name) => name.startsWith("WPP.")));
});

test("each group and each landmark has its purpose, and no module's name stands outside the tables", async () => {
  for (const file of ["modules.js", "wa_js.js", "dom.js"]) {
    for (const line of (await page().inventory(file, { screens: [] })).values()) {
      assert.ok(line.use && Array.isArray(line.jobs), `${file}: ${line.name}`);
    }
  }
  const [, table] = /const LANDMARKS = \{(.*?)\n {2}\};/s.exec(read(`${FOLDER}/dom.js`));
  const landmarks = [...table.matchAll(/^ {4}(\w+):/gm)].map(([, name]) => name);
  const listed = [...(await page().inventory("dom.js", { screens: [] })).values()].filter((line) => line.kind === "landmark");
  assert.deepEqual(listed.map((line) => line.name).sort(), landmarks.sort());

  for (const file of ["whatsapp.js", "passkey.js", "hearing.js", "content.js", "media_in.js", "modules.js", "wa_js.js", "dom.js"]) {
    const code = read(`${FOLDER}/${file}`).replace(/^\s*\/\/.*$/gm, "").replace(/ const (NAMES|OWN) = \{.*?\n {0,2}\};|const NAMES = \{.*?\n\};/gs, "").replace(/const NEEDED = .*;|const COLLECTIONS = .*;/g, "");
    assert.deepEqual(code.match(/WAWeb\w+|WABase64/g), null, file);
  }
});
