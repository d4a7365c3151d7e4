// Linking with a passkey: the script that takes the page's request, and the page that leads a person to an answer.

import assert from "node:assert/strict";
import { test } from "node:test";
import vm from "node:vm";

import { ofPage, read } from "./support.mjs";

/** A document with WhatsApp's modules, whose browser answers "browser" to what is not WhatsApp's. */
function documentWith(modules = {}, { credentials = true, hostname = "web.whatsapp.com" } = {}) {
  class CredentialsContainer { async get() { return "browser"; } }
  const said = [];
  // The page's limits of minutes must not keep the runner, and a limit that a test waits for must.
  const later = (run, ms) => { const timer = setTimeout(run, ms); return ms > 1000 ? timer.unref() : timer; };
  const page = vm.createContext({
    location: { hostname }, crypto: { randomUUID: () => String(Math.random()) }, btoa, atob, DOMException, setTimeout: later, clearTimeout, setInterval: () => 1, clearInterval() {},
    document: { querySelector: () => null, querySelectorAll: () => [] },
    require: (name) => { if (!(name in modules)) throw new Error("unknown module"); return modules[name]; },
  });
  page.window = page;
  if (credentials) Object.assign(page, { CredentialsContainer, navigator: { credentials: new CredentialsContainer() } });
  else page.navigator = {};
  const inPage = (name) => vm.runInContext(read(`src/whatsapp/page/${name}.js`), page);
  const relay = inPage("passkey")((fact) => said.push(JSON.parse(JSON.stringify(fact))), inPage("whatsapp"));
  return { page, relay, said };
}

/** As the page asks, with buffers of its own realm. */
const ask = (page, publicKey, more = {}) => {
  page.asked = { publicKey, more };
  return vm.runInContext("(() => { const { challenge, ...rest } = asked.publicKey; return navigator.credentials.get({ publicKey: { ...rest, challenge: Uint8Array.from(challenge).buffer }, ...asked.more }); })()", page);
};

const REQUEST = { challenge: [255, 254, 0], rpId: "whatsapp.com", timeout: 600000, allowCredentials: [], userVerification: "required", extensions: { uvm: true } };
const SIGNED = { id: "AAEC", rawId: "AAEC", type: "public-key", response: { clientDataJSON: "e30", authenticatorData: "_-8", signature: "AQ", userHandle: null } };

test("WhatsApp's request goes out as the options that a browser reads, and its answer comes back as a browser gives it", async () => {
  const { page, relay, said } = documentWith();
  const asked = ask(page, REQUEST);
  const { kind, request, ended } = said.at(-1);
  assert.deepEqual([kind, ended, request.timeout_ms], ["passkey_request", null, 600000]);
  assert.deepEqual(request.options, { ...REQUEST, challenge: "__4A" });
  relay.commands.answerPasskey({ id: request.id, assertion: SIGNED });
  const credential = await asked;
  assert.equal(said.at(-1).request, null);
  assert.deepEqual([credential.type, credential.id, credential.response.userHandle], ["public-key", "AAEC", null]);
  assert.deepEqual([...new Uint8Array(credential.rawId)], [0, 1, 2]);
  assert.deepEqual([...new Uint8Array(credential.response.authenticatorData)], [255, 239]);
  assert.throws(() => relay.commands.answerPasskey({ id: request.id, assertion: SIGNED }), { code: "NO_PASSKEY_REQUEST" });
});

test("what is not WhatsApp's request for a passkey goes to the browser", async () => {
  const { page, said } = documentWith();
  assert.equal(await page.navigator.credentials.get({ password: true }), "browser");
  assert.equal(await ask(page, { ...REQUEST, rpId: "example.com" }), "browser");
  assert.equal(await ask(page, { ...REQUEST, rpId: "notwhatsapp.com" }), "browser");
  assert.equal(await ask(page, REQUEST, { mediation: "conditional" }), "browser");
  assert.equal(await page.navigator.credentials.get(), "browser");
  assert.deepEqual(said, []);
  const elsewhere = documentWith({}, { hostname: "example.com" });
  const { rpId, ...unnamed } = REQUEST;
  assert.equal(await ask(elsewhere.page, unnamed), "browser");
  ask(page, unnamed);
  assert.equal(said.length, 1, "without a name it is the site of the page");
});

