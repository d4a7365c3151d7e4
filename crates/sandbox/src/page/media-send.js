/*
 * The way of a medium out of the page.
 *
 * Responsible for: preparing, uploading and sending, in the order and the shapes of the page modules WAWebPrepRawMedia,
 * WAWebMediaPrep, WAWebMediaMmsV4Upload and WAWebMediaUpdateMsg (docs/sandbox.md#media): a message sent by `sendToChat` is in the
 * collection, and in storage, before its medium is uploaded. Not responsible for: what the page makes of a file (media-process.js).
 *
 * Invariant: a message travels only with the path, the key and the hashes of what was uploaded.
 */
sandboxPage.define('WAWebMediaMmsV4Upload', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { InMemoryMediaBlobCache } = require('WAWebMediaInMemoryBlobCache');
  const { MEDIA_TYPE_VALUES } = require('WAWebMmsMediaTypes');
  const { MediaObject } = require('WAWebMediaObject');
  const UploadMediaResultKind = Object.freeze({ SUCCESS: 'success', CANCELLATION: 'cancellation', ERROR: 'error', TIMEOUT: 'timeout' });
  const STAGES = { 413: 'ERROR_TOO_LARGE', 403: 'ERROR_FORBIDDEN', 401: 'ERROR_FORBIDDEN', 429: 'ERROR_THROTTLED' };

  /** Gives {kind, mediaEntry}; without an entry when it failed, and why is in the object's stage. */
  function uploadMedia({ mediaObject, mediaType, mediaKeyInfo }) {
    if (!(mediaObject instanceof MediaObject)) return Promise.reject(new TypeError('uploadMedia: mediaObject is no MediaObject'));
    if (!MEDIA_TYPE_VALUES.includes(mediaType)) return Promise.reject(new TypeError('uploadMedia: unknown mediaType ' + mediaType));
    if (mediaObject.uploading) return mediaObject.uploading;
    const run = async () => {
      mediaObject.consolidate({ uploadStage: 'UPLOADING' });
      const blob = InMemoryMediaBlobCache.get(mediaObject.filehash) || (mediaObject.mediaBlob && mediaObject.mediaBlob.forceToBlob());
      if (!blob) { mediaObject.consolidate({ uploadStage: 'ERROR_FILE_NOT_READABLE' }); return { kind: UploadMediaResultKind.ERROR }; }
      const uploaded = await importDefault('WAWebUploadManager').encryptAndUpload({
        blob, type: mediaType, mediaKey: mediaKeyInfo && mediaKeyInfo.key, mediaKeyTimestamp: mediaKeyInfo && mediaKeyInfo.timestamp, signal: new AbortController().signal,
      });
      const { directPath, encFilehash, mediaKey, mediaKeyTimestamp, url } = uploaded;
      const mediaEntry = mediaObject.entries.addEntry({ deprecatedMms3Url: url, directPath, encFilehash, mediaKey, mediaKeyTimestamp, type: mediaType, isUploaded: true });
      mediaObject.consolidate({ uploadStage: 'UPLOADED' });
      return { kind: UploadMediaResultKind.SUCCESS, mediaEntry };
    };
    mediaObject.uploading = run().catch((error) => {
      mediaObject.consolidate({ uploadStage: STAGES[error.status] || (error.name === 'NotReadableError' ? 'ERROR_FILE_NOT_READABLE' : 'NEED_UPLOAD') });
      return { kind: UploadMediaResultKind.ERROR };
    }).finally(() => { mediaObject.uploading = null; });
    return mediaObject.uploading;
  }
  exports.UploadMediaResultKind = UploadMediaResultKind;
  exports.uploadMedia = uploadMedia;
  exports.cancelUploadMedia = () => {};
});

sandboxPage.define('WAWebMediaUpdateMsg', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  /** What is known of a message's medium now, in memory and in storage. */
  exports.default = async (msg, changes) => {
    msg.set(Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined)));
    await require('SandboxChats').save(msg);
  };
});

