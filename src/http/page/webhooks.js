// Webhooks, and the bridge to Central Hub: which programs get what happens, how each of them stands, and what a person can do about it.
// It is for a key that may manage the service; the service refuses the others, and then there is nothing of it on the page.

import { json } from "./api.js";
import { arrange, byId, copied, element, isBusy, say, show, sure, whileBusy } from "./elements.js";
import { deliveries, drawBadge, drawFacts, sayFailure, standing, typeWord } from "./deliveries.js";
import { momentOf, sayBecause, t } from "./words.js";

// A look asks for figures that the service has in its memory. Nothing is asked for while this is closed, or in a tab behind others.
const LOOK_EVERY = 3000;
// While the service cannot be asked.
const LOOK_LATER = 15_000;

// What a webhook may want, as a person chooses it. The API knows the first two by one word as well.
const TYPES = ["message", "message.own", "message.ack", "message.edited", "message.revoked", "message.reaction", "message.waiting", "message.resolved", "group.joined", "group.left", "group.participants", "group.updated", "session.status"];

// By their ids.
const cards = new Map();
let hubCard = null;
let webhooks = null;
let bridge = null;
// A key for some sessions does not reach the bridge. It is not asked for then.
let reachesBridge = true;
// Why the last look came to nothing.
let refused = null;
let isOpen = false;
let timer = 0;
// The newest look: the answer of an older one is not drawn.
let newest = 0;

/**
 * The client ids in a text with commas or new lines between them; null: all. An entry with a space in it may be two ids or a slip in one:
 * `wrong` is the first that is no id, for the person to decide.
 */
export function clientsIn(text) {
  const ids = text.split(/[,;\n]/).map((entry) => entry.trim()).filter(Boolean);
  return { ids: ids.length ? ids : null, wrong: ids.find((entry) => !/^[A-Za-z0-9_-]{1,64}$/.test(entry)) };
}

/** Why a webhook cannot be made as a person wants it, by the field that is meant. */
export function whyNotMade(why, clients) {
  if (why.code === "FORBIDDEN" && !clients) return t("hookClientsOwn");
  if (why.code !== "INVALID_WEBHOOK") return null;
  const field = /^\w+/.exec(why.message)?.[0];
  if (field === "url") return t(why.message.includes("WEBHOOK_ALLOW_PRIVATE") ? "failure.private" : "hookUrlWrong");
  return field === "cliente_ids" ? t("hookClientsWrong") : null;
}

/** What stands above the figures of a webhook, each by its name: what it wants and how it is set. */
export function settingsOf(hook) {
  return [
    [t("hookTypes"), hook.types ? hook.types.map(typeWord).join(", ") : t("hookAll")],
    [t("hookClients"), hook.cliente_ids ? hook.cliente_ids.join(", ") : t("hookAll")],
    [t("hookFact.headers"), hook.headers.join(", ")],
    [t("hookFact.form"), hook.compat?.toUpperCase()],
    [t("hookFact.oldSecret"), hook.old_secret_until && momentOf(hook.old_secret_until)],
  ].filter(([, value]) => value);
}

/** Asks whether the key may see this, and offers it then. */
export async function offer() {
  try {
    await json("GET", "webhooks");
    show(byId("more"), true);
  } catch (why) {
    if (why.status === 403) show(byId("more"), false);
  }
}

/** Opens or closes the panel. */
export function open(isWanted) {
  show(byId("webhooks"), isWanted);
  if (isWanted) byId("webhooks-link").setAttribute("aria-current", "page");
  else byId("webhooks-link").removeAttribute("aria-current");
  if (isWanted === isOpen) return;
  isOpen = isWanted;
  reachesBridge = true;
  clearTimeout(timer);
  newest += 1;
  if (isOpen) look();
  // One that comes after this is shown when the panel is opened again: there is no other way to it.
  else forgetSecret();
}

