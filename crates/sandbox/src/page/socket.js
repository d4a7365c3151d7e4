/*
 * The connection to the server.
 *
 * Responsible for: opening it, noticing that it is dead, opening it again, and moving Socket,
 * Stream and Conn as the real page does. Not responsible for: what messages mean (send.js,
 * receipts.js), what is drawn.
 *
 *   OPENING ──no link──▶ UNPAIRED ⇄ UNPAIRED_IDLE ──scanned──▶ PAIRING ──▶ OPENING
 *   OPENING ──link─────▶ CONNECTED ──lost──▶ OPENING (0.3 to 1.4 s on a healthy day) ──▶ CONNECTED
 */
sandboxPage.define('SandboxWire', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const EventEmitter = importDefault('WAWebEventEmitter');
  const link = require('SandboxLink');
  const { Socket } = require('WAWebSocketModel');
  const { Stream } = require('WAWebStreamModel');
  const { Conn } = require('WAWebConnModel');
  const { Cmd } = require('WAWebCmd');
  const { BackendEventBus } = require('WAWebBackendEventBus');

  /** How often the page looks whether the server is still there. */
  const PING_MS = 5000;
  /** Measured on the real page: a silent loss is noticed after 33 to 34 s. */
  const SILENCE_NOTICED_MS = 33500;
  /** Measured on the real page: with an `offline` event it takes 1.4 to 3.1 s. */
  const OFFLINE_NOTICED_MS = 1400;
  /** A question that the server has not answered by then has failed. */
  const ANSWER_MS = 20000;

  /** Frames from the server, by type: other modules listen here. */
  const frames = new EventEmitter();
  const tab = crypto.randomUUID();
  let socket = null;
  let heard = 0;
  let attempts = 0;
  let resting = false;
  let questions = 0;
  /** Faults that act at run time; the server tells them whenever they change. */
  let faults = sandboxPage.faults;

  /** A linked page has its connection in a worker, which lives as long as the page; linking stays on the main thread. */
  let worker = null;
  function openInWorker(url) {
    worker = worker || require('SandboxWorkers').start('/web/comms-worker.js');
    const own = worker;
    const remote = {
      readyState: WebSocket.CONNECTING, onopen: null, onmessage: null, onclose: null,
      send(text) { own.postMessage({ send: text }); },
      close() { own.postMessage({ close: true }); },
    };
    const HEARD = {
      open() { remote.readyState = WebSocket.OPEN; if (remote.onopen) remote.onopen(); },
      message(text) { if (remote.onmessage) remote.onmessage({ data: text }); },
      close() { remote.readyState = WebSocket.CLOSED; if (remote.onclose) remote.onclose(); },
    };
    own.onmessage = ({ data: { what, text } }) => HEARD[what](text);
    // Its script could not be loaded, since the server was away for a moment. The next try takes another worker.
    own.onerror = () => { worker = null; HEARD.close(); };
    own.postMessage({ open: url });
    return remote;
  }
  const isInWorker = () => Boolean(link.state.device) && require('WAWebCommsGating').isCommsInWorker();

  function connect() {
    if (socket || resting) return;
    Socket.state = 'OPENING';
    Socket.stream = 'DISCONNECTED';
    Stream.info = 'OPENING';
    const url = location.origin.replace(/^http/, 'ws') + '/web/socket';
    const opened = isInWorker() ? openInWorker(url) : new WebSocket(url);
    socket = opened;
    heard = performance.now();
    opened.onopen = () => tell({
      type: 'hello', tab, device: link.state.device,
      keys: link.state.device ? null : link.publicKeys(),
      awaiting: link.state.device ? require('SandboxOutbox').awaiting() : [],
    });
    opened.onmessage = (event) => {
      heard = performance.now();
      const frame = JSON.parse(event.data);
      frames.trigger(frame.type, frame);
    };
    opened.onclose = () => { if (socket === opened) lost(); };
  }

  function lost() {
    if (socket) { socket.onclose = null; socket.close(); }
    socket = null;
    Conn.connected = false;
    if (resting) return;
    if (Socket.state === 'CONNECTED' || Socket.state === 'UNPAIRED') Socket.state = 'OPENING';
    Socket.stream = 'DISCONNECTED';
    Stream.info = 'OFFLINE';
    // Quick at first, as measured on a healthy day; patient when the server stays away.
    const wait = attempts < 2 ? 300 + Math.random() * 700 : Math.min(5000, 500 * attempts);
    attempts += 1;
    setTimeout(connect, wait);
  }

  /** The page keeps still in this state until something is done about it. */
  function rest(state) {
    resting = true;
    lost();
    Socket.state = state;
    Stream.mode = state;
  }

  function tell(frame) {
    if (!socket || socket.readyState !== WebSocket.OPEN) return false;
    socket.send(JSON.stringify(frame));
    return true;
  }

  setInterval(() => {
    if (!socket) return;
    const limit = faults.silence_noticed_ms || SILENCE_NOTICED_MS;
    if (performance.now() - heard > limit) lost();
  }, 250);
  setInterval(() => tell({ type: 'ping' }), PING_MS);
  addEventListener('offline', () => setTimeout(() => { if (!navigator.onLine && socket) lost(); }, OFFLINE_NOTICED_MS));

  frames.on('faults', (frame) => { faults = frame.faults; tell({ type: 'heard_faults', change: frame.change }); });
  frames.on('reference', (frame) => {
    attempts = 0;
    Socket.state = 'UNPAIRED';
    Conn.ref = frame.reference;
  });
  // The last reference stays in Conn, stale, as on the real page.
  frames.on('codes_ran_out', () => { Socket.state = 'UNPAIRED_IDLE'; });
  frames.on('paired', async (frame) => {
    Socket.state = 'PAIRING';
    Stream.info = 'PAIRING';
    await link.linked({ device: { id: frame.id, secret: frame.secret }, account: frame.account, lid: frame.lid });
    attempts = 0;
    frames.trigger('linked');
    if (socket) { socket.onclose = null; socket.close(); }
    socket = null;
    connect();
  });
  frames.on('welcome', () => {
    attempts = 0;
    Conn.connected = true;
    Conn.ref = undefined;
    Conn.wid = link.state.number;
    Conn.platform = 'android';
    Conn.pushname = 'Sandbox';
    Socket.state = 'CONNECTED';
    Socket.stream = 'CONNECTED';
    Stream.info = 'NORMAL';
  });
  // As the real page: its handler touches neither Socket nor Stream, and the last reference stays in Conn.
  frames.on('passkey_request', (frame) => {
    require('WAWebShortcakeLinkingHandlePasskeyPrologueRequest').handlePasskeyPrologueRequestNotification(frame);
  });
  frames.on('removed', async (frame) => {
    resting = true;
    require('WAWebLogoutReason').getErrorCodeFromLogoutReason(frame.reason);
    await link.unlinked();
    Cmd.trigger('logout_from_bridge', frame.reason);
    Cmd.logout();
    BackendEventBus.trigger('logout', frame.reason);
    // Listeners get a moment before the page that they live on goes.
    setTimeout(() => location.replace('/?post_logout=1&logout_reason=' + encodeURIComponent(frame.reason)), 150);
  });
  frames.on('conflict', () => rest('CONFLICT'));
  frames.on('event', ({ event }) => {
    if (event === 'conflict') rest('CONFLICT');
    if (event === 'ban') { BackendEventBus.trigger('account_temporarily_banned', { code: 402, expireSeconds: 86400 }); rest('TOS_BLOCK'); }
    if (event === 'storage_error') BackendEventBus.triggerStorageInitializationError(new Error('storage'));
    if (event === 'reload') location.reload();
    // Several times a day on the real page, which goes on working.
    if (event === 'needs_update') Stream.needsUpdate = true;
  });

  BackendEventBus.on('refresh_qr', () => exports.refreshCodes());

  const waiting = new Map();
  frames.on('exists', (frame) => {
    const answer = waiting.get(frame.request);
    waiting.delete(frame.request);
    if (answer) answer(frame);
  });

  Object.assign(exports, {
    frames,
    connect,
    tell,
    faults: () => faults,
    isConnected: () => Socket.state === 'CONNECTED',
    reconnect() { if (socket) lost(); else connect(); },
    takeover() {
      if (Socket.state !== 'CONFLICT') return;
      resting = false;
      Stream.mode = 'MAIN';
      connect();
    },
    async renewSecret() {
      await link.rotateSecret();
      tell({ type: 'keys', keys: link.publicKeys() });
    },
    async refreshCodes() {
      if (link.state.device) return;
      await exports.renewSecret();
      tell({ type: 'refresh_codes' });
    },
    /** Whether a person is on WhatsApp; rejects when that cannot be learnt. */
    ask(wid) {
      questions += 1;
      const request = questions;
      return new Promise((resolve, reject) => {
        const failed = () => { waiting.delete(request); reject(new Error('ServerStatusCodeError: network error')); };
        waiting.set(request, (frame) => (frame.error ? failed() : resolve(frame.found ? frame : null)));
        if (!tell({ type: 'exists', request, user: wid.user, server: wid.server })) failed();
        else if (faults.number_check !== 'never') setTimeout(() => { if (waiting.has(request)) failed(); }, ANSWER_MS);
      });
    },
    logout() {
      return new Promise((resolve) => {
        Cmd.once('logout', () => resolve(true));
        tell({ type: 'logout' });
      });
    },
  });
});
