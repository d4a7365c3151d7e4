// One session: where it stands, its code, and what can be done with it.

import { call, json } from "./api.js";
import { clock, showCode } from "./code.js";
import { byId, copied, element, isBusy, say, show, whileBusy } from "./elements.js";
import { badge, lastSend, number, stateWord, why } from "./list.js";
import { beginPasskey, showPasskey } from "./passkey.js";
import * as messages from "./messages.js";
import * as message from "./send.js";
import { follow } from "./stream.js";
import { because, dayOrTimeOf, momentOf, noPicture, sayBecause, t, timeOf } from "./words.js";

const RUNNING = ["INIT", "QR_REQUIRED", "AUTHENTICATED", "READY"];
const LINKED = ["AUTHENTICATED", "READY"];
// These are not failures: nothing was kept of them.
const WANTED = ["DISCONNECT_REQUESTED", "LOGGED_OUT", "SHUTTING_DOWN"];

let id = null;
let status = null;
let end = () => {};
let pairingTicks = 0;
let picture = null;
// Why the last press of a button came to nothing.
let refused = null;

export const shownId = () => id;

/** Shows a session, or none. `stands` gets what becomes of its stream. */
export function open(wanted, stands) {
  end();
  end = () => {};
  clearInterval(pairingTicks);
  [id, status] = [wanted, null];
  show(byId("session"), Boolean(id));
  reset();
  if (!id) return;
  say(byId("session-title"), t("session", id));
  say(byId("detail"), t("loading"));
  const hears = (name, data) => {
    if (messages.hears(name, data)) return undefined;
    if (name !== "session") return stands(name);
    status = data;
    message.heard();
    draw();
  };
  end = follow(messages.streamOf(id), hears, stands);
}

function reset() {
  message.forget();
  messages.forget();
  showPasskey(null, null);
  refused = null;
  for (const name of ["trouble", "pair-trouble", "announce", "account", "detail", "retry"]) say(byId(name), "");
  for (const name of ["link", "notice", "evidence", "code", "progress", "send", "pairing"]) show(byId(name), false);
  for (const name of ["connect", "disconnect", "logout", "make-link", "see-evidence"]) show(byId(name), false);
  byId("badge").replaceChildren();
  byId("facts").replaceChildren();
  byId("by-number").open = false;
  byId("pair").reset();
  message.forgetDraft();
  delete byId("send").dataset.ack;
}

/** Says why something was not done, unless the session says the same of itself. */
export function complain(why) {
  refused = why;
  drawRefusal();
}

function drawRefusal() {
  if (refused && !status) say(byId("detail"), "");
  if (!refused || refused.code === status?.reason) say(byId("trouble"), "");
  else sayBecause(byId("trouble"), refused.code, refused.message);
}

export function draw() {
  if (!id || !status) return;
  const { state } = status;
  drawRefusal();
  const isRunning = RUNNING.includes(state);
  const isLinked = LINKED.includes(state);
  byId("session").dataset.state = state;
  say(byId("session-title"), t("session", id));
  byId("badge").replaceChildren(badge(status));
  say(byId("announce"), `${t("session", id)}: ${stateWord(status)}`);
  say(byId("account"), status.account ? t("account", number(status.account)) : "");
  why(byId("detail"), status);
  say(byId("retry"), status.retry_at ? t("retries", timeOf(status.retry_at)) : "");
  show(byId("notice"), Boolean(status.notice));
  say(byId("notice-words"), status.notice ?? "");
  drawProgress(isRunning);
  showCode(status);
  showPasskey(id, status);
  drawPairing();
  message.redraw();
  messages.redraw();
  show(byId("send"), state === "READY");
  show(byId("connect"), !isRunning);
  say(byId("connect"), t(state === "ERROR" || status.failed_phase ? "connectAgain" : "connect"));
  show(byId("disconnect"), isRunning);
  show(byId("logout"), isLinked);
  show(byId("make-link"), !status.linked && state !== "ERROR");
  show(byId("see-evidence"), !isRunning && Boolean(status.reason) && !WANTED.includes(status.reason));
  if (isLinked) show(byId("link"), false);
  if (isRunning) show(byId("evidence"), false);
  drawFacts();
}

