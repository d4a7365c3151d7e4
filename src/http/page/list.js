// The list of all sessions. A card stays the same element while its session changes, so that it keeps the focus.

import { arrange, byId, element, icon, say, show } from "./elements.js";
import { because, dayOrTimeOf, sayBecause, t } from "./words.js";

const sessions = new Map();
const cards = new Map();
let current = null;

/** Where a session stands, in a few words. */
export const stateWord = ({ state, passkey }) => (passkey ? t("waitsForPasskey") : t(`state.${state}`));

// The service is away: what it said last may not be true any more.
let stale = false;

export const isStale = () => stale;

/** Says whether it is. Answers whether that is news, and draws the list again then. */
export function areStale(isAway) {
  if (stale === isAway) return false;
  stale = isAway;
  if (byId("loading").hidden) draw();
  return true;
}

/** The same with its shape. */
export function badge(status) {
  const word = stateWord(status);
  return element("span", { class: "badge", "data-state": stale ? "STALE" : status.state }, icon(status.state), stale ? t("lastSeen", word) : word);
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
  for (const id of cards.keys()) if (!sessions.has(id)) cards.delete(id);
  for (const id of ids) fill(cards.get(id) ?? made(id), sessions.get(id));
  arrange(byId("sessions"), ids.map((id) => cards.get(id).item));
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
  const shown = [status.state, stateWord(status), stale].join(" ");
  if (card.shown !== shown) {
    card.shown = shown;
    card.state.replaceChildren(badge(status));
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
