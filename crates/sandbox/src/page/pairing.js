/*
 * Linking by phone number: the page's own functions for it, called by its screen and by outsiders.
 *
 * Responsible for: their names, shapes, order and errors, as the page's own modules have them (read from stored copies of
 * those modules). Not responsible for: the screen (by-number.js), which code is valid (the server).
 *
 *   NotStarted ──initializeAltDeviceLinking──▶ Initialized ──startAltLinkingFlow──▶ AfterSendCompanionHello
 *
 * Each initialisation makes a new secret: the code on the screen, drawn with the old one, is worthless until the next one.
 */
sandboxPage.define('WAWebPairingType', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  exports.PairingType = Object.freeze({ QR_CODE: 'QR_CODE', ALT_DEVICE_LINKING: 'ALT_DEVICE_LINKING', SHORTCAKE_PASSKEY: 'SHORTCAKE_PASSKEY' });
});

sandboxPage.define('WAWebAltDeviceLinkingIq', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const wire = require('SandboxWire');

  class CompanionHelloError extends Error {
    constructor(message, type) {
      super(message);
      this.name = 'CompanionHelloError';
      this.type = type;
    }
  }

  let requests = 0;
  const waiting = new Map();
  wire.frames.on('pairing_code', (frame) => {
    const settle = waiting.get(frame.request);
    waiting.delete(frame.request);
    if (settle) settle(frame);
  });

  exports.CompanionHelloError = CompanionHelloError;
  /** Asks the server for a code; gives it with the number of the request, which is what its end is announced by. */
  exports.sendCompanionHello = ({ phone, shouldPush }) => new Promise((resolve, reject) => {
    requests += 1;
    const request = requests;
    waiting.set(request, ({ code, error }) => {
      if (error) reject(new CompanionHelloError('alt pairing: Got an error from alt paring: companion hello: ' + error, { name: error }));
      else resolve({ ref: request, code, shouldPush });
    });
    if (wire.tell({ type: 'pairing_code', request, phone })) return;
    waiting.delete(request);
    reject(new Error('the socket is not open'));
  });
});

sandboxPage.define('WAWebAltDeviceLinkingApi', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { PairingType } = require('WAWebPairingType');
  const link = require('SandboxLink');
  const wire = require('SandboxWire');
  /** What WhatsApp takes for the number of a person: digits, country code first. */
  const NUMBER = /^[1-9]\d{6,14}$/;

  let type = PairingType.QR_CODE;
  const state = { stage: 'NotStarted', ref: null };
  const clear = () => {
    if (state.ref !== null) wire.tell({ type: 'end_pairing' });
    Object.assign(state, { stage: 'NotStarted', ref: null });
  };
  async function renewSecret() {
    await link.rotateSecret();
    wire.tell({ type: 'keys', keys: link.publicKeys() });
  }
  const invariant = (holds, number) => { if (!holds) throw new Error('Invariant Violation: Minified invariant #' + number + '; stage ' + state.stage); };

  Object.assign(exports, {
    getPairingType: () => type,
    setPairingType: (next) => { type = next; },
    getCurrentRef: () => state.ref,
    async initializeAltDeviceLinking() {
      clear();
      await renewSecret();
      state.stage = 'Initialized';
      type = PairingType.ALT_DEVICE_LINKING;
    },
    async initializeQRLinking() {
      clear();
      await renewSecret();
      type = PairingType.QR_CODE;
    },
    /** The code to type on the phone with that number. */
    async startAltLinkingFlow(phone, showNotification) {
      invariant(state.stage === 'Initialized', 75727);
      if (typeof phone !== 'string' || !NUMBER.test(phone)) throw new Error('toPhoneUserJid: invalid phone number');
      const { ref, code } = await require('WAWebAltDeviceLinkingIq').sendCompanionHello({ phone, shouldPush: showNotification });
      Object.assign(state, { stage: 'AfterSendCompanionHello', ref });
      return code;
    },
  });

  wire.frames.on('pairing_code_expired', ({ request }) => {
    if (request !== state.ref) return;
    state.ref = null;
    require('WAWebLinkDeviceAction').refreshAltLinkingCode();
  });
  wire.frames.on('paired', () => {
    if (state.ref !== null) require('WAWebLinkDeviceAction').primaryHelloReceivedAltLinking();
    state.ref = null;
  });
});

sandboxPage.define('WAWebLinkDeviceEvents', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const EventEmitter = importDefault('WAWebEventEmitter');
  class LinkDeviceEvents extends EventEmitter {
    triggerRefreshAltLinkingCode() { this.trigger('link_device_events:refresh_alt_linking_code'); }
    triggerErrorAltLinking() { this.trigger('link_device_events:error_alt_linking'); }
    triggerPrimaryHelloReceived() { this.trigger('link_device_events:primary_hello_received'); }
  }
  exports.WAWebLinkDeviceEvents = new LinkDeviceEvents();
});

sandboxPage.define('WAWebLinkDeviceAction', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { PairingType } = require('WAWebPairingType');
  const { WAWebLinkDeviceEvents: events } = require('WAWebLinkDeviceEvents');
  const { BackendEventBus } = require('WAWebBackendEventBus');
  const api = require('WAWebAltDeviceLinkingApi');
  Object.assign(exports, {
    async resetLinkDeviceState({ linkDeviceMethod }) {
      BackendEventBus.triggerRefreshQR();
      if (linkDeviceMethod === PairingType.ALT_DEVICE_LINKING) await api.initializeAltDeviceLinking();
      else await api.initializeQRLinking();
      api.setPairingType(linkDeviceMethod);
    },
    genLinkDeviceCodeForPhoneNumber: (phone, showNotification) => api.startAltLinkingFlow(phone, showNotification),
    refreshAltLinkingCode: () => events.triggerRefreshAltLinkingCode(),
    forceManualRefresh: () => events.trigger('link_device_events:force_manual_refresh'),
    errorAltLinking: () => events.triggerErrorAltLinking(),
    primaryHelloReceivedAltLinking: () => events.triggerPrimaryHelloReceived(),
  });
});
