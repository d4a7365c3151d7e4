// The page at /: the list, one session or the webhooks beside it, and what holds them together.

import { hasKey, json, onKeyWanted, useKey } from "./api.js";
import { byId, say, show } from "./elements.js";
import * as list from "./list.js";
import * as session from "./session.js";
import { follow } from "./stream.js";
import * as webhooks from "./webhooks.js";
import { because, sayBecause, t, timeOf, translate } from "./words.js";

// What stands at the top, by the stream that says so.
const standing = { list: "live", session: "live" };
let refusal = null;
// When the service was heard last, while it is away.
let awaySince = null;
let sandbox = null;

function stands(which) {
  return (state, why, since) => {
    // What is wrong with the one session stands in its panel: the list is live all the same.
    if (which === "session" && state === "refused" && why) return session.complain(why);
    standing[which] = state;
    if (why) refusal = why;
    if (since) awaySince = since;
    drawStanding();
  };
}

function drawStanding() {
  const states = Object.values(standing);
  const worst = ["refused", "stopping", "away", "live"].find((state) => states.includes(state)) ?? "live";
  const details = { refused: () => because(refusal.code, refusal.message).text, away: () => timeOf(awaySince) };
  const text = t(worst, details[worst]?.());
  // What a badge said last may not be true any more.
  if (list.areStale(worst === "away" || worst === "stopping")) {
    session.draw();
    webhooks.draw();
  }
  byId("connection").dataset.state = worst;
  say(byId("connection"), text);
}

const namedId = () => new URLSearchParams(location.search).get("cliente_id");
const namesWebhooks = () => !namedId() && new URLSearchParams(location.search).has("webhooks");

// The session that the page shows without being asked, while the address names none.
let offered = null;
// The person has gone back to the list: no session is offered until another one waits.
let declined = null;

/** Shows what the address names, or else what is offered. */
function route() {
  if (namedId() || namesWebhooks()) offered = null;
  const id = namedId() ?? offered;
  standing.session = "live";
  document.body.classList.toggle("one", Boolean(id) || namesWebhooks());
  session.open(id, stands("session"));
  webhooks.open(namesWebhooks());
  list.mark(id);
  drawTitle();
}

function drawTitle() {
  const id = namedId() ?? offered;
  const shown = namesWebhooks() ? t("hooks") : t("tab");
  document.title = `${id ? t("session", id) : shown} · session-manager`;
}

/** Goes to a session or back to the list, without loading the page again. */
function go(href) {
  declined = offered;
  offered = null;
  if (href !== location.href) history.pushState(null, "", href);
  route();
  if (namedId()) byId("session-title").focus();
  else if (namesWebhooks()) byId("webhooks-title").focus();
  else byId("main").focus();
}

/** Shows the session that waits for a scan, if exactly one does: a person opens this page to scan a code. */
function offer() {
  if (namedId() || namesWebhooks() || offered) return;
  // On a phone the session takes the place of the list, and of the form that is being filled in.
  if (byId("add-id").value || document.activeElement === byId("add-id")) return;
  const waiting = list.waitingForScan();
  if (!waiting.includes(declined)) declined = null;
  if (waiting.length !== 1 || waiting[0] === declined) return;
  offered = waiting[0];
  route();
}

function isPlain(event) {
  return event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a.card, a.to-list, #home");
  if (!link || !isPlain(event)) return;
  event.preventDefault();
  if (link.href !== location.href || offered) go(link.href);
});
addEventListener("popstate", () => {
  offered = null;
  route();
  offer();
});

byId("add").addEventListener("submit", async (event) => {
  event.preventDefault();
  const id = byId("add-id").value.trim();
  const trouble = byId("add-trouble");
  say(trouble, "");
  go(`?cliente_id=${encodeURIComponent(id)}`);
  try {
    await session.connect(id);
    byId("add").reset();
  } catch (why) {
    if (session.shownId() === id) session.complain(why);
    else sayBecause(trouble, why.code, why.message);
  }
});
byId("add-id").addEventListener("input", (event) => {
  const isWrong = event.target.validity.patternMismatch;
  event.target.setCustomValidity("");
  if (isWrong) event.target.setCustomValidity(t("clienteIdWrong"));
});

// All requests that ask while the question is open get the same answer.
let asking = null;

onKeyWanted((why) => {
  if (hasKey()) sayBecause(byId("key-trouble"), why.code, why.message);
  else say(byId("key-trouble"), "");
  asking ??= new Promise((resolve) => {
    const dialog = byId("key");
    const answer = (isGiven) => {
      asking = null;
      dialog.removeEventListener("close", closed);
      byId("key-form").removeEventListener("submit", given);
      dialog.close();
      resolve(isGiven);
    };
    const closed = () => answer(false);
    const given = (event) => {
      event.preventDefault();
      useKey(byId("key-text").value.trim());
      answer(true);
    };
    dialog.addEventListener("close", closed);
    byId("key-form").addEventListener("submit", given);
    dialog.showModal();
  });
  return asking;
});

async function about() {
  try {
    const health = await json("GET", "health");
    say(byId("version"), health.version);
    sandbox = health.sandbox ?? null;
  } catch {
    // The streams say that the service is away.
  }
  for (const part of ["sandbox", "scan-here"]) show(byId(part), Boolean(sandbox));
  if (!sandbox) return;
  for (const link of document.querySelectorAll("[data-phone]")) link.href = phoneAddress(sandbox);
}

/** A sandbox that is open to other machines is reached under the name that this page was. */
function phoneAddress(where) {
  const url = new URL("/phone", where);
  const isHere = (host) => ["localhost", "127.0.0.1", "[::1]"].includes(host);
  if (!isHere(location.hostname) || location.hostname === "localhost") url.hostname = location.hostname;
  return url.href;
}

function hears(name, data) {
  if (name === "sessions") {
    list.setAll(data.details);
    about();
    webhooks.offer();
    offer();
  } else if (name === "session") {
    list.setOne(data);
    offer();
  } else stands("list")(name);
}

session.begin();
webhooks.begin();
translate(() => {
  if (byId("loading").hidden) list.draw();
  session.draw();
  webhooks.draw();
  drawStanding();
  drawTitle();
});
say(byId("connection"), "");
route();
follow("events/stream", hears, stands("list"));
