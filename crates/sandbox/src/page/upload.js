/*
 * Uploads of media: in a worker since August 2026.
 *
 * Responsible for: which way an upload takes. An observer that intercepts the page's requests and does not see the
 * worker's starves it: such an upload never settles. Not responsible for: media messages, which the sandbox does not have.
 */
sandboxPage.define('WAWebUploadManagerWorkerBridge', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  let worker = null;
  let ids = 0;
  const waiting = new Map();
  exports.default = {
    encryptAndUpload({ bytes }) {
      if (!worker) {
        worker = require('SandboxWorkers').start('/web/upload-worker.js');
        worker.onmessage = ({ data: { id, ok } }) => { waiting.get(id)(ok); waiting.delete(id); };
      }
      ids += 1;
      const id = ids;
      return new Promise((resolve, reject) => {
        waiting.set(id, (ok) => (ok ? resolve({ directPath: '/sandbox/' + id }) : reject(new Error('upload failed'))));
        worker.postMessage({ id, bytes });
      });
    },
  };
});

sandboxPage.define('WAWebUploadManagerMainThread', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  exports.default = {
    async encryptAndUpload({ bytes }) {
      const answer = await fetch('/web/upload', { method: 'POST', body: bytes });
      if (!answer.ok) throw new Error('upload failed');
      return { directPath: '/sandbox/0' };
    },
  };
});

sandboxPage.define('WAWebUploadManager', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  exports.default = {
    encryptAndUpload(media) {
      const isInWorker = require('WAWebABProps').getABPropConfigValue('web_media_encrypt_upload_in_worker_enabled');
      return importDefault(isInWorker ? 'WAWebUploadManagerWorkerBridge' : 'WAWebUploadManagerMainThread').encryptAndUpload(media);
    },
  };
});