test("a request fails only when its time is over, when a caller gives up, or when the page asks again", async () => {
  const { page, relay, said } = documentWith();
  await assert.rejects(ask(page, { ...REQUEST, timeout: 5 }), { name: "NotAllowedError" });
  assert.deepEqual([said.at(-1).request, said.at(-1).ended], [null, "TIMEOUT"]);
  const given = ask(page, REQUEST);
  assert.equal(said.at(-1).ended, null);
  relay.commands.endPasskey();
  await assert.rejects(given, { name: "NotAllowedError" });
  assert.equal(said.at(-1).ended, "GIVEN_UP");
  const first = ask(page, REQUEST);
  const { id } = said.at(-1).request;
  const second = ask(page, REQUEST);
  await assert.rejects(first, { name: "AbortError" });
  assert.notEqual(said.at(-1).request.id, id);
  const stop = new AbortController();
  const aborted = ask(page, REQUEST, { signal: stop.signal });
  await assert.rejects(second, { name: "AbortError" });
  stop.abort(new Error("left"));
  await assert.rejects(aborted, { message: "left" });
  assert.equal(said.at(-1).request, null);
});

test("a page without credentials, as one that did not come by TLS, gets them for this alone", async () => {
  const { page, said } = documentWith({}, { credentials: false });
  await assert.rejects(page.navigator.credentials.get({ password: true }), { name: "NotSupportedError" });
  ask(page, REQUEST);
  assert.equal(said.length, 1);
});

/** WhatsApp's modules for it, whose stage and outcome the test sets. */
function shortcake() {
  const listeners = {};
  const state = { stage: "NotStarted", code: null, skips: false, cleared: 0, settle: null };
  const modules = {
    WAWebShortcakeLinkingApi: { getShortcakeLinkingStage: () => state.stage, getVerificationCode: () => state.code, shouldSkipHandoffUx: () => state.skips },
    WAWebShortcakeLinkingRequestOptionsCache: { clearCachedRequestOptions() { state.cleared += 1; } },
    WAWebShortcakeLinkingAction: {
      startShortcakePasskeyPairing: () => new Promise((resolve, reject) => { state.settle = { resolve, reject }; }),
      confirmShortcakeVerificationCode: async () => { if (state.refuses) throw new Error("5491158254201 refused"); },
      cancelShortcakePasskeyPairing() { state.cancelled = true; },
    },
    WAWebLinkDeviceAction: { async resetLinkDeviceState({ linkDeviceMethod }) { state.reset = linkDeviceMethod; } },
  };
  const events = { on: (name, react) => { listeners[name] = react; } };
  return { modules, events, state, fire: (name, ...values) => listeners[`link_device_events:${name}`](...values) };
}

test("the steps are those of WhatsApp's own modules, with the code only while a person has to compare it", async () => {
  const { modules, events, state, fire } = shortcake();
  const { relay } = documentWith(modules);
  const { modules: steps } = relay.shared;
  let told = 0;
  steps.follow(events, () => { told += 1; });
  const view = () => JSON.parse(JSON.stringify(steps.view(false)));
  assert.equal(view(), null);
  fire("passkey_prologue_request");
  assert.deepEqual(view(), { step: "wanted", code: null, word: null });
  await steps.run({ act: "begin" });
  assert.equal(view().step, "busy");
  state.settle.reject(new Error("SetPasskeyPrologue 5491158254201"));
  await new Promise(setImmediate);
  assert.deepEqual(view(), { step: "wanted", code: null, word: "SetPasskeyPrologue …" });
  assert.equal(state.cleared, 0);
  await steps.run({ act: "begin" });
  assert.equal(state.cleared, 1, "WhatsApp has seen the challenge of the attempt before");
  state.stage = "WaitingForPrimaryIdentity";
  state.settle.resolve();
  assert.equal(view().step, "phone");
  Object.assign(state, { stage: "WaitingForVerificationCodeConfirmation", code: "ABCD1234" });
  fire("shortcake_verification_code_ready", "ABCD1234", true);
  assert.deepEqual(view(), { step: "linking", code: null, word: null });
  fire("shortcake_verification_code_ready", "ABCD1234", false);
  assert.deepEqual(view(), { step: "compare", code: "ABCD1234", word: null });
  state.refuses = true;
  await assert.rejects(steps.run({ act: "confirm" }), { code: "PASSKEY_REFUSED", message: "… refused" });
  state.stage = "WaitingForPairingCompletion";
  assert.equal(view().step, "linking");
  state.stage = "NotStarted";
  fire("shortcake_error", "timeout");
  assert.deepEqual([view().step, view().word], ["wanted", "timeout"]);
  await steps.run({ act: "give_up" });
  assert.deepEqual([view(), state.cancelled, state.reset], [null, true, "QR_CODE"]);
  fire("passkey_prologue_request");
  assert.equal(steps.view(true), null, "a linked page wants none");
  assert.ok(told > 5);
});

