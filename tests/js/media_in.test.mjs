// The script that brings the files of messages: where it looks for the bytes, how it gives them, and what it says when there are none.

import assert from "node:assert/strict";
import { test } from "node:test";

import { common, valueOf } from "./support.mjs";

const ID = "false_5491150002222@c.us_3A01";
const BYTES = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);

/** Reads blobs as a browser does. */
class FileReader {
  readAsDataURL(blob) {
    blob.arrayBuffer().then((bytes) => {
      this.result = `data:;base64,${Buffer.from(bytes).toString("base64")}`;
      this.onload();
    });
  }
}

const wid = (text) => ({ isLid: () => text.endsWith("@lid"), toString: () => text });
const PAGE = {
  createWid: wid,
  lidOf: (number) => (String(number) === "5491150002222@c.us" ? wid("99@lid") : undefined), numberOf: (address) => (String(address) === "99@lid" ? wid("5491150002222@c.us") : undefined),
};

/** The script in a page that has these modules, and this message; others in its database. */
function files({ modules = {}, media = { filehash: "hash", mediaStage: "INIT" }, download = async () => {}, message = {}, stored = [] } = {}) {
  const msg = { id: { id: "3A01", fromMe: false, remote: "5491150002222@c.us", toString: () => ID }, type: "document", mediaData: media, ...message };
  const shared = { resolve: ([module, name]) => modules[module]?.[name], inventory: { names: () => [] }, messages: common().messages };
  const script = valueOf("src/whatsapp/page/media_in.js", { Blob, ArrayBuffer, FileReader, AbortController, setTimeout, clearTimeout })(shared);
  const messages = { get: (id) => (id === String(msg.id) ? msg : undefined), getModelsArray: () => [msg], getMessagesById: async (ids) => ({ messages: stored.filter(({ id }) => ids.includes(String(id))) }) };
  const commands = script.commands({ messages: () => messages, page: () => PAGE, blobOf: (of) => download(of) });
  /** Asks until the page says how it ended. */
  const opened = async (id = ID, most = null) => {
    for (;;) {
      const { stage, bytes } = await commands.mediaOpen({ id, most });
      if (stage !== "fetching") return { stage, bytes };
      await new Promise((again) => setTimeout(again, 5));
    }
  };
  return { ...commands, opened, msg };
}

const blob = () => new Blob([BYTES]);

test("the bytes are found in each of the places where WhatsApp Web puts them, and given in slices", async () => {
  for (const [place, page] of Object.entries({
    store: { modules: { WAWebMediaStore: { LruMediaStore: { get: async () => BYTES.buffer } } } },
    cache: { modules: { WAWebMediaInMemoryBlobCache: { InMemoryMediaBlobCache: { has: () => true, get: blob } } } },
    message: { media: { filehash: "hash", mediaBlob: { forceToBlob: blob } } },
    download: { download: async () => blob() },
  })) {
    const page_ = files(page);
    assert.deepEqual(await page_.opened(), { stage: "ready", bytes: 10 }, place);
    const first = await page_.mediaRead({ id: ID, from: 0, length: 4 });
    const rest = await page_.mediaRead({ id: ID, from: 4, length: 6 });
    assert.deepEqual(Buffer.concat([Buffer.from(first, "base64"), Buffer.from(rest, "base64")]), Buffer.from(BYTES), place);
    page_.mediaClose({ id: ID });
    await assert.rejects(page_.mediaRead({ id: ID, from: 0, length: 4 }), { code: "NOT_OPEN" });
  }
});

test("how a download ended is said by its stage", async () => {
  const ends = (mediaStage) => files({ download: async (msg) => { msg.mediaData.mediaStage = mediaStage; } });
  assert.equal((await ends("ERROR_MISSING").opened()).stage, "gone");
  assert.equal((await ends("NEED_POKE").opened()).stage, "failed");
  const missing = files({ download: async () => { throw Object.assign(new Error("x"), { status: 410 }); } });
  assert.equal((await missing.opened()).stage, "gone");
  // While the phone uploads it again, the page waits.
  const waiting = files({ download: (msg) => { msg.mediaData.mediaStage = "REUPLOADING"; return new Promise(() => {}); } });
  assert.equal((await waiting.opened()).stage, "waiting");
  waiting.mediaClose({ id: ID });
});

test("what wa-js does not find is looked for by the stage, and a type that the page refuses is brought as octets", async () => {
  const notFound = async () => { throw { code: "media_not_found" }; };
  const asked = [];
  const manager = { downloadAndMaybeDecrypt: async (given) => { asked.push(given); given.downloadQpl.addAnnotations().addPoint(); return BYTES.buffer; } };
  const page = files({
    download: notFound, media: { filehash: "hash", mediaStage: "ERROR_UNSUPPORTED" }, modules: { WAWebDownloadManager: { downloadManager: manager } },
    message: { directPath: "/v/x", mediaKey: "key", encFilehash: "enc", filehash: "hash" },
  });
  assert.deepEqual(await page.opened(), { stage: "ready", bytes: 10 });
  assert.deepEqual([asked[0].mimetype, asked[0].type, asked[0].directPath], ["application/octet-stream", "document", "/v/x"]);
  page.mediaClose({ id: ID });
});

test("a file that is larger than is wanted is not downloaded", async () => {
  let downloads = 0;
  const page = files({ media: { filehash: "hash", mediaStage: "INIT", size: 10 }, download: async () => { downloads += 1; return blob(); } });
  assert.deepEqual(await page.opened(ID, 9), { stage: "too_large", bytes: 10 });
  assert.equal(downloads, 0);
  // A caller who asks for it gets it.
  assert.deepEqual(await page.opened(ID), { stage: "ready", bytes: 10 });
  page.mediaClose({ id: ID });
  assert.deepEqual(await page.opened(ID, 10), { stage: "ready", bytes: 10 });
  page.mediaClose({ id: ID });
});

test("a message that is not there, or carries nothing any more, has no file", async () => {
  assert.equal((await files().opened("false_5491150003333@c.us_3A99")).stage, "unknown");
  assert.equal((await files({ media: null }).opened()).stage, "gone");
});

test("a file is that of the message that is meant, by either address, and of none with the same last part", async () => {
  const keyed = (id) => {
    const [own, remote, key] = id.split("_");
    return { id: { id: key, fromMe: own === "true", remote, toString: () => id } };
  };
  const group = "1203630412@g.us";
  const bytes = { filehash: "hash", mediaBlob: { forceToBlob: blob } };
  for (const [where, given] of [["memory", (message) => ({ message, media: bytes })], ["database", (message) => ({ stored: [{ ...message, mediaData: bytes }], message: { id: {} } })]]) {
    const stage = async (of, id) => {
      const page = files(given(keyed(of)));
      const { stage } = await page.opened(id);
      page.mediaClose({ id });
      return stage;
    };
    for (const [of, id] of [
      ["false_99@lid_3A01", "false_5491150002222@c.us_3A01"], ["false_5491150002222@c.us_3A01", "false_99@lid_3A01"], [`false_${group}_3A01_99@lid`, `false_${group}_3A01_99@lid`],
    ]) assert.equal(await stage(of, id), "ready", `${where} ${of}`);
    for (const [of, id] of [
      ["false_5491150003333@c.us_3A01", "false_99@lid_3A01"], ["true_99@lid_3A01", "false_99@lid_3A01"], [`false_${group}_3A01_77@lid`, `false_${group}_3A01_99@lid`],
    ]) assert.equal(await stage(of, id), "unknown", `${where} ${of}`);
  }
});
