// Linking with a passkey: leads a person from WhatsApp's challenge to a signature, and shows the code to compare.
//
// A browser signs for WhatsApp on WhatsApp's own page only. So the person carries a script there and its answer back, or lets a
// browser extension do both: the one that WAHA publishes takes any page's challenge. docs/linking.md#linking-with-a-passkey has
// the routes, docs/whatsapp.md#linking-with-a-passkey the messages of the extension.

import { call, json } from "./api.js";
import { clock } from "./code.js";
import { byId, copied, say, show } from "./elements.js";
import { because, t } from "./words.js";

// WAHA's extension in the stores of Chrome, Edge and Brave. The one for Firefox needs no id.
const EXTENSION = "ghpdcgnjffaaekflfpcgkgpbafmjldcp";
// An extension that is there answers within milliseconds.
const PING_MS = 500;
// As long as a challenge lives: a person clicks and unlocks meanwhile.
const SIGN_MS = 600_000;

/** A script for the console of WhatsApp's page: signs behind a click, which browsers ask for, and gives the answer as text. */
export const scriptFor = (options, words) => `(() => {
  const options = ${JSON.stringify(options)};
  const words = ${JSON.stringify(words)};
  if (!/(^|\\.)whatsapp\\.com$/.test(location.hostname)) return alert(words.elsewhere);
  const make = (tag, text) => Object.assign(document.createElement(tag), { textContent: text });
  const box = make("div", "");
  box.style.cssText = "position:fixed;inset:24px auto auto 24px;z-index:2147483647;display:grid;gap:12px;width:min(480px,80vw);padding:20px;border-radius:12px;background:#fff;color:#111;font:16px/1.4 sans-serif;box-shadow:0 8px 40px rgb(0 0 0/40%)";
  const says = make("p", words.press);
  says.style.margin = "0";
  const button = make("button", words.sign);
  button.style.cssText = "padding:12px 20px;border:0;border-radius:8px;background:#0b6b57;color:#fff;font:inherit;font-weight:600;cursor:pointer";
  const answer = make("textarea", "");
  Object.assign(answer, { readOnly: true, hidden: true, rows: 5 });
  answer.style.cssText = "width:100%;background:#f4f4f4;color:#111";
  const copy = async () => {
    answer.select();
    try { await navigator.clipboard.writeText(answer.value); says.textContent = words.copied; }
    catch { says.textContent = words.copyByHand; }
  };
  button.onclick = async () => {
    if (answer.value) return copy();
    button.disabled = true;
    try {
      const credential = await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) });
      answer.value = JSON.stringify(credential.toJSON());
      answer.hidden = false;
      button.textContent = words.copy;
      await copy();
    } catch (why) {
      says.textContent = words.failed + " " + (why?.message ?? why);
    } finally {
      button.disabled = false;
    }
  };
  box.append(says, button, answer);
  document.body.append(box);
})();`;

/** What a person has pasted, or an extension has answered: the assertion itself. Throws when it is none. */
export function assertionOf(pasted) {
  let read = typeof pasted === "string" ? JSON.parse(pasted.trim()) : pasted;
  // Copied from a console that shows texts in quotes.
  if (typeof read === "string") read = JSON.parse(read);
  const assertion = read?.assertion ?? read;
  if (!assertion || typeof assertion !== "object" || Array.isArray(assertion)) throw new TypeError("it is no object");
  return assertion;
}

// --- The extension ---------------------------------------------------------------------------------------------------

const late = (ms) => new Promise((_, reject) => { setTimeout(() => reject(new Error(t("passkeyNoAnswer"))), ms); });

function byRuntime(type, challenge) {
  const { runtime } = globalThis.chrome ?? {};
  if (!runtime?.sendMessage) return Promise.reject(new Error("no runtime"));
  return new Promise((resolve, reject) => {
    runtime.sendMessage(EXTENSION, { type, challenge }, (answer) => {
      const why = runtime.lastError?.message ?? (answer?.ok ? null : answer?.error ?? t("passkeyNoAnswer"));
      if (why) reject(new Error(why));
      else resolve(answer);
    });
  });
}

// Firefox lets no page speak to an extension: a script of the extension in this page listens instead.
function byMessage(type, challenge) {
  const requestId = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return new Promise((resolve, reject) => {
    const hear = ({ source, data }) => {
      if (source !== window || data?.source !== "waha-passkey-extension" || data.requestId !== requestId) return;
      removeEventListener("message", hear);
      if (data.ok) resolve(data);
      else reject(new Error(data.error ?? t("passkeyNoAnswer")));
    };
    addEventListener("message", hear);
    postMessage({ source: "waha-passkey-page", requestId, type, challenge }, location.origin);
  });
}

let speak = null;

/** Whether an extension is there; from then on `speak` reaches it. */
async function findExtension() {
  for (const way of [byRuntime, byMessage]) {
    try {
      await Promise.race([way("waha-passkey-ping", null), late(PING_MS)]);
      speak = way;
      return true;
    } catch {
      // The other way, or none.
    }
  }
  return false;
}

// --- The panel -------------------------------------------------------------------------------------------------------

let id = null;
let shown = null;
let details = null;
let ticks = 0;
let isBusy = false;
// The key in use may look at sessions, and neither see a challenge nor sign.
let isOnlyLooking = false;