async function look() {
  clearTimeout(timer);
  newest += 1;
  const mine = newest;
  const isCurrent = () => mine === newest && isOpen;
  let later = LOOK_EVERY;
  try {
    const [list, hub] = await Promise.all([json("GET", "webhooks"), bridgeIfReached()]);
    if (!isCurrent()) return;
    [webhooks, bridge] = [list.webhooks, hub];
    refused = null;
    draw();
  } catch (why) {
    if (!isCurrent()) return;
    // That the service is away stands at the top.
    if (why.code !== "AWAY") refused = why;
    draw();
    if (why.status === 403) return;
    later = LOOK_LATER;
  }
  timer = setTimeout(() => document.visibilityState === "visible" && look(), later);
}

async function bridgeIfReached() {
  if (!reachesBridge) return null;
  try {
    return await json("GET", "bridge");
  } catch (why) {
    if (why.status !== 403) throw why;
    reachesBridge = false;
    return null;
  }
}

export function draw() {
  if (!isOpen) return;
  drawForm();
  show(byId("webhooks-loading"), !webhooks && !refused);
  if (refused) sayBecause(byId("webhooks-trouble"), refused.code, refused.message);
  else say(byId("webhooks-trouble"), "");
  if (!webhooks) return;
  const ids = webhooks.map((hook) => hook.id);
  for (const id of cards.keys()) if (!ids.includes(id)) cards.delete(id);
  for (const hook of webhooks) fill(cards.get(hook.id) ?? made(hook.id), hook);
  arrange(byId("webhooks-list"), ids.map((id) => cards.get(id).item));
  show(byId("no-webhooks"), webhooks.length === 0);
  show(byId("webhooks-add"), true);
  show(byId("bridge"), Boolean(bridge));
  if (bridge) fillHub();
}

function made(id) {
  const path = `webhooks/${encodeURIComponent(id)}`;
  const card = {
    url: element("h3", { class: "name", id: `title-${id}` }),
    badge: element("span"),
    off: element("p"),
    note: element("p", { class: "soft" }),
    settings: element("dl", { class: "facts settings" }),
    part: deliveries(path, look),
    tested: element("p", { role: "status" }),
    trouble: element("p", { class: "trouble", role: "alert" }),
    test: element("button", { type: "button", "aria-describedby": `title-${id}` }),
    turn: element("button", { type: "button", class: "quiet", "aria-describedby": `title-${id}` }),
    remove: element("button", { type: "button", class: "quiet", "aria-describedby": `title-${id}` }),
  };
  const press = (button, busy, what) => button.addEventListener("click", () => !isBusy(button) && act(card, button, busy, what));
  press(card.test, "hookTesting", async () => {
    card.test_result = await json("POST", `${path}/test`);
    drawTest(card);
  });
  press(card.turn, null, async () => {
    await json("PATCH", path, { body: { enabled: !card.hook.enabled } });
    await look();
  });
  press(card.remove, null, async () => {
    const { url } = card.hook;
    if (!(await sure({ title: t("hookRemoveTitle"), text: t("hookRemoveText", url), yes: t("hookRemoveYes") }))) return;
    await json("DELETE", path);
    await look();
    byId("webhooks-title").focus();
  });
  const actions = element("div", { class: "actions" }, card.test, card.turn, card.remove);
  card.item = element(
    "li",
    { class: "hook", "data-id": id },
    ...[element("div", { class: "head" }, card.url, card.badge), card.off, card.note, card.settings],
    ...[...card.part.nodes, actions, card.tested, card.trouble],
  );
  cards.set(id, card);
  return card;
}

async function act(card, button, busy, what) {
  say(card.trouble, "");
  card.test_result = null;
  drawTest(card);
  try {
    await whileBusy(button, busy && t(busy), what);
  } catch (why) {
    sayBecause(card.trouble, why.code, why.message);
  }
  draw();
}

