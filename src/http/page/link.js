// The page of a one-time link: the code of one session, and nothing that could be done with it.

import { showCode } from "./code.js";
import { byId, say, show } from "./elements.js";
import { follow } from "./stream.js";
import { t, timeOf, translate } from "./words.js";

const RUNNING = ["INIT", "QR_REQUIRED"];

let status = null;
let standing = "live";
let awaySince = null;
let end = () => {};
// Once it is "linked" or "over" there is nothing more to come.
let ending = null;

function draw() {
  const isOpen = !ending && standing !== "refused";
  say(byId("session-title"), status ? t("session", status.session) : t("linkTitle"));
  document.title = t("linkTitle");
  byId("connection").dataset.state = standing;
  say(byId("connection"), isOpen && standing !== "live" ? t(standing, standing === "away" ? timeOf(awaySince) : "") : "");
  const isRunning = isOpen && RUNNING.includes(status?.state);
  showCode(isOpen && status ? status : { state: null });
  show(byId("progress"), isRunning && status.state === "INIT");
  say(byId("phase"), t("explain.INIT"));
  const hasStopped = isOpen && status && !isRunning;
  show(byId("again"), Boolean(hasStopped && status.reason === "QR_TIMEOUT"));
  say(byId("announce"), announced(hasStopped));
  say(byId("ends"), isOpen && status ? t("linkEnds", timeOf(status.expires_at)) : "");
  document.body.dataset.ending = ending ?? "";
}

function announced(hasStopped) {
  if (ending) return t(ending);
  if (standing === "refused") return t("linkGone");
  if (hasStopped) return t(status.reason === "QR_TIMEOUT" ? "linkStopped" : "linkFailed");
  return status ? t(`explain.${status.state}`) : t("loading");
}

function hears(name, data) {
  if (name === "session") status = data;
  else if (name === "stopping") standing = name;
  else {
    ending = name;
    end();
  }
  draw();
}

function open() {
  end();
  end = follow(`link/${location.pathname.split("/").pop()}/events`, hears, (state, _why, since) => {
    if (standing === state) return;
    standing = state;
    awaySince = since;
    draw();
  });
}

byId("again").addEventListener("click", open);
translate(draw);
open();
