/*
 * Media as the page has them: the words for their kinds and stages, the objects that hold their bytes, and the way from a message to
 * its bytes.
 *
 * Responsible for: the shapes of the page modules WAWebMediaTypes, WAWebMmsMediaTypes, WAWebMediaOpaqueData, WAWebMediaObject,
 * WAWebMediaStorage, WAWebMediaStore, WAWebMediaInMemoryBlobCache, WAWebMediaMmsV4Download and WAWebDownloadManager
 * (docs/sandbox.md#media). Not responsible for: what is sent (media-process.js, media-send.js).
 *
 * Invariant: bytes are given out only to those who have the path, the key and the hashes.
 */
sandboxPage.define('WAWebMediaTypes', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const same = (...names) => Object.freeze(Object.fromEntries(names.map((name) => [name, name])));
  const PICTURE = ['aspectRatio', 'fullWidth', 'fullHeight', 'preview', 'isViewOnce', 'fullPreviewData', 'staticUrl'];
  Object.assign(exports, {
    TYPE: same('VIDEO', 'PTV', 'IMAGE', 'AUDIO', 'STICKER', 'DOCUMENT', 'PRODUCT', 'BIZ_COVER_PHOTO'),
    OUTWARD_TYPES: Object.freeze({
      IMAGE: 'image', VIDEO: 'video', PTV: 'ptv', AUDIO: 'audio', PTT: 'ptt', STICKER: 'sticker', DOCUMENT: 'document', PRODUCT: 'product', UNKNOWN: 'unknown',
    }),
    DownloadStage: same('INIT', 'EXISTS', 'PREPARING', 'REUPLOADING', 'FETCHING', 'PROCESSING', 'NEED_POKE', 'ERROR_MISSING', 'ERROR_UNSUPPORTED', 'RESOLVED'),
    UploadStage: same('INIT', 'PREPARING', 'UPLOADING', 'FINALIZING', 'NEED_UPLOAD', 'ERROR_FILE_NOT_READABLE', 'ERROR_MISSING', 'ERROR_TOO_LARGE', 'ERROR_FORBIDDEN', 'ERROR_THROTTLED', 'UPLOADED'),
    MediaDataStage: same('INIT', 'EXISTS', 'PREPARING', 'UPLOADING', 'FINALIZING', 'SENDING', 'REUPLOADING', 'FETCHING', 'DECRYPTING', 'RESOLVED', 'NEED_POKE', 'NEED_UPLOAD',
      'ERROR_FILE_NOT_READABLE', 'ERROR_MISSING', 'ERROR_TOO_LARGE', 'ERROR_FORBIDDEN', 'ERROR_UNSUPPORTED'),
    /** A field of the media to the field of the message that it becomes. */
    MEDIA_TO_MSG: Object.freeze({
      preview: 'body', mediaKey: 'mediaKey', mediaKeyTimestamp: 'mediaKeyTimestamp', size: 'size', filehash: 'filehash', mimetype: 'mimetype', duration: 'duration',
      pageCount: 'pageCount', fullHeight: 'height', fullWidth: 'width', type: 'type', filename: 'filename', caption: 'caption', isGif: 'isGif',
      gifAttribution: 'gifAttribution', sidecar: 'streamingSidecar', subtype: 'subtype', isAnimated: 'isAnimated', isViewOnce: 'isViewOnce', waveform: 'waveform',
    }),
    FIELDS: Object.freeze({
      VIDEO: [...PICTURE, 'duration'], PTV: [...PICTURE, 'duration'], AUDIO: ['duration', 'waveform'], IMAGE: PICTURE, STICKER: [...PICTURE, 'isAnimated'],
      DOCUMENT: ['aspectRatio', 'pageCount', 'preview', 'fullPreviewData', 'fullPreviewSize'], RAW: ['mediaBlob', 'size', 'loadedSize', 'filehash'],
    }),
    MSG_SPECIFIC_FIELDS: Object.freeze(['type', 'filename', 'caption', 'isGif', 'gifAttribution', 'mimetype', 'pageCount', 'sidecar', 'subtype', 'isViewOnce']),
  });
});