function fill(card, hook) {
  card.hook = hook;
  say(card.url, hook.url);
  drawBadge(card.badge, hook.enabled ? standing(hook.deliveries) : "off");
  card.item.dataset.state = hook.enabled ? standing(hook.deliveries) : "off";
  if (hook.off_because) sayFailure(card.off, "", hook.off_because);
  show(card.off, Boolean(hook.off_because));
  say(card.note, hook.of_settings ? t("hookOfSettings") : "");
  drawFacts(card.settings, settingsOf(hook));
  card.part.draw(hook.deliveries);
  drawTest(card);
  const words = [[card.test, "hookTest"], [card.turn, hook.enabled ? "hookOff" : "hookOn"], [card.remove, "hookRemove"]];
  for (const [button, name] of words) if (!isBusy(button)) say(button, t(name));
  show(card.remove, !hook.of_settings);
}

function drawTest(card) {
  const result = card.test_result;
  show(card.tested, Boolean(result));
  card.tested.className = result?.delivered ? "good" : "trouble";
  if (!result) card.tested.replaceChildren();
  else if (result.delivered) say(card.tested, t("hookTested", result.status, result.took_ms));
  else sayFailure(card.tested, t("hookTestFailed", result.took_ms), result.failure);
}

function fillHub() {
  hubCard ??= madeHub();
  drawBadge(byId("bridge-badge"), bridge.on ? standing(bridge.deliveries) : "unset");
  byId("bridge").dataset.state = bridge.on ? standing(bridge.deliveries) : "unset";
  say(byId("bridge-unset"), bridge.on ? "" : t("hubUnset", (bridge.missing ?? []).join(", ")));
  show(hubCard.part, bridge.on);
  if (bridge.on) hubCard.draw(bridge.deliveries);
}

function madeHub() {
  const ask = () => sure({ title: t("hubAgainTitle"), text: t("hubAgainText"), yes: t("hubAgainYes") });
  const { nodes, draw: drawPart } = deliveries("bridge", look, ask);
  const part = element("div", { class: "part" }, ...nodes);
  byId("bridge").append(part);
  return { part, draw: drawPart };
}

function drawForm() {
  const list = byId("webhook-types");
  if (!list.children.length) {
    const box = (type) => element("label", {}, element("input", { type: "checkbox", value: type }), element("span", { "data-type": type }));
    list.append(...TYPES.map(box));
  }
  for (const word of list.querySelectorAll("[data-type]")) say(word, typeWord(word.dataset.type));
}

async function add() {
  const chosen = [...byId("webhook-types").querySelectorAll("input:checked")].map((box) => box.value);
  const { ids: clients, wrong } = clientsIn(byId("webhook-clients").value);
  say(byId("webhook-clients-trouble"), wrong ? t("hookClientsEntry", wrong) : "");
  if (wrong) return byId("webhook-clients").focus();
  const body = { url: byId("webhook-url").value.trim(), ...(chosen.length ? { types: chosen } : {}), ...(clients ? { cliente_ids: clients } : {}) };
  const trouble = byId("webhook-trouble");
  sayBecause(trouble, "", "");
  try {
    const { secret } = await json("POST", "webhooks", { body });
    byId("webhook-form").reset();
    byId("webhooks-add").open = false;
    await look();
    return showSecret(secret);
  } catch (why) {
    const own = whyNotMade(why, clients);
    return own ? say(trouble, own) : sayBecause(trouble, why.code, why.message);
  }
}

function showSecret(secret) {
  byId("webhook-secret").value = secret;
  say(byId("webhook-copied"), "");
  show(byId("webhook-made"), true);
  byId("webhook-secret").focus();
  byId("webhook-secret").select();
}

function forgetSecret() {
  byId("webhook-secret").value = "";
  show(byId("webhook-made"), false);
}

/** Gives every button of the panel its work. */
export function begin() {
  document.addEventListener("visibilitychange", () => isOpen && document.visibilityState === "visible" && look());
  byId("webhook-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const button = byId("webhook-form").querySelector("button");
    if (!isBusy(button)) whileBusy(button, t("hookAdding"), add);
  });
  byId("webhook-copy").addEventListener("click", async () => {
    say(byId("webhook-copied"), t((await copied(byId("webhook-secret"))) ? "copied" : "notCopied"));
  });
  byId("webhook-kept").addEventListener("click", () => {
    forgetSecret();
    byId("webhooks-title").focus();
  });
}
