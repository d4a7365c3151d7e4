/*
 * Linking with a passkey, which WhatsApp calls "Shortcake": the page's own functions for it, and its screens.
 *
 * Responsible for: names, stages, events, limits and errors as the page's own modules have them (read from stored copies of
 * them). Not responsible for: who may sign (the phone), what a signature is worth (the server).
 *
 *   NotStarted ─signed─▶ Initialized ─taken─▶ WaitingForPrimaryIdentity ─▶ WaitingForVerificationCodeConfirmation
 *              ─confirmed─▶ WaitingForPairingCompletion ─▶ linked.   Each Waiting… has 120 s, the hand-off proof 300 s.
 *
 * A failure before `taken` is a promise that rejects, and no event: the signature was refused, or there is none. One after it
 * is the event `shortcake_error`, and leaves the request options as they are, which the server takes only once.
 */
sandboxPage.define('WAWebShortcakeLinkingIq', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const wire = require('SandboxWire');

  /** Asks the server, and takes the first of these frames for its answer. */
  const ask = (frame, ...answers) => new Promise((resolve, reject) => {
    const settle = (answer) => {
      for (const name of answers) wire.frames.off(name, settle);
      resolve(answer);
    };
    for (const name of answers) wire.frames.on(name, settle);
    if (!wire.tell(frame)) reject(new Error('the socket is not open'));
  });

  Object.assign(exports, {
    async requestPasskeyRequestOptions() {
      const { challenge } = await ask({ type: 'passkey_options' }, 'passkey_options');
      return exports.optionsOf(challenge);
    },
    optionsOf: (challenge) => new TextEncoder().encode(JSON.stringify(
      { challenge, timeout: sandboxPage.faults.passkey_timeout_ms ?? 600000, rpId: 'whatsapp.com', allowCredentials: [], userVerification: 'required', extensions: { uvm: true } })),
    async sendSetPasskeyPrologueRPC(assertion) {
      const answer = await ask({ type: 'passkey', assertion }, 'passkey_taken', 'passkey_refused');
      // The real page knows no shape of an error here: its parser fails.
      if (answer.type === 'passkey_refused') throw new Error('SmaxParsingFailure: SetPasskeyPrologue: expected result, got error: ' + answer.why);
    },
    async sendEncryptedPairingRequest() {
      const answer = await ask({ type: 'passkey_confirmed' }, 'passkey_linked', 'passkey_refused');
      if (answer.type === 'passkey_refused') throw new Error('SmaxParsingFailure: SetEncryptedPairingRequest: expected result, got error: ' + answer.why);
    },
  });
});

sandboxPage.define('WAWebShortcakeLinkingRequestOptionsCache', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const LIFE_MS = 600000;
  let cached = null;
  let since = 0;
  Object.assign(exports, {
    setCachedRequestOptions(bytes) { cached = bytes; since = Date.now(); },
    clearCachedRequestOptions() { cached = null; since = 0; },
    getCachedRequestOptions: () => cached,
    async getRequestOptions() {
      if (cached && Date.now() - since < LIFE_MS) return cached;
      const fresh = await require('WAWebShortcakeLinkingIq').requestPasskeyRequestOptions();
      exports.setCachedRequestOptions(fresh);
      return fresh;
    },
  });
});

sandboxPage.define('WAWebShortcakeLinkingHandoffProof', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const PROOF_MS = 300000;
  let key = null;
  let until = 0;
  const limit = () => sandboxPage.faults.passkey_proof_ms ?? PROOF_MS;
  exports.getHandoffKeyHolder = () => ({
    stash(value) { key = value; until = performance.now() + limit(); },
    peek: () => (key && performance.now() < until ? key : null),
    clear() { key = null; },
  });
});