sandboxPage.define('WAWebMmsMediaTypes', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const MEDIA_TYPES = Object.freeze({
    AUDIO: 'audio', DOCUMENT: 'document', GIF: 'gif', IMAGE: 'image', PRODUCT: 'product', PTT: 'ptt', STICKER: 'sticker', VIDEO: 'video', PTV: 'ptv',
  });
  const OPUS = 'audio/ogg; codecs=opus';
  const SOUNDS = new Set([OPUS, 'audio/mp4', 'audio/mpeg', 'audio/aac', 'audio/amr']);
  const FILMS = new Set(['video/mp4', 'video/3gpp']);
  /** Exact words: `audio/ogg;codecs=opus` is none of them. */
  const VALID = { image: new Set(['image/jpeg', 'image/png', 'image/webp']), sticker: new Set(['image/webp']), video: FILMS, audio: SOUNDS, ptt: SOUNDS, ptv: FILMS };
  function msgToMediaType({ type, isGif }) {
    if (type === 'video') return isGif === true ? MEDIA_TYPES.GIF : MEDIA_TYPES.VIDEO;
    if (Object.values(MEDIA_TYPES).includes(type) && type !== 'gif') return type;
    throw new Error('msg is not a media msg: ' + type + ', isGif=' + String(isGif));
  }
  Object.assign(exports, {
    MEDIA_TYPES,
    MEDIA_TYPE_VALUES: Object.values(MEDIA_TYPES),
    castToV4(type) {
      if (type === undefined || type === null) return MEDIA_TYPES.DOCUMENT;
      if (!(type in MEDIA_TYPES)) throw new Error('castToV4: unexpected mmsv3 type ' + type);
      return MEDIA_TYPES[type];
    },
    msgToMediaType,
    getMsgMediaType: (msg) => msgToMediaType({ type: msg.type, isGif: msg.type === 'video' ? msg.isGif : false }),
    mediaTypeToMsgTypeSupportedByAllowlist: (type) => (type === 'gif' ? 'video' : type in VALID ? type : null),
    getValidMimeTypes: (type) => (type === undefined || type === null ? null : VALID[type]),
  });
});

sandboxPage.define('WAWebMediaFileErrors', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  for (const name of ['InvalidMediaFileType', 'MediaDecryptionError', 'MediaHashMismatch']) {
    exports[name] = class extends Error { constructor(message) { super(message || name); this.name = name; } };
  }
});

sandboxPage.define('WAWebMmsClientErrors', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  for (const [name, status] of [['MediaNotFoundError', 404], ['MediaTooLargeError', 413], ['MMSForbiddenError', 403]]) {
    exports[name] = class extends Error { constructor(given) { super(name); this.name = name; this.status = given || status; } };
  }
});

sandboxPage.define('WAWebMiscErrors', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  for (const name of ['InvalidMediaFileType', 'InvalidMediaCheckRepairFailedType', 'MediaFileFailedLoad', 'MediaFileEmpty', 'ModelCreateError']) {
    exports[name] = class extends Error { constructor(message) { super(message || name); this.name = name; } };
  }
});

