// A test message, and how far it has got.

import { json } from "./api.js";
import { byId, element, say, show } from "./elements.js";
import { sayBecause, t, timeOf } from "./words.js";

// The session's stream says when to look. It is about the latest message only: should another go out meanwhile, this one is
// looked at by and by.
const LOOK_EVERY = 5000;
// A message is read within seconds or hours: after that the page stops asking.
const LOOK_FOR = 120_000;

const STEPS = [
  ["queued", "queued_at"],
  ["handed", "handed_at"],
  ["sent", "sent_at"],
  ["delivered", "delivered_at"],
  ["read", "read_at"],
];
const ENDS = ["read", "failed", "unknown", "cancelled"];

let shown = null;
let hasNews = false;
let wake = () => {};

/** Nothing of another session's message stays. */
export function forget() {
  shown = null;
  show(byId("ticks"), false);
  byId("ticks").replaceChildren();
  say(byId("sent"), "");
  say(byId("send-trouble"), "");
}

/** The stream has told of the session: what was sent may have got further. */
export function heard() {
  hasNews = true;
  wake();
}

export function redraw() {
  if (shown?.message) draw(shown.message);
}

/** Sends what stands in the form, once. */
export async function send(id) {
  forget();
  const mine = { id };
  shown = mine;
  const key = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const body = { to: byId("send-to").value, message: byId("send-text").value, async: true };
  try {
    const accepted = await json("POST", "send", { id, body, headers: { "Idempotency-Key": `page-${key}` } });
    follow(mine, accepted.message_id);
  } catch (why) {
    if (shown === mine) sayBecause(byId("send-trouble"), why.code, why.message);
  }
}

async function follow(mine, messageId) {
  const until = Date.now() + LOOK_FOR;
  while (shown === mine && Date.now() < until) {
    hasNews = false;
    try {
      const message = await json("GET", `messages/${encodeURIComponent(messageId)}`);
      if (shown !== mine) return;
      mine.message = message;
      draw(message);
      if (ENDS.includes(message.state)) return;
    } catch (why) {
      // A service that is away may come back; what it refuses it goes on refusing.
      if (why.code !== "AWAY") return;
    }
    if (hasNews) continue;
    await new Promise((resolve) => {
      wake = resolve;
      setTimeout(resolve, LOOK_EVERY);
    });
  }
}

function draw(message) {
  const steps = STEPS.map(([name, moment]) => {
    const at = message[moment];
    return element(
      "li",
      { "data-done": String(Boolean(at)) },
      element("span", {}, t(`tick.${name}`)),
      at ? element("time", { datetime: at }, timeOf(at)) : null,
    );
  });
  if (["failed", "unknown", "cancelled"].includes(message.state)) {
    steps.splice(0, steps.length, ...steps.filter((step) => step.dataset.done === "true"));
    steps.push(element("li", { "data-done": "bad" }, t(`tick.${message.state}`)));
    if (message.code || message.detail) sayBecause(byId("send-trouble"), message.code, message.detail);
  }
  byId("ticks").replaceChildren(...steps);
  show(byId("ticks"), true);
  byId("send").dataset.ack = message.state;
  say(byId("sent"), t(`tick.${message.state}`));
}
