/*
 * What the page makes of a file before it sends it.
 *
 * Responsible for: telling kinds apart, limits, refusing what WhatsApp does not take, and changing what it changes: a picture
 * becomes a JPEG of at most so many pixels without its metadata, a sticker a WebP of 512 pixels. Shapes: page modules
 * WAWebProcessRawMedia, WAWebMediaDataUtils, WAWebImageUtils, WAWebMediaGatingUtils (docs/sandbox.md#media). Not responsible for:
 * uploading, sending (media-send.js).
 */
sandboxPage.define('WAWebMediaFileTooLargeError', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  exports.default = class MediaFileTooLargeError extends Error {
    constructor(type, limit, size) { super('file of type ' + type + ' has ' + size + ' bytes, limit ' + limit); this.name = 'MediaFileTooLargeError'; }
  };
});

sandboxPage.define('WAWebMediaGatingUtils', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const MB = 1024 * 1024;
  const LIMITS = { audio: 16 * MB, document: 2048 * MB, 'sticker-pack': 2048 * MB, video: 64 * MB, image: 16 * MB, sticker: 16 * MB };
  exports.getUploadLimit = (type) => {
    if (!(type in LIMITS)) throw new Error("Match: No case succesfully matched. Make exhaustive or add a wildcard case using '_'. Argument: " + type);
    return LIMITS[type];
  };
  exports.getMediaUploadRetryCount = () => 0;
});

sandboxPage.define('WAWebFileUtils', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const FILETYPE = Object.freeze({ IMAGE: 'image', VIDEO: 'video', AUDIO: 'audio', DOCUMENT: 'document', STICKER: 'sticker', STICKER_PACK: 'sticker-pack' });
  Object.assign(exports, {
    FILETYPE,
    typeFromMimetype(mimetype) {
      const [kind] = String(mimetype).split('/');
      return mimetype !== 'image/svg+xml' && ['image', 'video', 'audio'].includes(kind) ? kind : FILETYPE.DOCUMENT;
    },
    blobToArrayBuffer: (blob) => blob.arrayBuffer(),
  });
});

sandboxPage.define('WAWebMediaLoad', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { MediaFileFailedLoad } = require('WAWebMiscErrors');
  const loading = (make, ready, url) => new Promise((resolve, reject) => {
    const element = make();
    element.addEventListener(ready, () => resolve(element), { once: true });
    element.addEventListener('error', () => reject(new MediaFileFailedLoad(element.error ? 'MEDIA_ERR_SRC_NOT_SUPPORTED' : 'image')), { once: true });
    element.src = url;
    if (element.load) element.load();
  });
  async function on(blob, make, ready, read) {
    const url = URL.createObjectURL(blob);
    try { return await read(await loading(make, ready, url)); } finally { URL.revokeObjectURL(url); }
  }
  Object.assign(exports, {
    canPlayOgg: true,
    withImage: (blob, read) => on(blob, () => new Image(), 'load', read),
    withVideo: (blob, read) => on(blob, () => Object.assign(document.createElement('video'), { muted: true, preload: 'auto' }), 'loadeddata', read),
    withAudio: (blob, read) => on(blob, () => Object.assign(document.createElement('audio'), { preload: 'auto' }), 'loadedmetadata', read),
  });
});

sandboxPage.define('WAWebMediaJpeg', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  /** Without its metadata: where and with what it was taken. Throws for what is no JPEG. */
  exports.cleanJPEG = (buffer) => {
    const bytes = new Uint8Array(buffer);
    if (bytes[0] !== 0xff || bytes[1] !== 0xd8) throw new Error('cleanJPEG: no JPEG');
    const parts = [bytes.subarray(0, 2)];
    let at = 2;
    while (at + 4 <= bytes.length && bytes[at] === 0xff && bytes[at + 1] !== 0xda) {
      const end = at + 2 + bytes[at + 2] * 256 + bytes[at + 3];
      const isMetadata = (bytes[at + 1] >= 0xe1 && bytes[at + 1] <= 0xef) || bytes[at + 1] === 0xfe;
      if (!isMetadata) parts.push(bytes.subarray(at, end));
      at = end;
    }
    return new Blob([...parts, bytes.subarray(at)], { type: 'image/jpeg' });
  };
});

