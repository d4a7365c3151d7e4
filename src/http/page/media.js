// The file of a message: a picture is shown, a sound or a video can be played, anything else can be saved.
//
// It comes from a stranger. So the browser gets it as one of the types below or as bytes, whatever its sender calls it: a drawing with a
// script in it is never opened as one.

import { call } from "./api.js";
import { element, isBusy, say, show, whileBusy } from "./elements.js";
import { sayBecause, sizeOf, t } from "./words.js";

const PICTURES = ["image/jpeg", "image/png", "image/webp", "image/gif"];
const PLAYERS = { audio: "audio", voice: "audio", video: "video" };
const BYTES = "application/octet-stream";

// A larger picture is fetched when a person asks for it: the session's page fetches it from WhatsApp meanwhile.
const SHOWN_BY_ITSELF = 2_000_000;

// Asked again, the service says the same of these.
const OVER = ["FILE_GONE", "FILE_NOT_FOUND", "FORBIDDEN"];

// What the second part of a type is as the end of a name, where they differ.
const ENDINGS = { jpeg: "jpg", mpeg: "mp3", plain: "txt", quicktime: "mov" };

/** In which element a file is shown, if in any, and as which type. */
export function showing({ kind, media }) {
  const type = (media.mimetype ?? "").split(";")[0].trim().toLowerCase();
  if (["image", "sticker"].includes(kind) && PICTURES.includes(type)) return { tag: "img", type };
  const player = PLAYERS[kind];
  return player && new RegExp(`^${player}/[\\w.+-]+$`).test(type) ? { tag: player, type } : { tag: null, type: BYTES };
}

/** Under which name a file is saved. */
export function nameOf({ kind, key, media }) {
  if (media.filename) return media.filename;
  const [, second = ""] = /^\w+\/([a-z0-9]{1,9})(?=;|$)/.exec(media.mimetype ?? "") ?? [];
  return [`${kind}-${key}`, ENDINGS[second] ?? second].filter(Boolean).join(".");
}

/** Whether a file is fetched as soon as it is seen. What may be looked at once only, a person asks for. */
export const isShownByItself = (data) =>
  showing(data).tag === "img" && !data.media.is_view_once && data.media.bytes > 0 && data.media.bytes <= SHOWN_BY_ITSELF;

// One after another: sends go through the same page. One that has taken so long does not keep the next one from beginning.
const LONGEST_TURN = 10_000;
let turn = Promise.resolve();

const rest = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** The part of a row with the file of its message. Gives its element, a function that puts it into words, and one that ends it. */
export function mediaPart(data) {
  const { tag, type } = showing(data);
  const name = nameOf(data);
  const button = element("button", { type: "button", class: "quiet" });
  const save = element("a", { class: "save", download: name });
  const trouble = element("p", { class: "soft", role: "status" });
  const node = element("div", { class: "media" }, button, trouble);
  let shown = null;
  let why = null;
  let url = null;
  let isUnreadable = false;
  let isOver = false;
  // The promise of a download that is under way. Further callers wait for it instead of starting a second download.
  let loading = null;
  const leaving = new AbortController();

  function draw() {
    const size = data.media.bytes ? ` (${sizeOf(data.media.bytes)})` : "";
    const word = why ? "mediaAgain" : { img: "mediaShow", audio: "mediaPlay", video: "mediaPlay" }[tag] ?? "mediaSave";
    if (!isBusy(button)) say(button, t(word) + size);
    // All rows have such buttons: a screen reader says of which file this one is.
    button.setAttribute("aria-label", `${t(word)}${size}: ${name}`);
    const named = data.media.filename ? `: ${data.media.filename}` : "";
    say(save, t("mediaSave") + named + size);
    show(button, !url && !OVER.includes(why?.code));
    if (why) sayBecause(trouble, why.code, why.message);
    else say(trouble, isUnreadable ? t("mediaUnreadable") : "");
    if (tag === "img" && shown) shown.alt = data.caption ?? t(`messageKind.${data.kind}`);
  }

  function load() {
    if (isOver || url) return Promise.resolve();
    loading ??= whileBusy(button, t("mediaLoading"), fetchIt).finally(() => {
      loading = null;
      draw();
    });
    return loading;
  }

  async function fetchIt() {
    why = null;
    try {
      const path = `media/${encodeURIComponent(data.media.id)}`;
      const bytes = await (await call("GET", path, { signal: leaving.signal })).blob();
      if (isOver) return;
      url = URL.createObjectURL(bytes.slice(0, bytes.size, type));
      present();
    } catch (refusal) {
      why = refusal;
    }
  }

  function present() {
    save.href = url;
    if (tag) {
      shown = element(tag, tag === "img" ? {} : { controls: "" });
      shown.addEventListener("error", unreadable);
      shown.src = url;
      node.prepend(shown);
    }
    node.append(save);
  }

  /** Its bytes are no picture or sound that this browser knows. It can still be saved. */
  function unreadable() {
    shown.remove();
    isUnreadable = true;
    draw();
  }

  /** What a person has asked for gets the focus, in the place of the button. */
  async function ask() {
    await load();
    if (!url || isOver) return;
    if (tag === "audio" || tag === "video") {
      shown.focus();
      shown.play().catch(() => {});
    } else save.focus();
    if (!tag) save.click();
  }

  button.addEventListener("click", () => !isBusy(button) && ask());
  const seen = new IntersectionObserver((entries) => {
    if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
    seen.disconnect();
    // One that a person has asked for meanwhile needs no turn any more.
    turn = turn.then(() => !why && Promise.race([load(), rest(LONGEST_TURN)]));
  });
  if (isShownByItself(data)) seen.observe(node);
  draw();

  function end() {
    isOver = true;
    leaving.abort();
    seen.disconnect();
    if (url) URL.revokeObjectURL(url);
    node.remove();
  }

  return { node, draw, end };
}
