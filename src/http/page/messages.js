// The messages of one session as they come and go, for a key that may see them: written by others, by the phone, by this service.

import { json } from "./api.js";
import { byId, element, say, show } from "./elements.js";
import { number } from "./list.js";
import { dayOrTimeOf, t } from "./words.js";

const TYPES = [
  "session",
  ...["any", "ack", "edited", "revoked", "reaction", "waiting", "resolved"].map((name) => `message.${name}`),
].join(",");
// Rows at once: a person looks at the last ones.
const MOST = 100;
// So far back the log is read at first. It is that of all sessions, so fewer are of this one.
const LOOK_BACK = 500;

// By the message's key, in the order in which they came.
const rows = new Map();
// Which stream they come by: that of an earlier session may still be opened when another one is shown.
let current = null;

/** Nothing of an earlier session stays. */
export function forget() {
  current = null;
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
  const mine = {};
  current = mine;
  let maySee = false;
  return async (last) => {
    const plain = `events/stream?${named}`;
    if (maySee && last) return `${plain}&types=${TYPES}`;
    try {
      const after = await start(named);
      maySee = true;
      if (current === mine) begin();
      return `${plain}&types=${TYPES}&after=${after}`;
    } catch (why) {
      if (why.status !== 403) throw why;
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
  show(byId("no-messages"), rows.size === 0);
}

/** Takes an event of the log, if it is one. */
export function hears(name, event) {
  if (!name.startsWith("message")) return false;
  const { data } = event;
  const row = rows.get(data.key);
  if (["message", "message.own", "message.waiting"].includes(name)) {
    add(data.key, { ...row, data, isOwn: name === "message.own", at: event.timestamp, isLate: event.late, waits: name === "message.waiting" });
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
    if (name === "message.reaction") row.reactions.set(data.from.phone ?? data.from.lid, data.emoji);
    draw(row);
  }
  return true;
}

function add(key, row) {
  row.item ??= element("li");
  row.reactions ??= new Map();
  if (!rows.has(key)) byId("messages-list").prepend(row.item);
  rows.set(key, row);
  draw(row);
  if (rows.size > MOST) {
    const [oldest, { item }] = rows.entries().next().value;
    item.remove();
    rows.delete(oldest);
  }
  show(byId("no-messages"), false);
}

/** In the other language. */
export function redraw() {
  for (const row of rows.values()) draw(row);
}

function draw(row) {
  const { data, item, isOwn } = row;
  item.dataset.direction = isOwn ? "out" : "in";
  const marks = [
    dayOrTimeOf(row.at),
    row.isLate && t("messageLate"),
    isOwn && t(data.source === "api" ? "messageBySession" : "messageByPhone"),
    row.edited !== undefined && !row.isRevoked && t("messageEdited"),
    isOwn && row.state && t(`tick.${row.state}`),
  ].filter(Boolean);
  const head = element("p", { class: "who" }, element("strong", {}, who(row)), element("span", { class: "soft" }, marks.join(" · ")));
  const text = element("p", { class: "text" }, content(row));
  // A text of another person may be in any language and direction.
  text.dir = "auto";
  const reactions = [...row.reactions.values()].filter(Boolean).join(" ");
  item.replaceChildren(head, text, ...(reactions ? [element("p", { class: "reactions" }, reactions)] : []));
}

const person = ({ name, phone, lid }) => [name, phone ? number(phone) : lid].filter(Boolean).join(" ") || "?";

function who({ data, isOwn }) {
  const chat = data.is_group ? (data.group_name ?? data.chat) : person(data.to ?? { lid: data.chat });
  if (isOwn) return t("messageTo", chat);
  return data.is_group ? t("messageInGroup", person(data.from), chat) : person(data.from);
}

function content({ data, edited, isRevoked, waits }) {
  if (isRevoked) return t("messageRevoked");
  if (waits) return t("messageWaits");
  const text = edited ?? data.text ?? data.caption;
  if (data.kind === "text") return text ?? "";
  return [t(`messageKind.${data.kind}`), text].filter(Boolean).join(": ");
}