sandboxPage.define('WAWebImageUtils', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { withImage, withVideo } = require('WAWebMediaLoad');
  const bound = (width, height, most) => {
    const scale = Math.min(1, most / Math.max(width, height));
    return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
  };
  function draw(source, width, height) {
    const canvas = Object.assign(document.createElement('canvas'), { width, height });
    canvas.getContext('2d').drawImage(source, 0, 0, width, height);
    return canvas;
  }
  const blobOf = (canvas, type) => new Promise((resolve) => canvas.toBlob(resolve, type, 0.9));
  const dataUrl = (source, width, height, most) => { const size = bound(width, height, most); return { url: draw(source, size.width, size.height).toDataURL('image/jpeg'), ...size, fullWidth: width, fullHeight: height }; };
  const STICKER_DIMENSION = 512;
  const THUMB_MAX_EDGE = 100;
  Object.assign(exports, {
    /** A picture as it is sent: bytes that fit stay, the rest is drawn again as a JPEG. */
    rotateAndResize: (blob, most) => withImage(blob, async (image) => {
      const { naturalWidth: width, naturalHeight: height } = image;
      const size = bound(width, height, most);
      let made = null;
      if (size.width === width && size.height === height) {
        try { made = require('WAWebMediaJpeg').cleanJPEG(await blob.arrayBuffer()); } catch { /* Another kind of picture. */ }
      }
      made = made || await blobOf(draw(image, size.width, size.height), 'image/jpeg');
      return { ...size, blob: made, preview: dataUrl(image, width, height, THUMB_MAX_EDGE).url.split(',')[1] };
    }),
    toWebpSticker: (blob) => withImage(blob, async (image) => blobOf(draw(image, STICKER_DIMENSION, STICKER_DIMENSION), 'image/webp')),
    generateVideoThumbsAndDuration: ({ file, maxDimensions }) => withVideo(file, async (video) => {
      const { videoWidth: width, videoHeight: height } = video;
      return { duration: Math.floor(video.seekable.length ? video.seekable.end(0) : video.duration), thumbs: maxDimensions.map((most) => dataUrl(video, width, height, most)) };
    }),
  });
});

