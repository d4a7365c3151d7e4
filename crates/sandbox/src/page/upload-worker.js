/*
 * Encrypts and uploads what it is given, away from the page's main thread. Responsible for nothing else.
 */
importScripts('/web/media-crypto.js');
const { encryptAndUpload } = self.sandboxMediaCrypto;
onmessage = async ({ data: { id, ...media } }) => {
  try {
    postMessage({ id, result: await encryptAndUpload(media) });
  } catch (error) {
    postMessage({ id, error: String(error.message), status: error.status });
  }
};