/* Bytes with a count of holders: a second after the last holder has released them they are gone, and reading them throws. */
sandboxPage.define('WAWebMediaOpaqueData', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const RELEASE_MS = 1000;
  let pool = [];
  let timer = 0;
  class OpaqueData {
    constructor() {
      this.holders = 1;
      this.isPooled = false;
      this.released = false;
      this.blob = undefined;
      this.kind = undefined;
      this.address = undefined;
    }
    retain() {
      if (this.released) throw new Error('OpaqueData:retain called on released OpaqueData');
      this.holders += 1;
    }
    autorelease() {
      if (this.released || this.holders === 0) return;
      this.holders -= 1;
      if (this.holders > 0 || this.isPooled) return;
      this.isPooled = true;
      pool.push(this);
      timer ||= setTimeout(() => OpaqueData.releaseAutoreleasePool(), RELEASE_MS);
    }
    autoreleaseWhenPromiseCompletes(promise) { const done = () => this.autorelease(); promise.then(done, done); }
    throwIfReleased(what) { if (this.released) throw new Error(what + ' called on released OpaqueData'); }
    url() {
      this.throwIfReleased('OpaqueData:url');
      this.address ||= URL.createObjectURL(this.blob);
      return this.address;
    }
    getBlob() { return this.blob; }
    getBase64() { return undefined; }
    validate() { return Promise.resolve(true); }
    size() { this.throwIfReleased('OpaqueData:size'); return this.blob.size; }
    type() { this.throwIfReleased('OpaqueData:type'); return this.kind || 'undefined'; }
    forceToBlob() {
      this.throwIfReleased('OpaqueData:forceToBlob');
      if (!this.blob) throw new Error('OpaqueData:forceToBlob no b64 or blob');
      return this.blob;
    }
    formData() { this.throwIfReleased('OpaqueData:formData'); return this.forceToBlob(); }
    isBlobEqual(other) { return other ? this.blob === other.blob : !this.blob; }
    static releaseAutoreleasePool() {
      const released = pool;
      pool = [];
      timer = 0;
      for (const data of released) {
        data.isPooled = false;
        if (data.holders > 0 || data.released) continue;
        data.released = true;
        data.blob = undefined;
        if (data.address) URL.revokeObjectURL(data.address);
      }
    }
    static async createFromBase64Jpeg(text) { return OpaqueData.createFromData(require('SandboxMediaCrypto').decode(text), 'image/jpeg'); }
    static async createFromData(data, type) {
      const made = new OpaqueData();
      made.blob = data instanceof Blob && data.type === type ? data : new Blob([data], { type });
      made.kind = type;
      return made;
    }
  }
  exports.default = OpaqueData;
});

sandboxPage.define('WAWebMediaData', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { BaseModel, defineModel } = require('WAWebBaseModel');
  class MediaData extends BaseModel {
    static defaults() { return { mediaStage: 'INIT' }; }
    /** Has the inner name of an id among its fields: who copies them into a message has to put the message's id behind them. */
    toJSON() { return { ...this.serialize(), __x_id: undefined }; }
    isStreamable() { return false; }
    isDownloadable() { return true; }
  }
  defineModel(MediaData, 'mediaData', ['type', 'directPath', 'mediaKey', 'mediaKeyTimestamp', 'encFilehash', 'mediaStage', 'size', 'filehash', 'mimetype', 'mediaBlob',
    'renderableUrl', 'fullHeight', 'fullWidth', 'aspectRatio', 'isAnimated', 'isViewOnce', 'preview', 'sidecar', 'duration', 'isGif', 'gifAttribution', 'filename', 'pageCount',
    'caption', 'subtype', 'waveform', 'clientUrl', 'deprecatedMms3Url', 'uploadhash', 'streamingSidecar', 'firstFrameSidecar', 'fullPreviewData', 'fullPreviewSize']);
  exports.default = MediaData;
});

sandboxPage.define('WAWebMediaEntry', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  class MediaEntry {
    constructor(values) { Object.assign(this, values); }
    getMediaKey() { return this.mediaKey; }
    getMediaKeyTimestamp() { return this.mediaKeyTimestamp; }
    getEncfilehash() { return this.encFilehash; }
    canReuseMediaKey() { return false; }
    markWhetherOnServer(is) { this.isOnServer = is; }
    url() { return this.directPath; }
  }
  exports.EncryptedMediaEntry = class EncryptedMediaEntry extends MediaEntry {};
  exports.UnencryptedMediaEntry = class UnencryptedMediaEntry extends MediaEntry {};
});

