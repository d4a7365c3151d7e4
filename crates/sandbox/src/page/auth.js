/*
 * Who this page is: its keys, its link, the account it belongs to.
 *
 * Responsible for: the keys that a code carries, the identity that outsiders ask for, the end of
 * a link. Not responsible for: codes (stream.js), the connection (socket.js).
 */
sandboxPage.define('SandboxLink', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const storage = require('SandboxStorage');
  const { encodeB64 } = require('WABase64');
  const { createWid } = require('WAWebWidFactory');
  const { learn } = require('WAWebApiContact');

  const random = () => crypto.getRandomValues(new Uint8Array(32));
  const state = { keys: null, device: null, number: undefined, lid: undefined };

  /** Tells the server on the next load whose faults shape the page. */
  const remember = (account) => {
    document.cookie = 'sandbox_account=' + (account || '') + '; path=/; samesite=strict; max-age=' + (account ? 31536000 : 0);
  };
  const adopt = (link) => {
    state.device = link.device;
    state.number = createWid(link.account + '@c.us');
    state.lid = createWid(link.lid + '@lid');
    learn(link.account, link.lid);
    remember(link.account);
  };

  Object.assign(exports, {
    state,
    async load() {
      const link = await storage.readLink('link');
      if (link) adopt(link);
      state.keys = await storage.readLink('keys');
      if (!state.keys) {
        state.keys = { noise: random(), identity: random(), adv: encodeB64(random()) };
        await storage.writeLink('keys', state.keys);
      }
    },
    /** The phone signs a batch of codes with a secret of its own. */
    async rotateSecret() {
      state.keys = { ...state.keys, adv: encodeB64(random()) };
      await storage.writeLink('keys', state.keys);
    },
    publicKeys: () => ({
      noise: encodeB64(state.keys.noise), identity: encodeB64(state.keys.identity), adv: state.keys.adv,
    }),
    async linked(link) {
      await storage.writeLink('link', link);
      adopt(link);
    },
    async unlinked() {
      remember('');
      localStorage.clear();
      await storage.forget();
    },
  });
});

sandboxPage.define('WAWebUserPrefsMeUser', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { state } = require('SandboxLink');
  const orThrow = (wid) => { if (!wid) throw new Error('UserPrefs: not linked'); return wid; };
  Object.assign(exports, {
    isLoggedIn: () => Boolean(state.number),
    isRegistered: () => Boolean(state.number),
    getMaybeMePnUser: () => state.number,
    getMaybeMeLidUser: () => state.lid,
    getMePnUserOrThrow: () => orThrow(state.number),
    getMeLidUserOrThrow: () => orThrow(state.lid),
    isMeAccount: (wid) => Boolean(wid) && (wid.equals(state.number) || wid.equals(state.lid)),
    isMeDevice: (wid) => [state.number, state.lid].some((me) => me && wid.isSameAccount(me)) && wid.getDeviceId() === require('SandboxDevices').THIS_PAGE,
  });
});

sandboxPage.define('WAWebSignalStoreApi', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { state } = require('SandboxLink');
  exports.waSignalStore = {
    getRegistrationInfo: async () => ({ registrationId: 1, identityKeyPair: { pubKey: state.keys.identity.buffer } }),
  };
});

sandboxPage.define('WAWebUserPrefsInfoStore', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { state } = require('SandboxLink');
  exports.waNoiseInfo = { get: async () => ({ staticKeyPair: { pubKey: state.keys.noise.buffer } }) };
});

sandboxPage.define('WAWebAdvSignatureApi', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { state } = require('SandboxLink');
  exports.getADVSecretKey = () => state.keys.adv;
  exports.setADVSignedIdentity = async () => {};
});

sandboxPage.define('WAWebUserPrefsMultiDevice', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { state } = require('SandboxLink');
  exports.getADVSecretKey = () => state.keys.adv;
});

sandboxPage.define('WAWebLogoutReason', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const CODES = { user_initiated: 0, unknown_companion: 1, client_version_outdated: 2, account_locked: 3, storage_quota_exceeded: 4 };
  exports.getErrorCodeFromLogoutReason = (reason) => CODES[reason];
});
