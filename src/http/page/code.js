// The code to scan, large and live, with the time that it has left.

import { byId, say, show } from "./elements.js";
import { t } from "./words.js";

// How long WhatsApp keeps the first code of a batch and each later one: a page that opens in the midst of one is told
// only what is left of it.
const LIVES = [60, 20];

let shown = null;
let ticks = 0;

const seconds = (until) => Math.max(0, Math.ceil((until - Date.now()) / 1000));

/** Shows the code of a status, or hides all of it. */
export function showCode(status) {
  // A phone that wants a passkey has taken a code.
  const isWanted = status.state === "QR_REQUIRED" && !status.passkey && status.reason !== "PASSKEY_REQUIRED";
  show(byId("code"), isWanted);
  clearInterval(ticks);
  if (!isWanted) {
    shown = null;
    byId("qr").removeAttribute("src");
    return;
  }
  const code = status.qr ?? null;
  // The same code again, as when something else has changed, goes on counting.
  if (code?.url !== shown?.url) shown = code && { ...code, until: Date.now() + 1000 * code.expires_in };
  show(byId("qr"), Boolean(shown));
  show(byId("no-qr"), !shown);
  say(byId("no-qr"), t("codeComes"));
  if (shown) {
    byId("qr").alt = t("qrAlt");
    if (byId("qr").src !== shown.base64) byId("qr").src = shown.base64;
  }
  tick();
  ticks = setInterval(tick, 500);
}

function tick() {
  const left = shown ? seconds(shown.until) : 0;
  byId("frame").classList.toggle("old", Boolean(shown) && left === 0);
  say(byId("left"), left > 0 ? t("codeChanges", left) : t("codeComes"));
  const bar = byId("left-bar");
  bar.max = Math.max(LIVES[shown?.attempts > 1 ? 1 : 0], shown?.expires_in ?? 0);
  bar.value = left;
}

/** Minutes and seconds until a moment. */
export function clock(until) {
  const left = seconds(until);
  return `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
}