sandboxPage.define('WAWebMediaObject', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { EncryptedMediaEntry } = require('WAWebMediaEntry');
  const { FIELDS, MEDIA_TO_MSG, MSG_SPECIFIC_FIELDS } = require('WAWebMediaTypes');
  const OpaqueData = importDefault('WAWebMediaOpaqueData');
  const take = (into, from, names) => { for (const name of names) if (from[name] !== undefined) into[name] = from[name]; };
  /** What the stage of an object is called in the data of its messages. */
  const DOWNLOADS = { INIT: 'INIT', FETCHING: 'FETCHING', REUPLOADING: 'REUPLOADING', NEED_POKE: 'NEED_POKE', ERROR_MISSING: 'ERROR_MISSING', ERROR_UNSUPPORTED: 'ERROR_UNSUPPORTED', RESOLVED: 'RESOLVED', PROCESSING: 'DECRYPTING' };
  const UPLOADS = { UPLOADING: 'UPLOADING', FINALIZING: 'FINALIZING', UPLOADED: 'SENDING' };
  class Entries {
    constructor() { this.entries = []; }
    addEntry(values) { const entry = new EncryptedMediaEntry(values); this.entries.push(entry); return entry; }
    updateEntry({ encFilehash, directPath }) {
      const entry = this.entries.find((each) => each.encFilehash === encFilehash);
      if (entry) entry.directPath = directPath;
      return entry;
    }
    getUploadEntry() { return this.entries.findLast((entry) => entry.isUploaded); }
    getDownloadEntry() { return this.entries.at(-1); }
  }
  class MediaObject {
    constructor(filehash) {
      Object.assign(this, {
        filehash, entries: new Entries(), type: null, size: undefined, mediaBlob: null, contentInfo: {}, downloadStage: 'INIT', uploadStage: 'INIT', msgs: new Set(),
        userUploadAttemptCount: 0, userDownloadAttemptCount: 0, uploading: null, downloading: null,
      });
    }
    /** Takes what is known of it now; holds on to its bytes. */
    consolidate(given) {
      if (given.type && given.type !== 'unknown') this.type = given.type === 'ptt' ? 'AUDIO' : given.type.toUpperCase();
      take(this, given, ['size', 'downloadStage', 'uploadStage', 'loadedSize']);
      if (given.mediaBlob instanceof OpaqueData && given.mediaBlob !== this.mediaBlob) { given.mediaBlob.retain(); this.mediaBlob = given.mediaBlob; }
      if (this.mediaBlob && this.size === undefined) this.size = this.mediaBlob.size();
      take(this.contentInfo, given, this.contentFields());
      this.notifyMsgsAsync();
      return true;
    }
    contentFields() { return FIELDS[this.type || 'DOCUMENT']; }
    notifyMsgsAsync() {
      const mediaStage = UPLOADS[this.uploadStage] || (this.uploadStage !== 'INIT' && this.uploadStage !== 'PREPARING' ? this.uploadStage : DOWNLOADS[this.downloadStage]);
      for (const msg of this.msgs) if (msg.mediaData) msg.mediaData.set({ mediaStage, size: this.size, ...(this.mediaBlob ? { mediaBlob: this.mediaBlob } : {}) });
    }
    clearBlob() { if (this.mediaBlob) this.mediaBlob.autorelease(); this.mediaBlob = null; }
    addMsg(msg) { this.msgs.add(msg); }
    removeMsg(msg) { this.msgs.delete(msg); }
    associatedMsgs() { return [...this.msgs]; }
    hasAssociatedMsgs() { return this.msgs.size > 0; }
    resolveWhenConsolidated() { return Promise.resolve(); }
    getPendingProcess() { return Promise.resolve(); }
    /** The fields of a message that has this medium; nothing that names the message itself. */
    msgProps(data) {
      const own = {};
      take(own, this, FIELDS.RAW);
      take(own, this.contentInfo, this.contentFields());
      take(own, data, MSG_SPECIFIC_FIELDS);
      return Object.fromEntries(Object.entries(own).filter(([name]) => MEDIA_TO_MSG[name]).map(([name, value]) => [MEDIA_TO_MSG[name], value]));
    }
    toJSON() { const { mediaBlob, size, filehash, type, contentInfo, downloadStage, uploadStage } = this; return { mediaBlob, size, filehash, type, contentInfo, downloadStage, uploadStage }; }
  }
  exports.MediaObject = MediaObject;
  exports.webMediaTypeToWamMediaType = (type) => type;
});

