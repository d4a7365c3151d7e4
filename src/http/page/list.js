// The list of all sessions. A card stays the same element while its session changes, so that nobody loses the focus.

import { byId, element, icon, say, show } from "./elements.js";
import { because, dayOrTimeOf, sayBecause, t } from "./words.js";

const sessions = new Map();
const cards = new Map();
let current = null;

// The service is away: what it said last may not be true any more.
let stale = false;

/** Says whether it is. Answers whether that is news, and draws the list again then. */
export function areStale(isAway) {
  if (stale === isAway) return false;
  stale = isAway;
  if (byId("loading").hidden) draw();
  return true;
}

/** A state as a word with its shape. */
export function badge(state) {
  const word = t(`state.${state}`);
  return element("span", { class: "badge", "data-state": stale ? "STALE" : state }, icon(state), stale ? t("lastSeen", word) : word);
}

/** `+54 9 …` is for people to compare: digits in one row are not. */
export const number = (digits) => (/^\d+$/.test(digits) ? `+${digits}` : digits);

/** What became of the latest message, in one sentence; nothing when there was none. */
export function lastSend(sends) {
  if (!sends?.last) return null;
  const { state, at, code } = sends.last;
  return [`${t(`tick.${state}`)}, ${dayOrTimeOf(at)}`, code && because(code, code).text].filter(Boolean).join(". ");
}

/** Why a session stands where it stands, in one sentence. */
export function why(target, status) {
  if (status.reason) sayBecause(target, status.reason, status.detail);
  else {
    target.removeAttribute("lang");
    say(target, t(`explain.${status.hibernating ? "asleep" : status.state}`));
  }
}

export function setAll(statuses) {
  sessions.clear();
  for (const status of statuses) sessions.set(status.session, status);
  draw();
}

export function setOne(status) {
  sessions.set(status.session, status);
  draw();
}

export const known = (id) => sessions.get(id);

/** The ids of the sessions that wait for a phone to scan their code. */
export const waitingForScan = () => [...sessions.values()].filter(({ state }) => state === "QR_REQUIRED").map(({ session }) => session);

/** Marks the card of the session that is shown beside the list. */
export function mark(id) {
  current = id;
  if (!byId("loading").hidden) return;
  draw();
}

export function draw() {
  const ids = [...sessions.keys()].sort((one, other) => one.localeCompare(other, undefined, { numeric: true }));
  for (const [id, card] of cards) {
    if (!sessions.has(id)) {
      card.item.remove();
      cards.delete(id);
    }
  }
  let before = null;
  for (const id of ids) {
    const card = cards.get(id) ?? made(id);
    fill(card, sessions.get(id));
    // Moving an element would take the focus from it.
    const wanted = before ? before.nextSibling : byId("sessions").firstChild;
    if (card.item !== wanted) byId("sessions").insertBefore(card.item, wanted);
    before = card.item;
  }
  show(byId("loading"), false);
  show(byId("empty"), ids.length === 0);
  say(byId("count"), ids.length ? `(${ids.length})` : "");
}

function made(id) {
  const card = {
    name: element("span", { class: "name" }, id),
    state: element("span"),
    account: element("span", { class: "account" }),
    why: element("span", { class: "why" }),
    last: element("span", { class: "soft last" }),
    facts: element("span", { class: "soft facts" }),
  };
  const head = element("span", { class: "head" }, card.name, card.state);
  card.link = element(
    "a",
    { class: "card", href: `?cliente_id=${encodeURIComponent(id)}`, "data-id": id },
    head,
    card.account,
    card.why,
    card.last,
    card.facts,
  );
  card.item = element("li", {}, card.link);
  cards.set(id, card);
  return card;
}

function fill(card, status) {
  const shown = [status.state, stale, document.documentElement.lang].join(" ");
  if (card.shown !== shown) {
    card.shown = shown;
    card.state.replaceChildren(badge(status.state));
  }
  say(card.account, status.account ? number(status.account) : "");
  why(card.why, status);
  const facts = [
    status.adapter.serving && t("adapter", status.adapter.serving),
    status.memory_mb && t("megabytes", status.memory_mb),
    status.restarts > 0 && t("restarts", status.restarts),
    status.sends?.open > 0 && t("queue", status.sends.open),
  ];
  const last = lastSend(status.sends);
  say(card.last, last ? t("lastSend", last) : "");
  say(card.facts, facts.filter(Boolean).join(" · "));
  if (status.session === current) card.link.setAttribute("aria-current", "page");
  else card.link.removeAttribute("aria-current");
}