test("a page that goes back to its codes by itself wants no passkey any more, once its screen was there", () => {
  const { modules, events, fire } = shortcake();
  const { page, relay } = documentWith(modules);
  const shown = new Set(["[data-ref]"]);
  page.document.querySelector = (selector) => (shown.has(selector) ? {} : null);
  const { modules: steps } = relay.shared;
  steps.follow(events, () => {});
  fire("passkey_prologue_request");
  assert.equal(steps.view(false)?.step, "wanted", "the code is still on the screen");
  shown.clear();
  shown.add('[data-testid="shortcake_passkey_screen"]');
  assert.equal(steps.view(false)?.step, "wanted");
  shown.clear();
  assert.equal(steps.view(false)?.step, "wanted", "between two screens");
  shown.add("[data-ref]");
  assert.equal(steps.view(false), null);
  shown.clear();
  assert.equal(steps.view(false), null);
});

test("what of WhatsApp's functions is missing is in the list of what the page has", () => {
  const { modules } = shortcake();
  delete modules.WAWebLinkDeviceAction;
  const lines = documentWith(modules).relay.shared.inventory();
  const status = new Map(Array.from(lines, (line) => [line.name, line.status]));
  assert.equal(status.get("WAWebShortcakeLinkingAction.startShortcakePasskeyPairing"), "found");
  assert.equal(status.get("WAWebLinkDeviceAction.resetLinkDeviceState"), "missing");
});

test("a page without the module for a step says so, that another adapter may take it", async () => {
  const { relay } = documentWith();
  await assert.rejects(relay.shared.modules.run({ act: "begin" }), { code: "NO_PASSKEY_ACTION" });
});

test("the script for the console signs the options behind a click, on WhatsApp's page only", async () => {
  const { scriptFor } = await ofPage("passkey.js");
  const words = { elsewhere: "not here", press: "press", sign: "sign", copied: "copied", copyByHand: "copy", copy: "copy it", failed: "failed:" };
  const run = (hostname) => {
    const made = [];
    const told = [];
    const page = {
      location: { hostname }, alert: (text) => told.push(text),
      document: { createElement: (tag) => { const one = { tag, style: {}, append() {}, select() {} }; made.push(one); return one; }, body: { append() {} } },
      PublicKeyCredential: { parseRequestOptionsFromJSON: (options) => ({ parsed: options }) },
      navigator: { credentials: { get: async (asked) => ({ toJSON: () => asked }) }, clipboard: { writeText: async (text) => told.push(text) } },
    };
    vm.runInNewContext(scriptFor({ challenge: "c</script>`${1}" }, words), page);
    return { made, told };
  };
  assert.deepEqual(run("example.com").told, ["not here"]);
  const { made, told } = run("web.whatsapp.com");
  await made.find(({ tag }) => tag === "button").onclick();
  assert.deepEqual(JSON.parse(told[0]), { publicKey: { parsed: { challenge: "c</script>`${1}" } } });
  assert.equal(made.find(({ tag }) => tag === "textarea").value, told[0]);
});

test("an answer is read as it is, in quotes, and as the extension gives it", async () => {
  const { assertionOf } = await ofPage("passkey.js");
  const text = JSON.stringify(SIGNED);
  for (const pasted of [text, ` ${text}\n`, JSON.stringify(text), JSON.stringify({ ok: true, assertion: SIGNED }), { assertion: SIGNED }]) assert.deepEqual(assertionOf(pasted), SIGNED);
  for (const pasted of ["", "hola", "[1]", "5", "null"]) assert.throws(() => assertionOf(pasted));
});