sandboxPage.define('WAWebMediaStorage', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { MediaObject } = require('WAWebMediaObject');
  const objects = new Map();
  exports.getOrCreateMediaObject = (filehash) => {
    if (typeof filehash !== 'string' || filehash === '') throw new Error('getOrCreateMediaObject: no filehash');
    if (!objects.has(filehash)) objects.set(filehash, new MediaObject(filehash));
    return objects.get(filehash);
  };
  exports.associateMediaWithMsg = (object, msg) => object.addMsg(msg);
});

/* What was downloaded stays in a store of its own for a while, by hash. */
sandboxPage.define('WAWebMediaStore', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const kept = new Map();
  exports.LruMediaStore = {
    async get(key) { return kept.get(key) || null; },
    async put(key, value) { kept.set(key, value); },
    async del(key) { kept.delete(key); },
    async clear() { kept.clear(); },
    async count() { return kept.size; },
    async has(key) { return kept.has(key); },
    getName: async () => 'lru-media-array-buffer-cache',
  };
});

sandboxPage.define('WAWebMediaInMemoryBlobCache', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const LIMIT_BYTES = 25e7;
  class InMemoryMediaBlobCacheImpl {
    constructor() { this.blobs = new Map(); this.urls = new Map(); this.used = new Map(); }
    get(filehash) { return this.blobs.get(filehash); }
    has(filehash) { return this.blobs.has(filehash); }
    touch(filehash) { this.get(filehash); }
    put(filehash, blob) {
      this.blobs.delete(filehash);
      this.blobs.set(filehash, blob);
      const size = () => [...this.blobs.values()].reduce((sum, { size: bytes }) => sum + bytes, 0);
      for (const oldest of [...this.blobs.keys()]) {
        if (size() <= LIMIT_BYTES) break;
        if (!this.used.get(oldest)) this.delete(oldest);
      }
    }
    delete(filehash) { this.blobs.delete(filehash); }
    clear() { this.blobs.clear(); }
    canFitFile(size) { return size <= LIMIT_BYTES; }
    increaseUsageCount(filehash) { this.used.set(filehash, (this.used.get(filehash) || 0) + 1); }
    decreaseUsageCount(filehash) { this.used.set(filehash, Math.max(0, (this.used.get(filehash) || 0) - 1)); }
    getOrCreateURL(filehash) {
      const blob = this.get(filehash);
      if (!blob) throw new Error('There is no blob matching filehash: ' + filehash + '.');
      if (!this.urls.has(filehash)) this.urls.set(filehash, URL.createObjectURL(blob));
      return this.urls.get(filehash);
    }
    revokeURL(filehash, url) { URL.revokeObjectURL(url); this.urls.delete(filehash); }
  }
  exports.InMemoryMediaBlobCacheImpl = InMemoryMediaBlobCacheImpl;
  exports.InMemoryMediaBlobCache = new InMemoryMediaBlobCacheImpl();
});

