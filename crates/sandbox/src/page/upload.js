/*
 * Uploads of media: in a worker since August 2026.
 *
 * Responsible for: which way an upload takes. An observer that intercepts the page's requests and does not see the
 * worker's starves it: such an upload never settles. Not responsible for: which message a medium belongs to (media-send.js).
 */
sandboxPage.define('SandboxMediaCrypto', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  Object.assign(exports, global.sandboxMediaCrypto);
  delete global.sandboxMediaCrypto;
});

sandboxPage.define('WAWebUploadManagerWorkerBridge', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  let worker = null;
  let ids = 0;
  const waiting = new Map();
  exports.default = {
    async encryptAndUpload({ blob, type, mediaKey }) {
      if (!worker) {
        worker = require('SandboxWorkers').start('/web/upload-worker.js');
        worker.onmessage = ({ data: { id, result, error, status } }) => {
          const { resolve, reject } = waiting.get(id);
          waiting.delete(id);
          if (result) resolve(result);
          else reject(Object.assign(new Error(error), { status }));
        };
      }
      ids += 1;
      const id = ids;
      return new Promise((resolve, reject) => {
        waiting.set(id, { resolve, reject });
        worker.postMessage({ id, blob, type, mediaKey });
      });
    },
  };
});

sandboxPage.define('WAWebUploadManagerMainThread', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  exports.default = { encryptAndUpload: (media) => require('SandboxMediaCrypto').encryptAndUpload(media) };
});

sandboxPage.define('WAWebCryptoRandomMediaKey', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  exports.default = () => ({ key: require('SandboxMediaCrypto').encode(crypto.getRandomValues(new Uint8Array(32))), timestamp: Math.floor(Date.now() / 1000) });
});

sandboxPage.define('WAWebUploadManager', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  exports.default = {
    /** Gives {directPath, encFilehash, mediaKey, mediaKeyTimestamp, url}. The key is made here, unless the caller has one. */
    async encryptAndUpload({ blob, type, signal, mediaKey, mediaKeyTimestamp }) {
      if (!(blob instanceof Blob)) throw new TypeError('encryptAndUpload: blob is not a Blob');
      const isInWorker = require('WAWebABProps').getABPropConfigValue('web_media_encrypt_upload_in_worker_enabled');
      const made = mediaKey ? { key: mediaKey, timestamp: mediaKeyTimestamp } : importDefault('WAWebCryptoRandomMediaKey')();
      const way = importDefault(isInWorker ? 'WAWebUploadManagerWorkerBridge' : 'WAWebUploadManagerMainThread');
      const uploaded = await way.encryptAndUpload({ blob, type, mediaKey: made.key, ...(isInWorker ? {} : { signal }) });
      return { ...uploaded, mediaKey: made.key, mediaKeyTimestamp: made.timestamp };
    },
  };
});
