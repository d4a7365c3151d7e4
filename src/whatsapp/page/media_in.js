// The bytes of what comes in: pictures, videos, sounds, documents and stickers. They are brought into the page by WhatsApp Web, which
// decrypts them and compares their hash, and are given to the service in slices, so that neither has a whole file as text.
// docs/whatsapp.md#media-that-come-in has the source of each fact used here.
//
// The adapters find the page's objects and give them to `commands`; what is said of a file is the same for each adapter. Not
// responsible for where the bytes go, nor for when they are wanted. Called by the frame (bridge.js) as (mediaIn)(shared).
(function mediaIn(shared) {
  "use strict";

  const { resolve } = shared;

  const NAMES = {
    media: {
      kept: ["WAWebMediaStore", "LruMediaStore"],
      blobs: ["WAWebMediaInMemoryBlobCache", "InMemoryMediaBlobCache"],
      manager: ["WAWebDownloadManager", "downloadManager"],
      mediaType: ["WAWebMmsMediaTypes", "getMsgMediaType"],
    },
  };
  const PURPOSES = { media: { use: "files that come in", jobs: [] } };

  // A file that was opened and not read to its end is let go by then: the service that read it has been killed.
  const LONGEST_OPEN_MS = 120_000;
  // The page's words for how a download stands.
  const WAITING = ["REUPLOADING"];
  const MISSING = ["ERROR_MISSING"];
  // From a download that has ended to a stage that says how.
  const SETTLE_MS = 100;
  const OCTETS = "application/octet-stream";

  const failure = (code, detail) => Object.assign(new Error(detail), { code });
  const quietly = (act) => {
    try {
      return act();
    } catch {
      return undefined; // The page's own objects throw for what was let go.
    }
  };
  const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

  const asBlob = (bytes, type) => {
    if (bytes instanceof Blob) return bytes;
    const isBytes = bytes instanceof ArrayBuffer || ArrayBuffer.isView(bytes);
    return isBytes && bytes.byteLength > 0 ? new Blob([bytes], { type: type ?? OCTETS }) : null;
  };
  // Where WhatsApp Web puts what it has downloaded: by kind and size in one of three places.
  const cached = async (media) => {
    const { filehash, mimetype } = media;
    if (filehash) {
      const kept = await quietly(() => resolve(NAMES.media.kept)?.get?.(filehash))?.catch?.(() => null);
      const blob = asBlob(kept, mimetype);
      if (blob) return blob;
      const blobs = resolve(NAMES.media.blobs);
      if (quietly(() => blobs?.has?.(filehash))) return blobs.get(filehash);
    }
    return quietly(() => media.mediaBlob?.forceToBlob?.()) ?? null;
  };
  // What the page itself refuses to show, as a type that it does not know, can be downloaded all the same: as octets.
  const asOctets = async (msg) => {
    const manager = resolve(NAMES.media.manager);
    if (typeof manager?.downloadAndMaybeDecrypt !== "function" || !msg.directPath) return null;
    const { directPath, encFilehash, filehash, mediaKey, mediaKeyTimestamp } = msg;
    const downloadQpl = { addAnnotations() { return this; }, addPoint() { return this; } };
    const type = resolve(NAMES.media.mediaType)?.(msg) ?? msg.type;
    const bytes = await manager.downloadAndMaybeDecrypt({
      directPath, encFilehash, filehash, mediaKey, mediaKeyTimestamp, type, mimetype: OCTETS, signal: new AbortController().signal, downloadQpl,
    });
    return asBlob(bytes, OCTETS);
  };
  const stageOf = (msg) => String(quietly(() => msg.mediaData?.mediaStage) ?? "");
  const isGone = (error) => [404, 410].includes(error?.status) || error?.name === "MediaNotFoundError";

  // By the id of the message: {blob, stage, detail, timer}.
  const open = new Map();
  const close = (id) => {
    clearTimeout(open.get(id)?.timer);
    open.delete(id);
  };
  const touch = (id) => {
    const file = open.get(id);
    clearTimeout(file.timer);
    file.timer = setTimeout(() => close(id), LONGEST_OPEN_MS);
    return file;
  };

  const bring = async (file, msg, blobOf) => {
    const looked = () => cached(msg.mediaData ?? {});
    try {
      // wa-js throws when it has found nothing; the stage says why that is.
      const brought = async () => (await Promise.resolve(blobOf(msg)).catch((error) => { if (error?.code !== "media_not_found") throw error; })) ?? null;
      file.blob = (await looked()) ?? (await brought()) ?? (await looked());
      if (!file.blob) await sleep(SETTLE_MS);
      const stage = stageOf(msg);
      if (!file.blob && !MISSING.includes(stage) && !WAITING.includes(stage)) file.blob = await asOctets(msg);
      if (file.blob) file.stage = "ready";
      else if (MISSING.includes(stageOf(msg))) file.stage = "gone";
      else if (!WAITING.includes(stageOf(msg))) throw failure("MEDIA_FAILED", `WhatsApp Web did not bring the file: ${stageOf(msg) || "no word of why"}`);
    } catch (error) {
      file.stage = isGone(error) || MISSING.includes(stageOf(msg)) ? "gone" : "failed";
      file.detail = String(error?.message ?? error?.code ?? error).replace(/\d{5,}/g, "…");
    }
  };

  // The message with this full id, whose chat may have another address by now. What the collection does not hold is asked of the
  // page's database.
  const messageOf = async (held, id, page) => {
    const exact = quietly(() => held.get?.(id));
    if (exact) return exact;
    const meant = shared.messages.partsOf(id);
    const chats = new Set(shared.messages.addressesOf(meant.chat, page));
    const isId = shared.messages.isIdOf({ ...meant, chats }, page);
    const isMeant = (message) => isId(message?.id);
    const tail = meant.author ? `_${meant.author}` : "";
    const ids = [...chats].map((chat) => `${meant.isOwn}_${chat}_${meant.key}${tail}`);
    return held.getModelsArray?.().find(isMeant) ?? (await held.getMessagesById?.(ids))?.messages?.find(isMeant) ?? null;
  };

  // `messages` gives the page's collection; `page` its functions for addresses, which adapters of an earlier version do not give; `blobOf`
  // has WhatsApp Web download the file of a message, and may give it.
  const commands = ({ messages, page = () => ({ createWid: (text) => text }), blobOf }) => ({
    // {id, most} -> {stage, bytes, detail}. To be asked until the stage is no longer `fetching` or `waiting`: the phone uploads it again.
    // A file of more bytes than `most`, as its message says, is not brought: the page would have all of it in memory.
    async mediaOpen({ id, most }) {
      if (!open.has(id)) {
        const held = messages();
        if (!held) throw failure("NOT_LOADED", "WhatsApp Web has not loaded its messages");
        const msg = await messageOf(held, id, page());
        if (!msg) return { stage: "unknown", bytes: null, detail: "the message is not in WhatsApp Web's store" };
        if (!msg.mediaData && !msg.directPath) return { stage: "gone", bytes: null, detail: "the message carries no file any more" };
        const size = Number(msg.mediaData?.size ?? msg.size);
        if (typeof most === "number" && size > most) return { stage: "too_large", bytes: size, detail: "its message says that it has more bytes than are wanted" };
        const file = { blob: null, stage: "fetching", detail: null, timer: 0, msg };
        open.set(id, file);
        bring(file, msg, blobOf);
      }
      const { blob, stage, detail, msg } = touch(id);
      const now = stage === "fetching" && WAITING.includes(stageOf(msg)) ? "waiting" : stage;
      if (["gone", "failed"].includes(now)) close(id);
      return { stage: now, bytes: blob?.size ?? null, detail };
    },
    // {id, from, length} -> the bytes as base64.
    async mediaRead({ id, from, length }) {
      if (!open.get(id)?.blob) throw failure("NOT_OPEN", "the file is not open");
      const { blob } = touch(id);
      const part = blob.slice(from, from + length);
      // As a data URL the page's own code encodes it, in one step: some ten times as fast as letter by letter.
      const url = await new Promise((done, failed) => {
        const reader = new FileReader();
        reader.onload = () => done(reader.result);
        reader.onerror = () => failed(failure("MEDIA_FAILED", "the page could not read the file"));
        reader.readAsDataURL(part);
      });
      return url.slice(url.indexOf(",") + 1);
    },
    mediaClose({ id }) {
      close(id);
    },
  });

  return { commands, inventory: () => shared.inventory.names(NAMES, PURPOSES) };
})