function drawProgress(isRunning) {
  const isUnderWay = ["INIT", "AUTHENTICATED"].includes(status.state) && isRunning;
  show(byId("progress"), isUnderWay);
  if (!isUnderWay) return;
  const percent = status.sync_percent;
  const phase = status.phase?.name;
  say(byId("phase"), percent === undefined ? (phase ? t(`phase.${phase}`) : "…") : t("syncing", percent));
}

function drawPairing() {
  clearInterval(pairingTicks);
  const code = status.pairing_code;
  show(byId("pairing"), Boolean(code));
  if (!code) {
    byId("pairing-code").value = "";
    return;
  }
  byId("by-number").open = true;
  say(byId("pairing-code"), `${code.slice(0, 4)}-${code.slice(4)}`);
  say(byId("pairing-for"), status.pairing_phone ? t("pairingFor", status.pairing_phone) : "");
  const until = Date.parse(status.pairing_code_expires_at);
  const tick = () => say(byId("pairing-left"), t("pairingLeft", clock(until)));
  tick();
  pairingTicks = setInterval(tick, 1000);
}

function drawFacts() {
  const facts = [
    ["state", status.state],
    ["since", dayOrTimeOf(status.since)],
    ["adapter", status.adapter.serving && [status.adapter.serving, status.adapter.wa_js_version].filter(Boolean).join(" ")],
    // One adapter is enough: what the others lack is no trouble as long as it serves.
    [status.adapter.serving ? "missingBeside" : "missing", status.adapter.missing.join(", ")],
    ["memory", status.chrome_pid && (status.memory_mb ? t("megabytes", status.memory_mb) : t("notMeasured"))],
    ["queue", queue(status.sends)],
    ["lastSend", lastSend(status.sends) ?? t("noSend")],
    ["restarts", status.restarts || null],
    ["reloads", status.reloads || null],
    ["failedPhase", status.failed_phase && t(`phase.${status.failed_phase}`)],
    ["pid", status.chrome_pid],
    // The person who repairs the machine needs its figures, names and paths, which the page's words leave out.
    ["detail", !WANTED.includes(status.reason) && status.detail],
  ];
  const rows = facts.filter(([, value]) => value).map(([name, value]) =>
    element("div", {}, element("dt", {}, t(`fact.${name}`)), element("dd", name === "detail" ? { lang: "en" } : {}, String(value))),
  );
  byId("facts").replaceChildren(...rows);
}

function queue(sends) {
  if (!sends?.open) return t("noQueue");
  return t("queueSince", sends.open, timeOf(sends.oldest_at));
}

/** Does something for the session that is shown, and says why when it cannot be done. */
async function act(button, busy, what, trouble = complain) {
  const mine = id;
  trouble(null);
  try {
    await whileBusy(button, busy && t(busy), () => what(mine));
  } catch (why) {
    if (id === mine) trouble(why);
  } finally {
    draw();
  }
}

/** Asks for a start. The stream tells the rest. */
export const connect = (wanted, phone, force) =>
  json("POST", "connect", { body: { cliente_id: wanted, ...(phone ? { phone } : {}), ...(force ? { force } : {}) } });

// What is asked for once more, if the person accepts that another session loses its link.
let replaces = null;

/** Asks for a code to type. When another session has the number, the person decides. */
async function pair(wanted, force) {
  const phone = byId("pair-phone").value;
  try {
    await connect(wanted, phone, force);
  } catch (why) {
    if (why.code !== "NUMBER_LINKED_ELSEWHERE" || id !== wanted) throw why;
    const other = why.body.linked_session;
    say(byId("replace-text"), other ? t("replaceText", t("session", other)) : t("replaceTextUnnamed"));
    replaces = wanted;
    byId("replace").showModal();
  }
}