sandboxPage.define('WAWebShortcakeLinkingApi', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { WAWebLinkDeviceEvents: events } = require('WAWebLinkDeviceEvents');
  const { getHandoffKeyHolder } = require('WAWebShortcakeLinkingHandoffProof');
  const wire = require('SandboxWire');
  const STAGE_MS = 120000;
  const Stage = Object.freeze(Object.fromEntries(['NotStarted', 'Initialized', 'WaitingForPrimaryIdentity',
    'WaitingForVerificationCodeConfirmation', 'WaitingForPairingCompletion'].map((name) => [name, name])));
  const state = { stage: Stage.NotStarted, code: null, skipHandoffUx: false, timer: 0 };
  const clear = () => {
    clearTimeout(state.timer);
    Object.assign(state, { stage: Stage.NotStarted, code: null, skipHandoffUx: false, timer: 0 });
  };
  const failed = (reason) => { clear(); events.trigger('link_device_events:shortcake_error', reason); };
  const enter = (stage) => {
    clearTimeout(state.timer);
    state.stage = stage;
    const limit = sandboxPage.faults.passkey_stage_ms;
    if (stage !== Stage.Initialized) state.timer = setTimeout(() => failed('timeout'), limit ?? STAGE_MS);
  };
  const invariant = (stage) => { if (state.stage !== stage) throw new Error('Invariant Violation: stage is ' + state.stage); };

  Object.assign(exports, {
    ShortcakeLinkingStage: Stage,
    getShortcakeLinkingStage: () => state.stage,
    getVerificationCode: () => state.code,
    shouldSkipHandoffUx: () => state.skipHandoffUx,
    setSkipHandoffUx() { state.skipHandoffUx = true; },
    async initializeShortcakeLinking() { clear(); enter(Stage.Initialized); },
    markPrologueSent() {
      invariant(Stage.Initialized);
      enter(Stage.WaitingForPrimaryIdentity);
      events.trigger('link_device_events:shortcake_prologue_sent');
    },
    async confirmVerificationCode() {
      invariant(Stage.WaitingForVerificationCodeConfirmation);
      enter(Stage.WaitingForPairingCompletion);
      try {
        await require('WAWebShortcakeLinkingIq').sendEncryptedPairingRequest();
      } catch (error) {
        if (state.stage === Stage.WaitingForPairingCompletion) failed('server_error');
        throw error;
      }
    },
    cancelShortcakeLinking() { getHandoffKeyHolder().clear(); clear(); },
  });
  wire.frames.on('passkey_code', ({ code }) => {
    if (state.stage !== Stage.WaitingForPrimaryIdentity) return;
    enter(Stage.WaitingForVerificationCodeConfirmation);
    state.code = code;
    events.trigger('link_device_events:shortcake_verification_code_ready', code, state.skipHandoffUx);
  });
  wire.frames.on('linked', clear);
});

sandboxPage.define('WAWebShortcakeLinkingPasskeyPrologue', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const api = require('WAWebShortcakeLinkingApi');
  const cache = require('WAWebShortcakeLinkingRequestOptionsCache');
  const { getHandoffKeyHolder } = require('WAWebShortcakeLinkingHandoffProof');
  const { encodeB64UrlSafe, decodeB64UrlSafe } = require('WABase64');
  const bare = (bytes) => encodeB64UrlSafe(bytes).replace(/=+$/, '');

  /** On the main thread, and strict about nothing but the kind of what comes back. */
  async function performWebAuthnAssertion(bytes) {
    const { credentials } = self.navigator;
    if (!credentials) throw new Error('Shortcake prologue: WebAuthn not available');
    const publicKey = JSON.parse(new TextDecoder().decode(bytes));
    publicKey.challenge = decodeB64UrlSafe(publicKey.challenge);
    const credential = await credentials.get({ publicKey });
    if (!credential || credential.type !== 'public-key') throw new Error('Shortcake prologue: WebAuthn ceremony returned no credential');
    const { id, rawId, type, response } = credential;
    return JSON.stringify({
      id, rawId: bare(rawId), type,
      response: {
        clientDataJSON: bare(response.clientDataJSON), authenticatorData: bare(response.authenticatorData),
        signature: bare(response.signature), userHandle: response.userHandle ? bare(response.userHandle) : null,
      },
    });
  }
  exports.performWebAuthnAssertion = performWebAuthnAssertion;
  exports.executePasskeyPrologue = async () => {
    try {
      const assertion = await performWebAuthnAssertion(await cache.getRequestOptions());
      await api.initializeShortcakeLinking();
      const hasProof = getHandoffKeyHolder().peek() !== null;
      await require('WAWebShortcakeLinkingIq').sendSetPasskeyPrologueRPC(assertion);
      if (hasProof) { api.setSkipHandoffUx(); getHandoffKeyHolder().clear(); }
      api.markPrologueSent();
    } catch (error) {
      // As on the real page: the next try has no proof, so a person has to compare codes.
      cache.clearCachedRequestOptions();
      api.cancelShortcakeLinking();
      throw error;
    }
  };
});

