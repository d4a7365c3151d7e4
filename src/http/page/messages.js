// The messages of one session as they come and go, for a key that may see them: written by others, by the phone, by this service.
// A row stays the same element while its message changes, so that it keeps the focus, and a sound goes on.

import { call, json } from "./api.js";
import { content, person, who } from "./content.js";
import { byId, element, isBusy, say, show, whileBusy } from "./elements.js";
import { mediaPart } from "./media.js";
import { answer } from "./send.js";
import { dayOrTimeOf, sayBecause, t } from "./words.js";

const TYPES = [
  "session",
  ...["any", "ack", "edited", "revoked", "reaction", "waiting", "resolved"].map((name) => `message.${name}`),
].join(",");
// Rows at once: a person looks at the last ones.
const MOST = 100;
// So far back the log is read at first. It is that of all sessions, so fewer are of this one.
const LOOK_BACK = 500;
// What WhatsApp's own app offers first.
const EMOJIS = ["👍", "❤️", "😂", "😮", "😢", "🙏"];

// By the message's key, in the order in which they came.
const rows = new Map();
// Which stream they come by: that of an earlier session may still be opened when another one is shown.
let current = null;

/** Nothing of an earlier session stays. */
export function forget() {
  current = null;
  for (const row of rows.values()) row.media?.end();
  rows.clear();
  byId("messages-list").replaceChildren();
  show(byId("messages"), false);
}

/**
 * Where the stream of a session is, with its messages if the key may see them: a function of the last id that was heard, which is ""
 * at first.
 */
export function streamOf(id) {
  const named = `cliente_id=${encodeURIComponent(id)}`;
  const mine = { id, maySee: false, mayNot: false };
  current = mine;
  return async (last) => {
    const plain = `events/stream?${named}`;
    if (mine.maySee && last) return `${plain}&types=${TYPES}`;
    try {
      const after = await start(named);
      [mine.maySee, mine.mayNot] = [true, false];
      if (current === mine) begin();
      return `${plain}&types=${TYPES}&after=${after}`;
    } catch (why) {
      if (why.status !== 403) throw why;
      mine.mayNot = true;
      return plain;
    }
  };
}

/** Some way before the end of the log, or the oldest that there is. */
async function start(named) {
  const { next } = await json("GET", `events?${named}&after=latest`);
  const after = Math.max(next - LOOK_BACK, 0);
  try {
    await json("GET", `events?${named}&after=${after}&limit=1`);
    return after;
  } catch (why) {
    if (why.code !== "CURSOR_EXPIRED") throw why;
    return why.body.oldest;
  }
}

function begin() {
  show(byId("messages"), true);
  sayWhyNone();
}

/** Why there is no row: the key may not see messages, or there is none yet. */
function sayWhyNone() {
  say(byId("no-messages"), t(current?.mayNot ? "messagesForReceive" : "noMessages"));
  show(byId("no-messages"), rows.size === 0);
}

/** Takes an event of the log, if it is one. */
export function hears(name, event) {
  if (!name.startsWith("message")) return false;
  const { data } = event;
  const row = rows.get(data.key);
  if (["message", "message.own", "message.waiting"].includes(name)) {
    add(data.key, { data, isOwn: name === "message.own", at: event.timestamp, isLate: event.late, waits: name === "message.waiting" });
  } else if (name === "message.resolved") {
    for (const known of rows.values()) {
      if (known.data.chat !== data.chat || known.isOwn) continue;
      known.data.from = { ...known.data.from, phone: data.from.phone };
      draw(known);
    }
  } else if (row) {
    if (name === "message.ack") row.state = data.state;
    if (name === "message.edited") row.edited = data.text;
    if (name === "message.revoked") row.isRevoked = true;
    if (name === "message.reaction") {
      row.reactions.set(data.is_own ? "own" : (data.from.phone ?? data.from.lid), data.emoji);
      if (data.is_own) row.ownReaction = data.emoji;
    }
    draw(row);
  }
  return true;
}

function add(key, news) {
  const row = Object.assign(rows.get(key) ?? made(), news);
  if (!rows.has(key)) byId("messages-list").prepend(row.item);
  rows.set(key, row);
  draw(row);
  if (rows.size > MOST) {
    const [oldest, dropped] = rows.entries().next().value;
    dropped.media?.end();
    dropped.item.remove();
    rows.delete(oldest);
  }
  show(byId("no-messages"), false);
}

/** In the other language. */
export function redraw() {
  // A session that the key does not reach at all says so itself, and is never drawn.
  if (current?.mayNot) begin();
  for (const row of rows.values()) draw(row);
}