const disconnect = (wanted, logout) => call("POST", "disconnect", { body: { cliente_id: wanted, logout } });

async function makeLink(wanted) {
  const made = await json("POST", `sessions/${encodeURIComponent(wanted)}/link`);
  byId("link-url").value = made.url;
  say(byId("copied"), "");
  show(byId("link"), true);
  byId("link-url").focus();
  byId("link-url").select();
}

async function copyLink() {
  say(byId("copied"), t((await copied(byId("link-url"))) ? "copied" : "notCopied"));
}

async function seeEvidence(wanted) {
  const path = `sessions/${encodeURIComponent(wanted)}/evidence`;
  const [text, image, lines] = ["evidence-text", "evidence-picture", "evidence-console"].map(byId);
  for (const part of [image, lines]) show(part, false);
  show(byId("evidence"), true);
  say(text, t("loading"));
  let evidence;
  try {
    evidence = await json("GET", path);
  } catch (why) {
    if (why.code !== "NO_EVIDENCE") throw why;
    say(text, t("noEvidence"));
    return;
  }
  const { screenshot_left_out: why, screenshot_left_out_code: code } = evidence;
  const left = why && noPicture(code, why);
  const { text: reason } = because(evidence.reason, evidence.detail);
  say(text, [t("evidenceAt", momentOf(evidence.taken_at)), reason, evidence.url, left].filter(Boolean).join(" "));
  const console = evidence.console.map((line) => `${line.level}: ${line.text}`).concat(evidence.chrome_output ?? []);
  say(lines, console.join("\n"));
  show(lines, console.length > 0);
  if (evidence.screenshot) {
    const shot = await (await call("GET", `${path}/screenshot.png`)).blob();
    if (picture) URL.revokeObjectURL(picture);
    picture = URL.createObjectURL(shot);
    [image.src, image.alt] = [picture, t("pictureAlt")];
    show(image, true);
  }
}

/** Gives every button of the panel its work. */
export function begin() {
  const beside = (name) => (why) => sayBecause(byId(name), why?.code, why?.message);
  const press = (name, busy, what) =>
    byId(name).addEventListener("click", () => {
      if (!isBusy(byId(name))) act(byId(name), busy, what);
    });
  beginPasskey();
  message.begin();
  press("connect", "connecting", (wanted) => connect(wanted));
  press("disconnect", "disconnecting", (wanted) => disconnect(wanted, false));
  press("dismiss", null, (wanted) => call("POST", `sessions/${encodeURIComponent(wanted)}/notice/dismiss`));
  press("make-link", null, makeLink);
  press("see-evidence", null, seeEvidence);
  byId("copy").addEventListener("click", copyLink);
  byId("logout").addEventListener("click", () => byId("sure").showModal());
  byId("sure-no").addEventListener("click", () => byId("sure").close());
  byId("sure-yes").addEventListener("click", () => {
    byId("sure").close();
    act(byId("logout"), "disconnecting", (wanted) => disconnect(wanted, true));
  });
  byId("pair").addEventListener("submit", (event) => {
    event.preventDefault();
    const button = byId("pair").querySelector("button");
    if (!isBusy(button)) act(button, "gettingCode", (wanted) => pair(wanted), beside("pair-trouble"));
  });
  byId("replace-no").addEventListener("click", () => byId("replace").close());
  byId("replace-yes").addEventListener("click", () => {
    byId("replace").close();
    const button = byId("pair").querySelector("button");
    // Another session may be shown by now.
    if (id === replaces && !isBusy(button)) act(button, "gettingCode", (wanted) => pair(wanted, true), beside("pair-trouble"));
  });
  byId("send").addEventListener("submit", (event) => {
    event.preventDefault();
    const button = byId("send-it");
    if (!isBusy(button)) act(button, "sending", (wanted) => message.send(wanted), beside("send-trouble"));
  });
}