sandboxPage.define('WAWebShortcakeLinkingAction', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const api = require('WAWebShortcakeLinkingApi');
  exports.startShortcakePasskeyPairing = () => require('WAWebShortcakeLinkingPasskeyPrologue').executePasskeyPrologue();
  exports.confirmShortcakeVerificationCode = () => api.confirmVerificationCode();
  exports.cancelShortcakePasskeyPairing = () => api.cancelShortcakeLinking();
});

sandboxPage.define('WAWebShortcakeLinkingHandlePasskeyPrologueRequest', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const api = require('WAWebShortcakeLinkingApi');
  const cache = require('WAWebShortcakeLinkingRequestOptionsCache');
  const { getHandoffKeyHolder } = require('WAWebShortcakeLinkingHandoffProof');
  const { WAWebLinkDeviceEvents: events } = require('WAWebLinkDeviceEvents');
  const { PairingType } = require('WAWebPairingType');
  const wire = require('SandboxWire');

  exports.handlePasskeyPrologueRequestNotification = async ({ challenge }) => {
    cache.setCachedRequestOptions(require('WAWebShortcakeLinkingIq').optionsOf(challenge));
    if (api.getShortcakeLinkingStage() === api.ShortcakeLinkingStage.NotStarted) {
      getHandoffKeyHolder().stash({});
      // A code that was read before is worthless from here on.
      await wire.renewSecret();
    }
    require('WAWebAltDeviceLinkingApi').setPairingType(PairingType.SHORTCAKE_PASSKEY);
    events.trigger('link_device_events:passkey_prologue_request');
  };
});

sandboxPage.define('SandboxPasskey', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { el, words } = require('SandboxWords');
  const { WAWebLinkDeviceEvents: events } = require('WAWebLinkDeviceEvents');
  const action = require('WAWebShortcakeLinkingAction');

  let card = null;
  const show = (...children) => { if (card) card.replaceChildren(...children); };
  const prompt = (trouble, isBusy) => {
    const button = el('button', { type: 'button', 'data-testid': 'shortcake_passkey_continue_button', class: 'next', onclick: start },
      isBusy ? el('span', { class: 'spinner', role: 'status', 'aria-label': '…' }) : words.continue);
    button.disabled = Boolean(isBusy);
    show(el('div', { 'data-testid': 'shortcake_passkey_prompt_card', class: 'passkey' },
      el('span', {}, words.passkey), trouble ? el('span', { role: 'alert' }, words.linkFailed) : null, button));
  };
  function start() {
    prompt(false, true);
    action.startShortcakePasskeyPairing().catch(() => prompt(true));
  }
  // The event says that it has failed, and draws it.
  const confirm = () => action.confirmShortcakeVerificationCode().catch(() => {});

  events.on('link_device_events:passkey_prologue_request', () => {
    require('SandboxLanding').close();
    card = el('div', {});
    document.getElementById('app').replaceChildren(el('div', { 'data-testid': 'shortcake_passkey_screen', class: 'landing-wrapper' }, card,
      el('button', { type: 'button', 'data-testid': 'shortcake_cancel_button', onclick: cancel }, words.cancel)));
    prompt(false);
  });
  events.on('link_device_events:shortcake_prologue_sent', () => show(el('div', { class: 'spinner', role: 'status', 'aria-label': '…' })));
  events.on('link_device_events:shortcake_verification_code_ready', (code, isConfirmed) => {
    const button = el('button', { type: 'button', 'data-testid': 'shortcake_code_confirm_button', class: 'next', onclick: confirm }, words.confirm);
    button.disabled = isConfirmed;
    show(el('div', { 'data-testid': 'shortcake_code_matching_card', class: 'passkey' },
      el('div', { 'data-testid': 'shortcake_verification_code_display', role: 'status', 'aria-label': [...code].join(' '), class: 'cells' },
        ...[...code].map((character) => el('span', { class: 'cell' }, character))), button));
    if (isConfirmed) confirm();
  });
  events.on('link_device_events:shortcake_error', () => prompt(true));
  async function cancel() {
    try {
      action.cancelShortcakePasskeyPairing();
      await require('WAWebLinkDeviceAction').resetLinkDeviceState({ linkDeviceMethod: require('WAWebPairingType').PairingType.QR_CODE });
    } finally {
      card = null;
      require('SandboxLanding').open();
    }
  }
});
