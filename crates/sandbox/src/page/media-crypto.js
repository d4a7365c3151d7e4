/*
 * How WhatsApp encrypts media (docs/sandbox.md#media has the source): keys from the media key by HKDF, AES-256-CBC, and the first
 * ten bytes of an HMAC.
 *
 * Responsible for nothing else. Run by the page and by the worker that uploads; each takes `sandboxMediaCrypto` away from the
 * global scope when it has it.
 */
self.sandboxMediaCrypto = (() => {
  const IMAGE = 'WhatsApp Image Keys';
  const VIDEO = 'WhatsApp Video Keys';
  const AUDIO = 'WhatsApp Audio Keys';
  const INFO = { image: IMAGE, sticker: IMAGE, video: VIDEO, gif: VIDEO, ptv: VIDEO, audio: AUDIO, ptt: AUDIO, document: 'WhatsApp Document Keys' };
  const MAC_BYTES = 10;
  const IV_BYTES = 16;

  const encode = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes)));
  const decode = (text) => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  const sha256 = async (bytes) => encode(await crypto.subtle.digest('SHA-256', bytes));
  /** A hash as it stands in an address. */
  const tokenOf = (hash) => hash.replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');

  async function keysOf(type, mediaKey) {
    if (!INFO[type]) throw new Error('createMediaKeys: no info for media type ' + type);
    const key = await crypto.subtle.importKey('raw', decode(mediaKey), 'HKDF', false, ['deriveBits']);
    const info = new TextEncoder().encode(INFO[type]);
    const bits = new Uint8Array(await crypto.subtle.deriveBits({ name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(0), info }, key, 112 * 8));
    const cipher = await crypto.subtle.importKey('raw', bits.slice(16, 48), 'AES-CBC', false, ['encrypt', 'decrypt']);
    const mac = await crypto.subtle.importKey('raw', bits.slice(48, 80), { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
    return { iv: bits.slice(0, IV_BYTES), cipher, mac };
  }

  /** The encrypted file, and its hash. */
  async function encrypt(type, mediaKey, plain) {
    const { iv, cipher, mac } = await keysOf(type, mediaKey);
    const encrypted = new Uint8Array(await crypto.subtle.encrypt({ name: 'AES-CBC', iv }, cipher, plain));
    const signed = new Uint8Array(IV_BYTES + encrypted.length + MAC_BYTES);
    signed.set(iv);
    signed.set(encrypted, IV_BYTES);
    const code = new Uint8Array(await crypto.subtle.sign('HMAC', mac, signed.subarray(0, IV_BYTES + encrypted.length)));
    signed.set(code.subarray(0, MAC_BYTES), IV_BYTES + encrypted.length);
    const file = signed.subarray(IV_BYTES);
    return { file, encFilehash: await sha256(file) };
  }

  /** What an encrypted file holds; null when the key does not open it. */
  async function decrypt(type, mediaKey, file) {
    const { iv, cipher, mac } = await keysOf(type, mediaKey);
    const bytes = new Uint8Array(file);
    const encrypted = bytes.subarray(0, bytes.length - MAC_BYTES);
    const signed = new Uint8Array(IV_BYTES + encrypted.length);
    signed.set(iv);
    signed.set(encrypted, IV_BYTES);
    const code = new Uint8Array(await crypto.subtle.sign('HMAC', mac, signed));
    if (!bytes.subarray(encrypted.length).every((byte, at) => byte === code[at])) return null;
    return crypto.subtle.decrypt({ name: 'AES-CBC', iv }, cipher, encrypted);
  }

  /** Encrypts and uploads: {blob, type, mediaKey} -> {encFilehash, directPath, url}. An error has the HTTP status. */
  async function encryptAndUpload({ blob, type, mediaKey, signal }) {
    const { file, encFilehash } = await encrypt(type, mediaKey, await blob.arrayBuffer());
    const answer = await fetch('/mms/' + encodeURIComponent(type) + '/' + tokenOf(encFilehash), { method: 'POST', body: file, signal });
    if (!answer.ok) throw Object.assign(new Error('upload failed: ' + answer.status), { status: answer.status });
    const { url, direct_path: directPath } = await answer.json();
    return { encFilehash, directPath, url };
  }

  return { encode, decode, sha256, tokenOf, decrypt, encryptAndUpload };
})();