sandboxPage.define('WAWebMediaDataUtils', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const OpaqueData = importDefault('WAWebMediaOpaqueData');
  const { OUTWARD_TYPES } = require('WAWebMediaTypes');
  const { InvalidMediaFileType, InvalidMediaCheckRepairFailedType } = require('WAWebMiscErrors');
  const THUMB_EDGES = [100, 480];

  const startOf = async (blob) => new Uint8Array(await blob.slice(0, 12).arrayBuffer());
  const says = (bytes, at, text) => [...text].every((char, nth) => bytes[at + nth] === char.charCodeAt(0));
  /** What the page's own analyser takes for a film or a sound. */
  async function checkAndRepair(blob) {
    const bytes = await startOf(blob);
    const isFilm = says(bytes, 4, 'ftyp');
    const isSound = says(bytes, 0, 'OggS') || says(bytes, 0, 'ID3') || says(bytes, 0, '#!AMR') || (bytes[0] === 0xff && (bytes[1] & 0xe0) === 0xe0);
    if (blob.type.startsWith('video/') ? !isFilm : !isFilm && !isSound) throw new InvalidMediaCheckRepairFailedType();
    return blob;
  }
  /** A file's name: `cleanFilename` of page module WAWebMediaCleanFileName. */
  const cleanFilename = (name) => String(name).replace(/[\u0000-\u001f\u007f/\\:*?"<>|]/g, '_').slice(0, 255);

  async function duration(blob) {
    // Some sounds do not say how long they are.
    return require('WAWebMediaLoad').withAudio(blob, (audio) => (Number.isFinite(audio.duration) ? Math.round(audio.duration) : 0)).catch(() => 0);
  }

  Object.assign(exports, {
    async processRawImage(data, { maxDimension }) {
      const { blob, width, height, preview } = await require('WAWebImageUtils').rotateAndResize(data.forceToBlob(), maxDimension);
      return { type: OUTWARD_TYPES.IMAGE, mediaBlob: blob, mimetype: blob.type, fullWidth: width, fullHeight: height, preview };
    },
    async processRawSticker(data) {
      const blob = await require('WAWebImageUtils').toWebpSticker(data.forceToBlob());
      return { type: OUTWARD_TYPES.STICKER, mediaBlob: await OpaqueData.createFromData(blob, blob.type), mimetype: blob.type, fullWidth: 512, fullHeight: 512 };
    },
    async processRawAudioVideo(data, isPtt, precomputed, isGif) {
      const blob = await checkAndRepair(data.forceToBlob());
      if (blob.type.startsWith('video/')) {
        if (isPtt) throw new InvalidMediaFileType();
        const { duration: seconds, thumbs } = await require('WAWebImageUtils').generateVideoThumbsAndDuration({ file: blob, maxDimensions: THUMB_EDGES, debugHint: 'processRawAudioVideo' });
        const [thumb] = thumbs;
        return { type: OUTWARD_TYPES.VIDEO, mediaBlob: blob, mimetype: blob.type, isGif: Boolean(isGif), size: blob.size, fullWidth: thumb.fullWidth, fullHeight: thumb.fullHeight, preview: thumb.url.split(',')[1], duration: String(seconds) };
      }
      const seconds = precomputed && precomputed.duration !== undefined ? precomputed.duration : await duration(blob);
      return { type: isPtt ? OUTWARD_TYPES.PTT : OUTWARD_TYPES.AUDIO, mediaBlob: blob, mimetype: blob.type, duration: String(seconds), waveform: precomputed && precomputed.waveform };
    },
    async processRawDocument(data, filename) {
      const blob = data.forceToBlob();
      if (blob.type === 'image/svg+xml') throw new InvalidMediaFileType('disallowed mimetype ' + blob.type);
      if (!blob.type) throw new InvalidMediaFileType('type: ' + blob.type + ' name: ' + filename);
      const name = cleanFilename(blob.name || filename || '');
      return { type: OUTWARD_TYPES.DOCUMENT, mediaBlob: await OpaqueData.createFromData(blob, blob.type), mimetype: blob.type, filename: name || undefined };
    },
    canPlayOgg: () => true,
    shouldUseMediaCache: (type) => ['sticker', 'image', 'product', 'ptt', 'audio', 'document'].includes(type),
    shouldUseLruMediaStore: (type) => ['audio', 'document', 'gif', 'ptt', 'video', 'ptv'].includes(type),
  });
});

sandboxPage.define('WAWebProcessRawMedia', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { FILETYPE, typeFromMimetype } = require('WAWebFileUtils');
  const utils = require('WAWebMediaDataUtils');
  const MAX_EDGE = 1600;
  async function processRawMedia(data, options) {
    data.retain();
    try {
      const size = data.size();
      // What is not said to be a document becomes what its mimetype says.
      const type = options.asDocument === true ? FILETYPE.DOCUMENT : options.asSticker === true ? FILETYPE.STICKER : typeFromMimetype(data.type());
      const limit = require('WAWebMediaGatingUtils').getUploadLimit(type);
      if (size > limit) throw new (importDefault('WAWebMediaFileTooLargeError'))(type, limit, size);
      if (size <= 0) throw new (require('WAWebMiscErrors').MediaFileEmpty)();
      if (type === 'image') return await utils.processRawImage(data, { maxDimension: options.maxDimension || MAX_EDGE });
      // By their exports, which outsiders put their own functions around.
      if (type === 'sticker') return await utils.processRawSticker(data);
      if (type === 'video' || type === 'audio') return await utils.processRawAudioVideo(data, Boolean(options.isPtt), options.precomputedFields, options.asGif);
      return await utils.processRawDocument(data, options.filename);
    } finally { data.autorelease(); }
  }
  exports.processRawMedia = processRawMedia;
});