sandboxPage.define('WAWebMediaPrep', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const MediaData = importDefault('WAWebMediaData');
  const OpaqueData = importDefault('WAWebMediaOpaqueData');
  const MsgKey = importDefault('WAWebMsgKey');
  const { getOrCreateMediaObject } = require('WAWebMediaStorage');
  const mms = require('WAWebMmsMediaTypes');

  class MediaPrep {
    constructor(type, prepared) {
      this.baseType = type;
      this.mediaData = new MediaData({ mediaStage: 'PREPARING' });
      this.prepared = Promise.resolve(prepared).then(async (given) => {
        this.mediaData.set(given);
        if (given.filehash) return;
        const blob = given.mediaBlob instanceof OpaqueData ? given.mediaBlob.forceToBlob() : given.mediaBlob;
        this.mediaData.filehash = await require('SandboxMediaCrypto').sha256(await blob.arrayBuffer());
      }, (error) => {
        this.mediaData.mediaStage = 'ERROR_UNSUPPORTED';
        throw error;
      });
      this.prepared.catch(() => {});
    }
    sendToChat({ chat, earlyUpload, options }) { return sendMediaMsgToChat({ chat, earlyUpload, options, prep: this }); }
    async waitForPrep() { await this.prepared; return this.mediaData; }
  }

  /** The fields that a medium gives its message, and its bytes where the upload finds them. */
  async function mediaProps(prep, options) {
    const data = await prep.waitForPrep();
    if (!(data.mediaBlob instanceof OpaqueData)) data.mediaBlob = await OpaqueData.createFromData(data.mediaBlob, data.mediaBlob.type);
    const object = getOrCreateMediaObject(data.filehash);
    object.consolidate(data.toJSON());
    data.mediaBlob.autorelease();
    if (require('WAWebMediaDataUtils').shouldUseMediaCache(mms.castToV4(object.type))) require('WAWebMediaInMemoryBlobCache').InMemoryMediaBlobCache.put(data.filehash, object.mediaBlob.formData());
    const props = { ...object.msgProps(data), caption: options.caption };
    if (options.isViewOnce === true) props.isViewOnce = true;
    return props;
  }

  async function outgoing(chat, type) {
    const prefs = require('WAWebUserPrefsMeUser');
    const isByLid = chat.id.isLid() || Boolean(chat.groupMetadata && chat.groupMetadata.isLidAddressingMode);
    const from = isByLid ? prefs.getMeLidUserOrThrow() : prefs.getMePnUserOrThrow();
    const id = new MsgKey({ from, to: chat.id, id: await MsgKey.newId(), selfDir: 'out', participant: chat.id.isGroup() ? from : undefined });
    return { id, from, to: chat.id, type, t: require('WATimeUtils').unixTime(), self: 'out', isNewMsg: true, local: true, ack: 0 };
  }

  async function sendMediaMsgToChat({ chat, options, prep }) {
    if (!chat || !options) throw new TypeError('sendMediaMsgToChat: {chat, options, prep}');
    const quoted = options.quotedMsg ? options.quotedMsg.msgContextInfo(chat.id) : {};
    const type = options.type || prep.baseType;
    const base = {
      ...await outgoing(chat, type), type, caption: options.caption, footer: options.footer, ...quoted, mentionedJidList: options.mentionedJidList,
      isForwarded: options.isForwarded, ...options.productMsgOptions,
    };
    if (options.type === 'document' && options.caption) base.isCaptionByUser = true;
    let kind;
    let sent;
    async function upload(msg) {
      sent = msg;
      const mediaResult = await require('WAWebMediaMmsV4Upload').uploadMedia({
        mimetype: msg.mimetype, mediaObject: msg.mediaObject, mediaType: mms.getMsgMediaType(msg), mediaKeyInfo: importDefault('WAWebCryptoRandomMediaKey')(), isViewOnce: Boolean(msg.isViewOnce),
      });
      kind = mediaResult.kind;
      const { mediaEntry } = mediaResult;
      if (!mediaEntry) throw new Error('upload failed: media entry was not created');
      await importDefault('WAWebMediaUpdateMsg')(msg, {
        deprecatedMms3Url: mediaEntry.deprecatedMms3Url, directPath: mediaEntry.directPath, mediaKey: mediaEntry.getMediaKey(), mediaKeyTimestamp: mediaEntry.getMediaKeyTimestamp(),
        filehash: msg.mediaObject.filehash, encFilehash: mediaEntry.getEncfilehash(), size: msg.mediaObject.size,
      });
      return msg;
    }
    const message = mediaProps(prep, options).then((props) => ({ ...base, ...props, type: options.useBasePropsType === true ? base.type : props.type }));
    const { addAndSendMsgToChat } = require('WAWebSendMsgChatAction');
    try {
      const result = await addAndSendMsgToChat(chat, message, upload)[1];
      if (result && result.messageSendResult === 'OK') return { messageSendResult: 'OK' };
      return result || { messageSendResult: 'ERROR_UNKNOWN' };
    } catch (error) {
      if (sent) sent.ack = -1;
      if (kind === undefined) throw error;
      return { messageSendResult: 'ERROR_UPLOAD' };
    }
  }
  exports.MediaPrep = MediaPrep;
  exports.sendMediaMsgToChat = sendMediaMsgToChat;
});

sandboxPage.define('WAWebPrepRawMedia', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { OUTWARD_TYPES } = require('WAWebMediaTypes');
  exports.prepRawMedia = (data, options) => {
    const type = options.isPtt === true ? OUTWARD_TYPES.PTT
      : options.asDocument === true ? OUTWARD_TYPES.DOCUMENT
        : options.asGif === true ? OUTWARD_TYPES.VIDEO
          : options.isAudio === true ? OUTWARD_TYPES.AUDIO
            : options.asSticker === true ? OUTWARD_TYPES.STICKER : OUTWARD_TYPES.UNKNOWN;
    const prepared = Promise.resolve(data).then((opaque) => {
      if (typeof opaque.autoreleaseWhenPromiseCompletes !== 'function') throw new TypeError('prepRawMedia: no OpaqueData');
      const processed = require('WAWebProcessRawMedia').processRawMedia(opaque, options);
      opaque.autoreleaseWhenPromiseCompletes(processed);
      return processed;
    });
    return new (require('WAWebMediaPrep').MediaPrep)(type, prepared);
  };
});

/* All of it in one module, under which bundles look for it. */
sandboxPage.define('WAWebMedia', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  Object.assign(exports, {
    MediaPrep: require('WAWebMediaPrep').MediaPrep,
    prepRawMedia: require('WAWebPrepRawMedia').prepRawMedia,
    uploadProductImage: async () => { throw new Error('uploadProductImage: no catalogues here'); },
    downloadMsg: ({ msg, downloadEvenIfExpensive }) => msg.downloadMedia({ downloadEvenIfExpensive }),
    cancelUploadMedia: require('WAWebMediaMmsV4Upload').cancelUploadMedia,
  });
});
