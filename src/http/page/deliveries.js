// What became of the events that one program gets: the figures, the last failure, and those that were given up, which a person can have
// delivered again. It is the same for a webhook and for the bridge to Central Hub.

import { json } from "./api.js";
import { arrange, element, icon, isBusy, say, show, whileBusy } from "./elements.js";
import { failure } from "./failures.js";
import { isStale } from "./list.js";
import { dayOrTimeOf, sayBecause, t } from "./words.js";

// Rows at first, and so many more each time.
const PAGE = 20;
// The service lists no more at once. A person who has more of them delivers all again.
const MOST = 1000;

/** How its receiver stands: the last attempt tells. */
export function standing({ delivered_at, failed_at }) {
  const isFailing = failed_at && !(Date.parse(failed_at) <= Date.parse(delivered_at));
  return isFailing ? "failing" : "on";
}

/** The figures that say something, each by its name. */
export function figures(tally) {
  const { waiting, oldest_waiting_at: since } = tally;
  return [
    ["delivered", tally.delivered],
    ["deliveredAt", tally.delivered_at && dayOrTimeOf(tally.delivered_at)],
    ["waiting", since ? t("hookWaiting", waiting, dayOrTimeOf(since)) : waiting],
    ["failed", tally.failed],
    ["dead", tally.dead],
    ["missed", tally.missed || null],
  ].filter(([, value]) => value !== null && value !== undefined);
}

/** What an event is called; its own word, when it is a new one. */
export function typeWord(type) {
  const name = type.replaceAll(".", "_");
  const word = t(`hookType.${name}`);
  return word === name ? type : word;
}

const SHAPES = { on: "READY", failing: "ERROR", off: "DISCONNECTED", unset: "DISCONNECTED" };

/** Fills in a badge, which stays the same element. While the service is away it shows what was seen last. */
export function drawBadge(badge, state) {
  const now = t(`hookState.${state}`);
  const word = isStale() ? t("lastSeen", now) : now;
  if (badge.textContent === word) return;
  badge.className = "badge";
  badge.dataset.state = isStale() ? "STALE" : SHAPES[state];
  badge.replaceChildren(icon(SHAPES[state]), word);
}

/** Says a failure behind some words. The service's own, and those of the system, are marked as English. */
export function sayFailure(target, before, sentence) {
  const { text, cause, lang } = failure(sentence);
  const said = [before, text, cause && `(${cause})`].filter(Boolean).join(" ");
  if (target.textContent === said) return;
  const parts = [before && `${before} `, element("span", { lang }, text), cause && element("span", { lang: "en" }, ` (${cause})`)];
  target.replaceChildren(...parts.filter(Boolean));
}

export function drawFacts(list, facts) {
  const row = ([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, String(value)));
  const said = JSON.stringify(facts);
  if (list.dataset.said === said) return;
  list.dataset.said = said;
  list.replaceChildren(...facts.map(row));
}

/**
 * The part of a card about deliveries. `path` is that of the program in the API, `changed` is called when the figures have changed by
 * what a person did here, and `mayRepeat` answers whether the person wants one that may have arrived to be delivered again.
 * Gives its elements and a function that draws its figures.
 */
export function deliveries(path, changed, mayRepeat = async () => true) {
  const facts = element("dl", { class: "facts" });
  const last = element("p", { class: "trouble" });
  const summary = element("summary");
  const text = element("p", { class: "soft" });
  const list = element("ol", { class: "dead" });
  const all = element("button", { type: "button", class: "quiet" });
  const more = element("button", { type: "button", class: "quiet" });
  const details = element("details", {}, summary, text, list, element("div", { class: "actions" }, all, more));
  // What the last press came to stays to be read when the row of its button is gone.
  const result = element("p", { class: "soft", role: "status", tabindex: "-1" });
  const trouble = element("p", { class: "trouble", role: "alert" });
  const rows = new Map();
  let tally = null;
  let shown = [];
  let limit = PAGE;
  let hasMore = false;
  // Which figures the rows are of.
  let drawnOf = "";

  async function load() {
    const { dead, failed } = tally;
    const now = `${dead} ${failed} ${limit}`;
    if (now === drawnOf || !details.open) return;
    drawnOf = now;
    try {
      const page = await json("GET", `${path}/deliveries?state=dead&limit=${limit}`);
      shown = page.deliveries;
      hasMore = page.next !== undefined && limit < MOST;
      drawRows();
    } catch (why) {
      drawnOf = "";
      sayBecause(trouble, why.code, why.message);
    }
  }

  function drawRows() {
    const ids = new Set(shown.map((one) => one.event_id));
    for (const id of rows.keys()) if (!ids.has(id)) rows.delete(id);
    arrange(list, shown.map((one) => (rows.get(one.event_id) ?? madeRow(one.event_id)).item));
    for (const one of shown) fillRow(rows.get(one.event_id), one);
    show(more, hasMore);
  }

  function madeRow(id) {
    const row = { name: element("strong"), marks: element("span", { class: "soft" }), why: element("p") };
    row.again = element("button", { type: "button", class: "quiet" });
    row.again.addEventListener("click", () => again(row.again, [id]));
    row.item = element("li", {}, element("p", { class: "who" }, row.name, row.marks), row.why, row.again);
    rows.set(id, row);
    return row;
  }

  function fillRow(row, one) {
    const marks = [t("session", one.session), dayOrTimeOf(one.written_at), t("deadAttempts", one.attempts)].join(" · ");
    say(row.name, typeWord(one.type));
    say(row.marks, marks);
    if (one.failure) sayFailure(row.why, "", one.failure);
    if (!isBusy(row.again)) say(row.again, t("deadAgain"));
    row.again.setAttribute("aria-label", `${t("deadAgain")}: ${typeWord(one.type)}, ${marks}`);
  }

  async function again(button, ids) {
    if (isBusy(button)) return;
    say(trouble, "");
    say(result, "");
    if (!(await mayRepeat())) return;
    await whileBusy(button, null, async () => {
      try {
        const { redriven } = await json("POST", `${path}/redrive`, { body: ids ? { event_ids: ids } : {} });
        say(result, t("deadTried", redriven));
        result.focus();
        drawnOf = "";
        await changed();
      } catch (why) {
        sayBecause(trouble, why.code, why.message);
      }
    });
  }

  details.addEventListener("toggle", load);
  all.addEventListener("click", () => again(all));
  more.addEventListener("click", () => {
    limit = Math.min(limit + PAGE, MOST);
    load();
  });

  function draw(newest) {
    tally = newest;
    drawFacts(facts, figures(tally).map(([name, value]) => [t(`hookFact.${name}`), value]));
    const { failure: why, failed_at: at, delivered_at: since } = tally;
    // A failure that something was delivered after is history: the figures count it, and it tells why events were given up.
    const isPast = standing(tally) !== "failing";
    last.className = isPast ? "soft" : "trouble";
    if (!why || (isPast && !tally.dead)) last.replaceChildren();
    else if (isPast) sayFailure(last, t("hookPastFailure", dayOrTimeOf(at), dayOrTimeOf(since)), why);
    else sayFailure(last, t("hookLastFailure", dayOrTimeOf(at)), why);
    show(details, tally.dead > 0);
    say(summary, t("dead", tally.dead));
    say(text, t("deadText"));
    for (const [button, name] of [[all, "deadAllAgain"], [more, "deadMore"]]) if (!isBusy(button)) say(button, t(name));
    drawRows();
    load();
  }

  return { nodes: [facts, last, details, result, trouble], draw };
}