sandboxPage.define('WAWebDownloadManager', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { InvalidMediaFileType, MediaDecryptionError, MediaHashMismatch } = require('WAWebMediaFileErrors');
  const { MediaNotFoundError } = require('WAWebMmsClientErrors');
  const mms = require('WAWebMmsMediaTypes');
  const { decrypt, sha256, tokenOf } = require('SandboxMediaCrypto');

  /** Checked before anything is fetched. A caller that names no mimetype names octets. */
  function checkMimetype(type, mimetype) {
    const msgType = mms.mediaTypeToMsgTypeSupportedByAllowlist(type);
    const isExpected = msgType === null ? mimetype.toLowerCase() !== 'image/svg+xml' : mms.getValidMimeTypes(msgType).has(mimetype);
    if (!isExpected) throw new InvalidMediaFileType('Unexpected mimetype ' + mimetype + ' for media type ' + type);
  }
  async function fetchAndDecrypt({ directPath, encFilehash, filehash, mediaKey, type, signal, downloadQpl }) {
    if (!mediaKey) throw new MediaDecryptionError('decryptMedia: missing key for type ' + type);
    if (!encFilehash) throw new MediaDecryptionError('decryptMedia: missing encFilehash for type ' + type);
    const answer = await fetch(directPath + '?hash=' + tokenOf(encFilehash) + '&mms-type=' + encodeURIComponent(type), { signal });
    if (answer.status === 404 || answer.status === 410) throw new MediaNotFoundError(answer.status);
    if (!answer.ok) throw Object.assign(new Error('HttpStatusCodeError: ' + answer.status), { name: 'HttpStatusCodeError', status: answer.status });
    const file = await answer.arrayBuffer();
    downloadQpl.addPoint('decrypt_start', { int: { dataSize: file.byteLength } });
    if (await sha256(file) !== encFilehash) throw new MediaHashMismatch();
    const plain = await decrypt(type, mediaKey, file);
    if (!plain) throw new MediaDecryptionError('hmac mismatch');
    if (await sha256(plain) !== filehash) throw new MediaHashMismatch();
    downloadQpl.addPoint('decrypt_end');
    return plain;
  }

  const reuploads = new Map();
  let requests = 0;
  class DownloadManager {
    constructor() {
      // Own and writable, as on the real page, where outsiders put theirs in its place.
      this.downloadAndMaybeDecrypt = async (given) => {
        const { type, mimetype = 'application/octet-stream', downloadQpl } = given;
        downloadQpl.addAnnotations({ string: { mediaType: type, rawMimeType: mimetype } });
        checkMimetype(type, mimetype || 'application/octet-stream');
        return fetchAndDecrypt(given);
      };
      /** Asks the phone to upload again; answers its new path, or rejects. */
      this.rmr = async ({ mediaObject }) => {
        const [msg] = mediaObject.associatedMsgs();
        if (!msg) throw new Error('rmr called on MediaObject with no msg');
        mediaObject.consolidate({ downloadStage: 'REUPLOADING' });
        requests += 1;
        const request = requests;
        const directPath = await new Promise((resolve) => {
          reuploads.set(request, resolve);
          require('SandboxWire').tell({ type: 'reupload', request, id: msg.id.id });
        });
        if (!directPath) throw Object.assign(new Error('MediaNotOnPhone'), { name: 'MediaNotOnPhone' });
        return directPath;
      };
    }
  }
  require('SandboxWire').frames.on('reuploaded', ({ request, direct_path: directPath }) => {
    const resolve = reuploads.get(request);
    reuploads.delete(request);
    if (resolve) resolve(directPath);
  });
  exports.downloadManager = new DownloadManager();
});

sandboxPage.define('WAWebMediaMmsV4Download', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const OpaqueData = importDefault('WAWebMediaOpaqueData');
  const { LruMediaStore } = require('WAWebMediaStore');
  const { InMemoryMediaBlobCache } = require('WAWebMediaInMemoryBlobCache');
  const { shouldUseMediaCache, shouldUseLruMediaStore } = require('WAWebMediaDataUtils');
  /** What is larger waits until a person asks for it. */
  const EXPENSIVE_BYTES = 64e6;
  const qpl = { addAnnotations() { return this; }, addPoint() { return this; } };

  const hasBytes = (object) => Boolean(object.mediaBlob) || InMemoryMediaBlobCache.has(object.filehash);
  /** Brings the bytes of an object to where they are looked for; how it went is in its stage. */
  function downloadMedia({ mimetype, mediaObject, mediaType, downloadEvenIfExpensive }) {
    if (mediaObject.downloading) return mediaObject.downloading;
    const run = async () => {
      if (hasBytes(mediaObject)) { mediaObject.consolidate({ downloadStage: 'RESOLVED' }); return; }
      if (!downloadEvenIfExpensive && mediaObject.size > EXPENSIVE_BYTES) { mediaObject.consolidate({ downloadStage: 'NEED_POKE' }); return; }
      const entry = mediaObject.entries.getDownloadEntry();
      if (!entry) { mediaObject.consolidate({ downloadStage: 'ERROR_MISSING' }); return; }
      const { downloadManager } = require('WAWebDownloadManager');
      const fetchIt = () => downloadManager.downloadAndMaybeDecrypt({
        directPath: entry.directPath, encFilehash: entry.encFilehash, filehash: mediaObject.filehash, mediaKey: entry.mediaKey, mediaKeyTimestamp: entry.mediaKeyTimestamp,
        type: mediaType, mimetype, signal: new AbortController().signal, downloadQpl: qpl,
      });
      mediaObject.consolidate({ downloadStage: 'FETCHING' });
      const bytes = await fetchIt().catch(async (error) => {
        if (error.name !== 'MediaNotFoundError') throw error;
        entry.directPath = await downloadManager.rmr({ mediaObject });
        mediaObject.consolidate({ downloadStage: 'FETCHING' });
        return fetchIt();
      });
      if (shouldUseLruMediaStore(mediaType)) await LruMediaStore.put(mediaObject.filehash, bytes);
      const blob = new Blob([bytes], { type: mimetype });
      if (shouldUseMediaCache(mediaType)) InMemoryMediaBlobCache.put(mediaObject.filehash, blob);
      else mediaObject.consolidate({ mediaBlob: await OpaqueData.createFromData(blob, blob.type) });
      mediaObject.consolidate({ downloadStage: 'RESOLVED' });
    };
    // The promise of a caller that waits is resolved in either case; the stage says how the download ended.
    mediaObject.downloading = run().catch((error) => {
      const isMissing = ['MediaNotFoundError', 'MediaNotOnPhone', 'MediaDecryptionError', 'MediaHashMismatch'].includes(error.name);
      mediaObject.consolidate({ downloadStage: isMissing ? 'ERROR_MISSING' : error.name === 'InvalidMediaFileType' ? 'ERROR_UNSUPPORTED' : 'NEED_POKE' });
    }).finally(() => { mediaObject.downloading = null; });
    return mediaObject.downloading;
  }
  exports.downloadMedia = downloadMedia;
});

