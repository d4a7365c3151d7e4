// A message that a person sends, with a file and as an answer if they want, and how far it has got.

import { call, json } from "./api.js";
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

// WhatsApp shows no text below these.
const WITHOUT_CAPTION = ["audio", "voice", "sticker"];

let shown = null;
// The message that is answered: its whole id, since a key alone is not found in a group once the page has been loaded again; and the words for it.
let quoted = null;
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
  drawDraft();
}

/** Has the form answer a message, by its id, to this recipient. */
export function answer(id, to, words) {
  quoted = { id, words };
  byId("send-to").value = to;
  drawDraft();
  byId("send-text").focus();
}

/** Nothing that was to be sent in another session stays. */
export function forgetDraft() {
  quoted = null;
  byId("send").reset();
  drawDraft();
}

/** What stands in the form beside the recipient. */
const draft = () => ({ text: byId("send-text").value, files: [...byId("send-file").files], isDocument: byId("send-document").checked, quoted });

/** A message that was not sent stands in the form again, unless the next one is already being written. */
function putBack(mine) {
  const { text, files, isDocument, quoted: answered, to } = mine.draft;
  const now = draft();
  if (now.text || now.files.length > 0 || now.quoted || byId("send-to").value !== to) return;
  byId("send-text").value = text;
  const chosen = new DataTransfer();
  for (const file of files) chosen.items.add(file);
  byId("send-file").files = chosen.files;
  byId("send-document").checked = isDocument;
  quoted = answered;
  drawDraft();
}

/** What goes with the text: the message that is answered, and a file. */
function drawDraft() {
  say(byId("answers"), quoted ? quoted.words() : "");
  show(byId("answering"), Boolean(quoted));
  const hasFile = byId("send-file").files.length > 0;
  byId("send-text").required = !hasFile;
  show(byId("with-file"), hasFile);
}

/** Gives the buttons of the form their work, but for the one that sends. */
export function begin() {
  byId("send-file").addEventListener("change", drawDraft);
  byId("answer-not").addEventListener("click", () => {
    quoted = null;
    drawDraft();
    byId("send-text").focus();
  });
  byId("send-no-file").addEventListener("click", () => {
    byId("send-file").value = "";
    byId("send-document").checked = false;
    drawDraft();
    byId("send-file").focus();
  });
}

/** What of a send stands in the form. Brings the file first, if there is one; `null`: it cannot be sent like this, and the page says why. */
async function drafted() {
  const text = byId("send-text").value;
  const body = { to: byId("send-to").value, async: true, ...(quoted ? { quote: quoted.id } : {}) };
  const [file] = byId("send-file").files;
  const isDocument = byId("send-document").checked;
  if (!file) return { ...body, message: text };
  const brought = await call("POST", `media?filename=${encodeURIComponent(file.name)}`, { body: file });
  const { id, kind } = await brought.json();
  if (text && !isDocument && WITHOUT_CAPTION.includes(kind)) {
    say(byId("send-trouble"), t("noCaption"));
    return null;
  }
  return { ...body, media: { id, filename: file.name, ...(isDocument ? { kind: "document" } : {}), ...(text ? { caption: text } : {}) } };
}

/** Sends what stands in the form, once. */
export async function send(id) {
  forget();
  const mine = { id };
  shown = mine;
  const key = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  try {
    const body = await drafted();
    if (!body || shown !== mine) return;
    const accepted = await json("POST", "send", { id, body, headers: { "Idempotency-Key": `page-${key}` } });
    if (shown !== mine) return;
    // The next message is another one; it goes to the same person.
    const { to } = body;
    mine.draft = { ...draft(), to };
    forgetDraft();
    byId("send-to").value = to;
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
      if (["failed", "cancelled"].includes(message.state)) putBack(mine);
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
