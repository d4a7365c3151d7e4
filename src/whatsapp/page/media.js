// Media: how a file gets from the service into the page, and through WhatsApp Web onto its server. docs/whatsapp.md#media has the source of
// each fact used here.
//
// A file is uploaded before its message is handed over. So WhatsApp's own store has a message only with a medium that is on the server:
// one that it holds with ack 0 it can send by itself, also after the page was loaded again. (WhatsApp Web itself does it the other way
// round, and cannot send such a message any more.) The bytes are those that the caller gave: nothing is drawn again or converted.
//
// Not responsible for who sends to whom, nor for handing a message over: that is each adapter's own. Called by the frame (bridge.js) as
// (media)(shared), with what all adapters share.
(function media(shared) {
  "use strict";

  const { resolve, nameOf } = shared;

  const NAMES = {
    media: {
      OpaqueData: ["WAWebMediaOpaqueData"],
      getOrCreateMediaObject: ["WAWebMediaStorage", "getOrCreateMediaObject"],
      uploadMedia: ["WAWebMediaMmsV4Upload", "uploadMedia"],
      blobCache: ["WAWebMediaInMemoryBlobCache", "InMemoryMediaBlobCache"],
    },
    // Without it a file that is too large is refused by the server.
    mediaLimit: {
      getUploadLimit: ["WAWebMediaGatingUtils", "getUploadLimit"],
    },
  };
  const PURPOSES = { media: { use: "sending media", jobs: [] }, mediaLimit: { use: "limits of media", jobs: [] } };

  // WhatsApp's word for each kind. It is the type of the message and that of the upload, from which the keys are derived.
  const TYPES = { image: "image", video: "video", audio: "audio", voice: "ptt", document: "document", sticker: "sticker" };
  // What the upload limit is asked for.
  const LIMITED = { voice: "audio" };

  // A preview is no reason to wait: without one a phone shows a grey field until the medium is loaded.
  const LOOK_MS = 10000;
  const PREVIEW_EDGE = 100;
  const PREVIEW_TYPE = "image/jpeg";
  // As WhatsApp's app shows a voice message.
  const BARS = 64;
  // To find the length of a sound it is read as a whole, and decoded: of a voice message that is worth it.
  const LONGEST_DECODED_BYTES = 4e6;

  const failure = (code, detail) => Object.assign(new Error(detail), { code });
  const late = (ms) => new Promise((_, reject) => setTimeout(() => reject(new Error("late")), ms));

  // The inputs through which files come, and what has been uploaded, by the keys of the messages to be.
  const inputs = new Map();
  const staged = new Map();
  // A send that was given up leaves its medium here: more than these are of no use.
  const MOST_STAGED = 8;

  const drawn = (source, width, height) => {
    const scale = Math.min(1, PREVIEW_EDGE / Math.max(width, height, 1));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(width * scale));
    canvas.height = Math.max(1, Math.round(height * scale));
    canvas.getContext("2d").drawImage(source, 0, 0, canvas.width, canvas.height);
    return canvas.toDataURL(PREVIEW_TYPE, 0.6).split(",")[1];
  };
  const picture = async (file) => {
    const image = await createImageBitmap(file);
    const { width, height } = image;
    const body = drawn(image, width, height);
    image.close();
    return { width, height, body };
  };
  const played = async (tag, event, file, read) => {
    const element = document.createElement(tag);
    const url = URL.createObjectURL(file);
    try {
      await new Promise((done, failed) => {
        element.addEventListener(event, done, { once: true });
        element.addEventListener("error", () => failed(new Error("not played")), { once: true });
        Object.assign(element, { muted: true, preload: "auto", src: url });
        element.load();
      });
      return read(element);
    } finally {
      element.removeAttribute("src");
      element.load();
      URL.revokeObjectURL(url);
    }
  };
  const seconds = (element) => (Number.isFinite(element.duration) ? String(Math.round(element.duration)) : undefined);
  const film = (file) => played("video", "loadeddata", file, (video) => ({
    width: video.videoWidth, height: video.videoHeight, duration: seconds(video), body: drawn(video, video.videoWidth, video.videoHeight),
  }));
  const sound = (file) => played("audio", "loadedmetadata", file, (audio) => ({ duration: seconds(audio) }));
  const voice = async (file) => {
    if (file.size > LONGEST_DECODED_BYTES) return sound(file);
    // The rate is as low as Chrome allows: the shape of a sound needs no more.
    const context = new OfflineAudioContext(1, 1, 8000);
    const decoded = await context.decodeAudioData(await file.arrayBuffer());
    const samples = decoded.getChannelData(0);
    const width = Math.max(1, Math.floor(samples.length / BARS));
    const loudness = Array.from({ length: BARS }, (_, bar) => {
      let sum = 0;
      for (let at = bar * width; at < Math.min((bar + 1) * width, samples.length); at += 1) sum += Math.abs(samples[at]);
      return sum / width;
    });
    const most = Math.max(...loudness) || 1;
    return { duration: String(Math.max(1, Math.round(decoded.duration))), waveform: Uint8Array.from(loudness, (level) => Math.round((100 * level) / most)) };
  };
  const LOOKS = { image: picture, sticker: picture, video: film, audio: sound, voice };
  // What a phone shows of a medium before it has loaded it. A Chrome that cannot play it sends it without that.
  const look = async (kind, file) => {
    const looking = LOOKS[kind]?.(file);
    return (await Promise.race([looking ?? {}, late(LOOK_MS)]).catch(() => ({}))) ?? {};
  };

  const found = (page) => {
    const all = Object.entries(NAMES.media).map(([name, home]) => [name, page?.[name] ?? resolve(home)]);
    const missing = all.filter(([, value]) => !value).map(([name]) => nameOf(NAMES.media[name]));
    if (missing.length > 0) throw failure("NO_MEDIA", `WhatsApp Web has no ${missing.join(", ")}`);
    return Object.fromEntries(all);
  };
  const mustFit = (kind, bytes, page) => {
    const ask = page?.getUploadLimit ?? resolve(NAMES.mediaLimit.getUploadLimit);
    let limit;
    try {
      limit = ask?.(LIMITED[kind] ?? kind);
    } catch {
      return; // The server refuses what is too large.
    }
    if (bytes > limit) throw failure("MEDIA_REFUSED", `the file has ${bytes} bytes, and WhatsApp takes ${limit} of the kind ${kind}`);
  };

  const stageOnce = async ({ key, kind, mimetype, filename, filehash, bytes }, page) => {
    const given = inputs.get(key)?.files?.[0];
    inputs.delete(key);
    if (!given) throw failure("NOT_STAGED", "the file did not come into the page");
    if (given.size !== bytes) throw failure("MEDIA_REFUSED", "the file has changed on its way into the page");
    mustFit(kind, bytes, page);
    const { OpaqueData, getOrCreateMediaObject, uploadMedia, blobCache } = found(page);
    const type = TYPES[kind];
    // The same bytes under the right name and type: what a file is called says what it is.
    const file = new File([given], filename ?? kind, { type: mimetype });
    const { body, width, height, duration, waveform } = await look(kind, file);
    const data = await OpaqueData.createFromData(file, mimetype);
    const object = getOrCreateMediaObject(filehash);
    object.consolidate({ type, mediaBlob: data, size: bytes, filehash, mimetype, fullWidth: width, fullHeight: height, duration, waveform });
    // The upload looks for the bytes here (whatsapp-web.js).
    blobCache.put(filehash, file);
    let uploaded;
    try {
      uploaded = await uploadMedia({ mimetype, mediaObject: object, mediaType: type });
    } finally {
      data.autorelease();
      blobCache.delete?.(filehash);
      object.clearBlob?.();
    }
    const entry = uploaded?.mediaEntry;
    if (!entry) {
      const stage = String(object.uploadStage ?? uploaded?.kind ?? "");
      if (/TOO_LARGE|FORBIDDEN|UNSUPPORTED/.test(stage)) throw failure("MEDIA_REFUSED", `WhatsApp's server did not take the file (${stage})`);
      throw failure("NOT_UPLOADED", `the file was not uploaded to WhatsApp (${stage})`);
    }
    return {
      type, mimetype, filehash, size: bytes,
      directPath: entry.directPath, mediaKey: entry.mediaKey, mediaKeyTimestamp: entry.mediaKeyTimestamp,
      encFilehash: entry.encFilehash ?? entry.getEncfilehash?.(), deprecatedMms3Url: entry.deprecatedMms3Url, streamingSidecar: entry.sidecar, firstFrameSidecar: entry.firstFrameSidecar,
      body, width, height, duration, waveform, isGif: kind === "video" ? false : undefined,
    };
  };

  return {
    // An input for the file of this message: it stands in no document, and the service puts the file into it.
    input(key) {
      const input = document.createElement("input");
      input.type = "file";
      if (inputs.size >= MOST_STAGED) inputs.delete(inputs.keys().next().value);
      inputs.set(key, input);
      return input;
    },
    // {key, kind, mimetype, filename, filehash, bytes}: uploads the file that is in the input. `page` is what an adapter finds of the page.
    async stage(medium, page) {
      if (staged.has(medium.key)) return;
      const fields = await stageOnce(medium, page);
      if (staged.size >= MOST_STAGED) staged.delete(staged.keys().next().value);
      staged.set(medium.key, fields);
    },
    // The fields of a message with a medium that was uploaded, and its caption. It stays here: the page may not take the message yet.
    fields(key, { kind, caption, filename, view_once: isViewOnce }) {
      const fields = staged.get(key);
      if (!fields) throw failure("NOT_STAGED", "the file is no longer in the page");
      return {
        ...fields,
        caption: caption ?? undefined,
        ...(kind === "document" ? { filename, isCaptionByUser: Boolean(caption) } : {}),
        ...(isViewOnce ? { isViewOnce: true } : {}),
      };
    },
    inventory: () => shared.inventory.names(NAMES, PURPOSES),
  };
})