/* From a message to its medium. */
sandboxPage.define('SandboxMedia', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const MediaData = importDefault('WAWebMediaData');
  const { getOrCreateMediaObject } = require('WAWebMediaStorage');
  const TYPES = ['image', 'video', 'audio', 'ptt', 'document', 'sticker', 'ptv'];
  const isMedia = (msg) => TYPES.includes(msg.type);
  const of = new WeakMap();
  /** {data, object} of a message with a medium; both are there from the first look on. */
  function mediaOf(msg) {
    if (!isMedia(msg)) return undefined;
    let media = of.get(msg);
    if (!media) {
      media = { data: new MediaData({ mediaStage: 'INIT' }), object: undefined };
      of.set(msg, media);
    }
    const { type, mimetype, size, filehash, encFilehash, directPath, mediaKey, mediaKeyTimestamp, filename, isGif, isViewOnce, duration } = msg;
    // Silently: to look at it changes nothing.
    Object.assign(media.data.attributes, { type, mimetype, size, filehash, encFilehash, directPath, mediaKey, mediaKeyTimestamp, filename, isGif, isViewOnce, duration });
    if (filehash && !media.object) {
      media.object = getOrCreateMediaObject(filehash);
      media.object.addMsg(msg);
    }
    const { object } = media;
    if (object) {
      if (!object.type) object.type = type === 'ptt' ? 'AUDIO' : type.toUpperCase();
      if (object.size === undefined) object.size = size;
      const isKnown = object.entries.entries.some((entry) => entry.encFilehash === encFilehash);
      if (encFilehash && directPath && !isKnown) object.entries.addEntry({ encFilehash, directPath, mediaKey, mediaKeyTimestamp, type });
    }
    return media;
  }
  async function download(msg, options) {
    if (!options || typeof options !== 'object') throw new TypeError("Cannot destructure property 'downloadEvenIfExpensive' of undefined");
    const media = mediaOf(msg);
    if (!media || !media.object) throw new Error('downloadMedia: the message has no media object');
    await require('WAWebMediaMmsV4Download').downloadMedia({
      mimetype: msg.mimetype, mediaObject: media.object, mediaType: require('WAWebMmsMediaTypes').getMsgMediaType(msg), downloadEvenIfExpensive: options.downloadEvenIfExpensive,
      rmrReason: options.rmrReason,
    });
  }
  Object.assign(exports, { isMedia, mediaOf, download });
});
