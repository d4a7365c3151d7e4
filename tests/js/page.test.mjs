// The service's page: its words, what it makes of a status, its requests, its streams.

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";

import { ofPage, read } from "./support.mjs";

const FOLDER = "src/http/page";
const files = (ending) => readdirSync(new URL(`../../${FOLDER}`, import.meta.url)).filter((name) => name.endsWith(ending));

/** What an element keeps of what is said in it. */
const element = () => ({ textContent: "", lang: undefined, removeAttribute(name) { delete this[name]; } });

/** Names of texts that the page asks for by a literal. */
function wanted() {
  const scripts = files(".js").map((name) => read(`${FOLDER}/${name}`)).flatMap((text) => [...text.matchAll(/\bt\("([\w.]+)"/g)]);
  const pages = files(".html").map((name) => read(`${FOLDER}/${name}`)).flatMap((text) => [...text.matchAll(/data-t(?:-label)?="([\w.]+)"/g)]);
  return new Set([...scripts, ...pages].map(([, name]) => name));
}

for (const language of ["en", "es"]) {
  test(`each text that the page asks for is there in ${language}`, async () => {
    const { t } = await ofPage("words.js", language);
    assert.ok(wanted().size > 60);
    // A text that is missing is answered by the last part of its name.
    const missing = [...wanted()].filter((name) => t(name, 1, 2) === name.split(".").pop());
    assert.deepEqual(missing, []);
    for (const state of ["INIT", "QR_REQUIRED", "AUTHENTICATED", "READY", "DISCONNECTED", "ERROR"]) {
      for (const group of ["state", "explain"]) assert.notEqual(t(`${group}.${state}`), state);
    }
  });
}

test("a code has our words; one that we do not know has those of the service, marked as English", async () => {
  const { because, sayBecause } = await ofPage("words.js", "es");
  assert.equal(because("UNLINKED", "x").lang, undefined);
  assert.deepEqual(because("BRAND_NEW", "it is new"), { text: "it is new", lang: "en" });
  assert.equal(because("BRAND_NEW").text, "BRAND_NEW");
  const target = element();
  sayBecause(target, "BRAND_NEW", "it is new");
  assert.deepEqual([target.textContent, target.lang], ["it is new", "en"]);
  sayBecause(target, "UNLINKED");
  assert.equal(target.lang, undefined);
});

test("a code that stands for many reasons has the service's sentence beside our words, which says what to do", async () => {
  const target = () => Object.assign(element(), { append(...parts) { this.parts = parts; this.textContent += parts.map((part) => part.children?.join("") ?? part).join(""); } });
  const { sayBecause } = await ofPage("words.js", "es");
  globalThis.document.createElement = () => new Part();
  const said = target();
  sayBecause(said, "INVALID_CONTENT", "media: the file is empty");
  assert.match(said.textContent, /^WhatsApp no puede .* media: the file is empty$/);
  assert.equal(said.parts.at(-1).getAttribute("lang"), "en");
  const short = target();
  sayBecause(short, "INVALID_CONTENT");
  assert.match(short.textContent, /No se envió nada\.$/);
});

test("a language of a region is that language, and one without texts is English", async () => {
  const title = async (language) => (await ofPage("words.js", language)).t("title");
  assert.equal(await title("es-AR"), "Sesiones de WhatsApp");
  assert.equal(await title("de"), await title("en"));
});

test("an account's digits are a number, and a name is left as it is", async () => {
  const { number } = await ofPage("list.js");
  assert.deepEqual(["5491158254201", "sales"].map(number), ["+5491158254201", "sales"]);
});

test("the last message is told with its time and with the reason of a failure", async () => {
  const { lastSend } = await ofPage("list.js");
  assert.equal(lastSend({ open: 0 }), null);
  const at = new Date().toISOString();
  assert.match(lastSend({ last: { state: "read", at } }), /^Read, \d/);
  assert.match(lastSend({ last: { state: "failed", at, code: "QUEUE_TIMEOUT" } }), /^Not sent, .*\. Its turn did not come in time\./);
});

test("a session says its reason, and without one what its state means", async () => {
  const { why } = await ofPage("list.js");
  const said = (status) => { const target = element(); why(target, status); return target.textContent; };
  assert.equal(said({ state: "READY" }), "Linked and ready to send.");
  assert.match(said({ state: "READY", hibernating: true }), /Chrome is closed/);
  assert.match(said({ state: "DISCONNECTED", reason: "UNLINKED" }), /removed on the phone/);
});

test("a clock counts minutes and seconds, and stops at zero", async () => {
  const { clock } = await ofPage("code.js");
  assert.equal(clock(Date.now() + 125_000), "2:05");
  assert.equal(clock(Date.now() - 1), "0:00");
});

test("a request carries session and body; a refusal is an error with its code", async () => {
  const { call, json } = await ofPage("api.js");
  const asked = [];
  globalThis.fetch = async (url, options) => { asked.push({ url: String(url), ...options }); return Response.json({ done: true }); };
  assert.deepEqual(await json("POST", "send", { id: "51", body: { to: "1" } }), { done: true });
  assert.match(asked[0].url, /\/send$/);
  assert.deepEqual(asked[0].headers, { "X-Cliente-Id": "51", "Content-Type": "application/json" });
  globalThis.fetch = async () => Response.json({ code: "QUEUE_FULL", message: "full" }, { status: 429 });
  await assert.rejects(call("GET", "status"), { status: 429, code: "QUEUE_FULL", message: "full" });
  globalThis.fetch = async () => { throw new TypeError("no network"); };
  await assert.rejects(call("GET", "status"), { status: 0, code: "AWAY" });
});

test("where a key is wanted a person is asked, and the request is made again with it", async () => {
  const { call, hasKey, onKeyWanted, useKey } = await ofPage("api.js");
  globalThis.fetch = async (_url, { headers }) =>
    headers["X-Api-Key"] === "right" ? Response.json({}) : Response.json({ code: "UNAUTHORIZED", message: "no" }, { status: 401 });
  await assert.rejects(call("GET", "status"), { status: 401 });
  onKeyWanted(async () => { useKey("right"); return true; });
  assert.equal(hasKey(), false);
  assert.equal((await call("GET", "status")).status, 200);
});

test("a request that was refused for the key before is made again without a question", async () => {
  const { call, onKeyWanted, useKey } = await ofPage("api.js");
  useKey("wrong");
  onKeyWanted(async () => assert.fail("it was asked"));
  globalThis.fetch = async (_url, { headers }) => {
    if (headers["X-Api-Key"] === "right") return Response.json({});
    // The person has answered the question of another request meanwhile.
    useKey("right");
    return Response.json({ code: "UNAUTHORIZED", message: "no" }, { status: 401 });
  };
  assert.equal((await call("GET", "status")).status, 200);
});

/** Follows a stream of these pieces; gives what was heard until the stream was refused. */
async function heardOf(pieces) {
  const { follow } = await import(`../../src/http/page/stream.js`);
  let calls = 0;
  globalThis.fetch = async () => {
    calls += 1;
    if (calls > 1) return Response.json({ code: "FORBIDDEN", message: "no" }, { status: 403 });
    const body = new ReadableStream({
      start(controller) {
        for (const piece of pieces) controller.enqueue(new TextEncoder().encode(piece));
        controller.close();
      },
    });
    return new Response(body);
  };
  const events = [];
  const states = [];
  await new Promise((resolve) => {
    follow("events", (name, data) => events.push([name, data]), (state, why) => { states.push(why?.code ?? state); if (state === "refused") resolve(); });
  });
  return { events, states };
}

test("a stream's events are heard whole however they arrive, and a refusal ends it", async () => {
  await ofPage("elements.js");
  const { events, states } = await heardOf(['event: session\r\nda', 'ta: {"a":', '\ndata: 1}\n\n: keep-alive\n\nevent: stopping\n\ndata: lost\n\n', "event: half"]);
  assert.deepEqual(events, [["session", { a: 1 }], ["stopping", null]]);
  assert.deepEqual(states, ["live", "live", "FORBIDDEN"]);
});

test("a stream that is opened again names the last id, and begins again once that is not kept any more", async () => {
  await ofPage("elements.js");
  const { follow } = await import(`../../src/http/page/stream.js`);
  const asked = [];
  const answers = [
    () => new Response("event: session\ndata: {}\n\nid: 7\n\n"),
    () => Response.json({ code: "CURSOR_EXPIRED", oldest: 9 }, { status: 410 }),
    () => Response.json({ code: "FORBIDDEN" }, { status: 403 }),
  ];
  globalThis.fetch = async (url, { headers }) => {
    asked.push([String(url).split("/").pop(), headers["Last-Event-ID"]]);
    return answers[asked.length - 1]();
  };
  await new Promise((resolve) => {
    follow(async (last) => `events?from=${last}`, () => {}, (state) => { if (state === "refused") resolve(); });
  });
  assert.deepEqual(asked, [["events?from=", undefined], ["events?from=7", "7"], ["events?from=", undefined]]);
});

test("messages are asked for from some way before the end, and not at all with a key that may not see them", async () => {
  await ofPage("elements.js");
  const shown = {};
  globalThis.document.getElementById = (id) => (shown[id] ??= { hidden: true });
  const { redraw, streamOf } = await import(`../../src/http/page/messages.js?stream`);
  const withAnswers = (...answers) => {
    const asked = [];
    globalThis.fetch = async (url) => {
      asked.push(String(url).split("/").pop());
      const [status, body] = answers[asked.length - 1];
      return Response.json(body, { status });
    };
    return asked;
  };
  let asked = withAnswers([200, { next: 1200 }], [410, { code: "CURSOR_EXPIRED", oldest: 900 }]);
  const stream = streamOf("51");
  assert.match(await stream(""), /^events\/stream\?cliente_id=51&types=session,message\.any,.*&after=900$/);
  assert.deepEqual(asked, ["events?cliente_id=51&after=latest", "events?cliente_id=51&after=700&limit=1"]);
  assert.equal(shown.messages.hidden, false);
  assert.doesNotMatch(await stream("950"), /after/, "it goes on from the last id");

  shown.messages.hidden = true;
  withAnswers([403, { code: "FORBIDDEN" }]);
  assert.equal(await streamOf("51")(""), "events/stream?cliente_id=51");
  assert.equal(shown.messages.hidden, true, "the session may be out of reach as well");
  redraw();
  assert.equal(shown.messages.hidden, false);
  assert.match(shown["no-messages"].textContent, /scope is receive/);
});

const said = async (data, more = {}) => (await ofPage("content.js")).content({ data, ...more });

test("a message that is no text says what it is, with what is known of it", async () => {
  assert.equal(await said({ kind: "text", text: "Hola" }), "Hola");
  assert.equal(await said({ kind: "text", text: "Hola" }, { edited: "Chau" }), "Chau");
  assert.equal(await said({ kind: "image", caption: "mira", media: {} }), "Picture: mira");
  assert.equal(await said({ kind: "image", media: { is_view_once: true } }), "Picture: can be looked at once");
  assert.equal(await said({ kind: "document", caption: "Los precios", media: { filename: "lista.pdf" } }), "Document: lista.pdf\nLos precios");
  assert.equal(await said({ kind: "voice", media: { duration_seconds: 67 } }), "Voice message: 1:07");
  assert.equal(await said({ kind: "location", location: { latitude: -34.6, longitude: -58.38, name: "Obelisco", address: "9 de Julio\nCABA" } }), "Place: Obelisco, 9 de Julio, CABA, -34.6, -58.38");
  assert.equal(await said({ kind: "location", location: { latitude: 0, longitude: 0 } }), "Place: 0, 0");
  const card = { name: null, vcard: "BEGIN:VCARD\r\nVERSION:3.0\r\nFN;CHARSET=UTF-8:Luz Paz\r\nEND:VCARD" };
  assert.equal(await said({ kind: "contact", contacts: [{ name: "Ana", vcard: "" }, card] }), "Contact: Ana, Luz Paz");
  assert.equal(await said({ kind: "poll", poll: { question: "¿Cuándo?", options: ["Hoy", "Mañana"] } }), "Poll: ¿Cuándo?\n○ Hoy\n○ Mañana");
  assert.equal(await said({ kind: "other" }), "Message of another kind");
  assert.equal(await said({ kind: "text", text: "x" }, { isRevoked: true }), "This message was taken back.");
});

test("a size is in the unit that a person reads", async () => {
  const { sizeOf } = await ofPage("words.js");
  assert.deepEqual([27, 4200, 340_000, 1_250_000, 98_000_000].map(sizeOf), ["27 bytes", "4.2 kB", "340 kB", "1.3 MB", "98 MB"]);
});

test("only pictures of safe types and sounds are shown; all else is bytes to the browser", async () => {
  const { isShownByItself, nameOf, showing } = await ofPage("media.js");
  const shown = (kind, mimetype) => showing({ kind, media: { mimetype } });
  const bytes = { tag: null, type: "application/octet-stream" };
  assert.deepEqual(shown("image", "image/JPEG; x=y"), { tag: "img", type: "image/jpeg" });
  assert.deepEqual(shown("sticker", "image/webp"), { tag: "img", type: "image/webp" });
  assert.deepEqual(shown("voice", "audio/ogg; codecs=opus"), { tag: "audio", type: "audio/ogg" });
  assert.deepEqual(shown("video", "video/mp4"), { tag: "video", type: "video/mp4" });
  for (const [kind, type] of [["image", "image/svg+xml"], ["image", "text/html"], ["video", "text/html"], ["video", "video/mp4<x>"], ["document", "image/png"], ["image", null]]) {
    assert.deepEqual(shown(kind, type), bytes, `${kind} ${type}`);
  }
  const name = (kind, mimetype, filename) => nameOf({ kind, key: "3A", media: { mimetype, filename } });
  assert.equal(name("document", "application/pdf", "lista.pdf"), "lista.pdf");
  assert.equal(name("image", "image/jpeg"), "image-3A.jpg");
  assert.equal(name("voice", "audio/ogg; codecs=opus"), "voice-3A.ogg");
  assert.equal(name("document", "application/vnd.ms-excel"), "document-3A");
  assert.equal(name("document", null), "document-3A");
  const picture = (media) => isShownByItself({ kind: "image", media: { mimetype: "image/png", ...media } });
  assert.equal(picture({ bytes: 2_000_000 }), true);
  for (const media of [{ bytes: 2_000_001 }, { bytes: null }, { bytes: 9, is_view_once: true }, { bytes: 9, mimetype: "image/svg+xml" }]) assert.equal(picture(media), false);
});

/** What an element of a row does: attributes, listeners, and what was put into it. */
class Part extends EventTarget {
  #attributes = new Map();
  children = [];
  hidden = false;
  textContent = "";
  setAttribute(name, value) { this.#attributes.set(name, String(value)); }
  getAttribute(name) { return this.#attributes.get(name) ?? null; }
  removeAttribute(name) { this.#attributes.delete(name); }
  append(...parts) { this.children.push(...parts); }
  prepend(...parts) { this.children.unshift(...parts); }
  remove() {}
  focus() {}
}

/** Rows with pictures, which come into view at once. Gives `row`, and what was asked of the service: `answer` gives one its picture. */
async function pictures(context) {
  const { mediaPart } = await ofPage("media.js");
  Object.assign(globalThis.document, { createElement: () => new Part() });
  const before = { fetch: globalThis.fetch, createObjectURL: URL.createObjectURL, revokeObjectURL: URL.revokeObjectURL };
  context.after(() => {
    Object.assign(globalThis, { fetch: before.fetch });
    Object.assign(URL, { createObjectURL: before.createObjectURL, revokeObjectURL: before.revokeObjectURL });
    delete globalThis.IntersectionObserver;
  });
  const page = { asked: [], urls: new Set() };
  globalThis.fetch = (url, { signal }) => new Promise((resolve, reject) => {
    signal?.addEventListener("abort", () => reject(signal.reason));
    page.asked.push({ id: String(url).split("/").pop(), signal, answer: () => resolve(new Response("picture")) });
  });
  URL.createObjectURL = () => { const url = `blob:${page.urls.size}`; page.urls.add(url); return url; };
  URL.revokeObjectURL = (url) => page.urls.delete(url);
  globalThis.IntersectionObserver = class {
    constructor(seen) { this.seen = seen; }
    observe() { this.seen([{ isIntersecting: true }]); }
    disconnect() {}
  };
  page.row = (id) => {
    const part = mediaPart({ kind: "image", key: id, media: { id, mimetype: "image/png", bytes: 7 } });
    const [button] = part.node.children;
    return { ...part, click: () => button.dispatchEvent(new Event("click")) };
  };
  page.ids = () => page.asked.map(({ id }) => id);
  return page;
}

/** Until everything that can go on has gone on. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

test("a picture that a person asks for while it waits for its turn is fetched once, and its bytes go with its row", async (context) => {
  const page = await pictures(context);
  page.row("first");
  const second = page.row("second");
  await settled();
  assert.deepEqual(page.ids(), ["first"]);
  second.click();
  await settled();
  assert.deepEqual(page.ids(), ["first", "second"]);
  page.asked[0].answer();
  await settled();
  page.asked[1].answer();
  await settled();
  assert.deepEqual(page.ids(), ["first", "second"]);
  assert.equal(page.urls.size, 2);
  assert.equal(second.node.children.filter((child) => child.src).length, 1);
  second.end();
  assert.equal(page.urls.size, 1);
});

test("a picture that does not come keeps neither the next one nor those of the next session from coming", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const page = await pictures(context);
  const first = page.row("first");
  page.row("second");
  await settled();
  assert.deepEqual(page.ids(), ["first"]);
  context.mock.timers.tick(10_000);
  await settled();
  assert.deepEqual(page.ids(), ["first", "second"]);
  page.row("third");
  await settled();
  assert.deepEqual(page.ids(), ["first", "second"]);
  page.asked[1].answer();
  await settled();
  assert.deepEqual(page.ids(), ["first", "second", "third"]);
  assert.equal(page.asked[0].signal.aborted, false);
  first.end();
  assert.equal(page.asked[0].signal.aborted, true);
});

test("a session that is left frees the turn of its pictures", async (context) => {
  const page = await pictures(context);
  const left = [page.row("first"), page.row("second")];
  await settled();
  for (const row of left) row.end();
  page.row("next");
  await settled();
  assert.deepEqual(page.ids(), ["first", "next"]);
  page.asked[1].answer();
  await settled();
  assert.equal(page.urls.size, 1);
});

/** The form of a send, and a service that takes what it sends and then has the message end in `state`. Gives what was asked. */
async function sending(state) {
  const { answer, begin, send } = await ofPage("send.js");
  const fields = {};
  const blank = () => ({ value: "", files: [], checked: false });
  globalThis.document.getElementById = (id) => (fields[id] ??= Object.assign(new Part(), blank(), { dataset: {}, replaceChildren() {} }));
  globalThis.document.createElement = () => Object.assign(new Part(), { dataset: {} });
  const form = globalThis.document.getElementById("send");
  globalThis.DataTransfer = class { files = []; items = { add: (file) => this.files.push(file) }; };
  // A browser may empty the list of files that it gave.
  form.reset = () => { globalThis.document.getElementById("send-file").files.length = 0; for (const id of ["send-to", "send-text", "send-file", "send-document"]) Object.assign(globalThis.document.getElementById(id), blank()); };
  const asked = [];
  const answers = (path) => {
    if (path.includes("/media")) return { id: "fil_1", kind: "image" };
    return path.endsWith("/send") ? { message_id: "true_1" } : { state, code: state === "failed" ? "QUOTE_NOT_FOUND" : undefined };
  };
  globalThis.fetch = async (url, { body } = {}) => {
    asked.push({ path: String(url), body: typeof body === "string" ? JSON.parse(body) : body });
    return Response.json(answers(String(url)));
  };
  begin();
  return { answer, asked, field: globalThis.document.getElementById, send };
}

for (const [state, isKept] of [["failed", true], ["cancelled", true], ["read", false], ["unknown", false]]) {
  test(`what was to be sent ${isKept ? "stands in the form again" : "is gone"} when the message ends as ${state}`, async () => {
    const { answer, asked, field, send } = await sending(state);
    answer("false_1@g.us_3A_2@lid", "1@g.us", () => "it answers this");
    field("send-text").value = "look";
    const files = [Object.assign(new Blob(["x"]), { name: "a.jpg" })];
    field("send-file").files = [...files];
    field("send-document").checked = true;
    await send("51");
    for (let turn = 0; turn < 5; turn += 1) await settled();
    const { body } = asked.find(({ path }) => path.endsWith("/send"));
    assert.equal(body.quote, "false_1@g.us_3A_2@lid");
    assert.deepEqual(body.media, { id: "fil_1", filename: "a.jpg", kind: "document", caption: "look" });
    assert.ok(asked.some(({ path }) => path.includes("/messages/true_1")));
    assert.equal(field("send-to").value, "1@g.us");
    assert.equal(field("send-text").value, isKept ? "look" : "");
    assert.deepEqual(field("send-file").files, isKept ? files : []);
    assert.equal(field("send-document").checked, isKept);
    assert.equal(field("answering").hidden, !isKept);
  });
}

test("what is not sent does not take the place of what is being written", async () => {
  const { field, send } = await sending("failed");
  field("send-to").value = "1";
  field("send-text").value = "first";
  const sent = send("51");
  for (let turn = 0; turn < 50 && field("send-text").value; turn += 1) await settled();
  field("send-text").value = "second";
  await sent;
  for (let turn = 0; turn < 5; turn += 1) await settled();
  assert.equal(field("send-text").value, "second");
});

test("a file goes to the service as it is, with its own type", async () => {
  const { call } = await ofPage("api.js");
  const asked = [];
  globalThis.fetch = async (_url, options) => { asked.push(options); return Response.json({}); };
  const file = new Blob(["%PDF"], { type: "application/pdf" });
  await call("POST", "media", { body: file });
  assert.equal(asked[0].body, file);
  assert.equal(asked[0].headers["Content-Type"], "application/pdf");
  await call("POST", "media", { body: new Blob(["x"]) });
  assert.equal(asked[1].headers["Content-Type"], "application/octet-stream");
});