function made() {
  const parts = {
    who: element("strong"),
    marks: element("span", { class: "soft" }),
    quotedWho: element("strong"),
    // A text of another person may be in any language and direction.
    quotedText: element("p", { dir: "auto" }),
    text: element("p", { class: "text", dir: "auto" }),
    given: element("p", { class: "reactions" }),
    answer: element("button", { type: "button", class: "plain" }),
    react: element("summary"),
    emojis: EMOJIS.map((emoji) => element("button", { type: "button", class: "plain", value: emoji }, emoji)),
    trouble: element("p", { class: "trouble", role: "alert" }),
  };
  const head = element("p", { class: "who" }, parts.who, parts.marks);
  parts.quote = element("blockquote", {}, element("p", {}, parts.quotedWho), parts.quotedText);
  parts.picker = element("details", {}, parts.react, element("div", { class: "emojis" }, ...parts.emojis));
  parts.acts = element("div", { class: "acts" }, parts.answer, parts.picker);
  const item = element("li", {}, head, parts.quote, parts.text, parts.given, parts.acts, parts.trouble);
  const row = { item, parts, reactions: new Map() };
  parts.answer.addEventListener("click", () => answer(row.data.id, recipient(row.data), () => t("answerTo", who(row), excerpt(row))));
  for (const button of parts.emojis) button.addEventListener("click", () => !isBusy(button) && react(row, button));
  return row;
}

/** Whom an answer goes to: a number, for a person to read, where the chat has one. */
function recipient({ chat, is_group: isGroup }) {
  const [, digits] = (!isGroup && /^(\d+)@c\.us$/.exec(chat)) || [];
  return digits ? `+${digits}` : chat;
}

/** The beginning of what a message says. */
function excerpt(row) {
  const [line] = content(row).split("\n");
  return line.length > 80 ? `${line.slice(0, 80)}…` : line;
}

/** Gives the reaction of a button, or takes it back. The log says what became of it. */
async function react(row, button) {
  const { id } = current;
  const body = { emoji: row.ownReaction === button.value ? "" : button.value };
  say(row.parts.trouble, "");
  try {
    await whileBusy(button, null, () => call("POST", `messages/${encodeURIComponent(row.data.id)}/reaction`, { id, body }));
    row.parts.picker.open = false;
    row.parts.react.focus();
  } catch (why) {
    sayBecause(row.parts.trouble, why.code, why.message);
  }
}

function draw(row) {
  const { data, item, isOwn, parts, isRevoked, waits } = row;
  item.dataset.direction = isOwn ? "out" : "in";
  const marks = [
    dayOrTimeOf(row.at),
    row.isLate && t("messageLate"),
    isOwn && t(data.source === "api" ? "messageBySession" : "messageByPhone"),
    row.edited !== undefined && !isRevoked && t("messageEdited"),
    isOwn && row.state && t(`tick.${row.state}`),
  ].filter(Boolean);
  say(parts.who, who(row));
  say(parts.marks, marks.join(" · "));
  say(parts.text, content(row));
  drawQuote(row);
  drawMedia(row);
  const given = [...row.reactions.values()].filter(Boolean).join(" ");
  say(parts.given, given);
  show(parts.given, Boolean(given));
  show(parts.acts, !isRevoked && !waits);
  say(parts.answer, t("answer"));
  say(parts.react, t("react"));
  // All rows have these: a screen reader says of whose message each is.
  parts.answer.setAttribute("aria-label", `${t("answer")}: ${who(row)}`);
  parts.react.setAttribute("aria-label", `${t("react")}: ${who(row)}`);
  for (const button of parts.emojis) button.setAttribute("aria-pressed", String(row.ownReaction === button.value));
}

/** What it answers, above it: as the answer has it, or else as the message itself is known here. */
function drawQuote({ data: { quoted }, parts, isRevoked }) {
  show(parts.quote, Boolean(quoted) && !isRevoked);
  if (!quoted) return;
  const known = rows.get(quoted.key);
  const from = quoted.from ?? known?.data.from;
  say(parts.quotedWho, from ? person(from) : "");
  say(parts.quotedText, quoted.text ?? (known ? excerpt(known) : t("quoteUnknown")));
}

function drawMedia(row) {
  const { data, parts } = row;
  if (row.isRevoked) {
    row.media?.end();
    row.media = null;
  } else if (row.media) row.media.draw();
  else if (data.media?.id && !row.waits) {
    row.media = mediaPart(data);
    parts.text.after(row.media.node);
  }
}