const path = () => `sessions/${encodeURIComponent(id)}/passkey`;

/** What of the service's sentence a person can use: the field, or WhatsApp's own reason. The rest is for programs, and names routes. */
const detailOf = ({ code, message = "" }) => {
  if (code === "INVALID_ASSERTION") return message.split(":")[0];
  return code === "PASSKEY_REFUSED" ? /\((.*)\);/.exec(message)?.[1] : null;
};

/** Says why something was not done, in our words. */
function complain(why) {
  const detail = why && detailOf(why);
  const text = why ? because(why.code, why.message).text : "";
  say(byId("passkey-trouble"), detail ? `${text} (${detail})` : text);
}

/** Shows how far a session has got with it, or nothing of it. */
export function showPasskey(session, status) {
  const passkey = status?.passkey ?? null;
  show(byId("passkey"), Boolean(passkey));
  clearInterval(ticks);
  if (!passkey) {
    [id, shown, details, isOnlyLooking] = [session, null, null, false];
    for (const name of ["passkey-script", "passkey-answer", "passkey-code"]) byId(name).value = "";
    return complain(null);
  }
  const step = `${session} ${passkey.step} ${passkey.attempt}`;
  if (step !== shown) {
    [id, shown, details, isOnlyLooking] = [session, step, null, false];
    byId("passkey-answer").value = "";
    // The other steps have nothing to show that the status does not have.
    if (["sign", "compare"].includes(passkey.step)) load(step);
  }
  draw(passkey, passkey.expires_in === undefined ? null : Date.now() + 1000 * passkey.expires_in);
}

async function load(step) {
  let got = null;
  try {
    got = await json("GET", path());
  } catch (why) {
    if (step !== shown) return;
    isOnlyLooking = why.code === "FORBIDDEN";
    if (isOnlyLooking) drawSteps(step.split(" ")[1]);
    // It may be over by now, which the stream says.
    else if (why.code !== "NO_PASSKEY_PENDING") complain(why);
    return;
  }
  if (step !== shown) return;
  details = got;
  drawDetails();
  if (got.step === "sign" && speak === null && (await findExtension()) && step === shown) drawDetails();
}

function draw(passkey, until) {
  drawSteps(passkey.step);
  const tick = () => say(byId("passkey-left"), until ? t("passkeyLeft", clock(until)) : "");
  tick();
  ticks = setInterval(tick, 500);
  drawDetails();
}

/** A person whose key can do nothing about it gets no empty fields to fill in. */
function drawSteps(step) {
  const says = t(`passkeyStep.${step}`);
  say(byId("passkey-says"), isOnlyLooking ? `${says} ${t("passkeyForAdmin")}` : says);
  show(byId("passkey-sign"), step === "sign" && !isOnlyLooking);
  show(byId("passkey-compare"), step === "compare" && !isOnlyLooking);
  show(byId("passkey-give-up"), !isOnlyLooking);
}

function drawDetails() {
  const failure = details?.last_failure;
  const proof = details?.without_code_until && Date.parse(details.without_code_until) > Date.now();
  say(byId("passkey-failure"), failure ? t("passkeyFailed", failure) : "");
  say(byId("passkey-proof"), details?.step === "sign" ? t(proof ? "passkeyNoCode" : "passkeyCodeComes") : "");
  if (details?.options) {
    const words = Object.fromEntries(["elsewhere", "press", "sign", "copy", "copied", "copyByHand", "failed"].map((name) => [name, t(`passkeyScript.${name}`)]));
    byId("passkey-script").value = scriptFor(details.options, words);
  }
  const code = details?.code;
  byId("passkey-code").value = code ? `${code.slice(0, 4)}-${code.slice(4)}` : "";
  show(byId("passkey-with-extension"), Boolean(speak && details?.options));
}

async function act(button, what) {
  if (isBusy) return;
  isBusy = true;
  complain(null);
  button.setAttribute("aria-disabled", "true");
  const mine = shown;
  try {
    await what();
  } catch (why) {
    if (mine?.split(" ")[0] === shown?.split(" ")[0] || !shown) complain(why);
  } finally {
    isBusy = false;
    button.removeAttribute("aria-disabled");
  }
}

const handIn = (assertion) => json("POST", path(), { body: assertion });

async function handInPasted() {
  let assertion;
  try {
    assertion = assertionOf(byId("passkey-answer").value);
  } catch {
    throw Object.assign(new Error(t("passkeyNotJson")), { code: "NOT_JSON" });
  }
  await handIn(assertion);
}

async function copyScript() {
  say(byId("passkey-copied"), t((await copied(byId("passkey-script"))) ? "copied" : "notCopied"));
}

/** Gives every button of it its work. */
export function beginPasskey() {
  const press = (name, what) => byId(name).addEventListener("click", () => act(byId(name), what));
  byId("passkey-copy").addEventListener("click", copyScript);
  byId("passkey-form").addEventListener("submit", (event) => {
    event.preventDefault();
    act(byId("passkey-form").querySelector("button"), handInPasted);
  });
  press("passkey-with-extension", async () => {
    const answer = await Promise.race([speak("waha-passkey-sign", details.options), late(SIGN_MS)]);
    await handIn(assertionOf(answer));
  });
  press("passkey-confirm", () => call("POST", `${path()}/confirm`));
  press("passkey-give-up", () => call("DELETE", path()));
}
