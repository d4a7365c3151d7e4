/*
 * The start: from the splash to the code, or to the chats.
 *
 * Responsible for: the order of things and its timing, notices that cover the page. Not
 * responsible for: any of the things. Runs last, when all modules are defined.
 */
sandboxPage.define('SandboxBoot', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { Stream } = require('WAWebStreamModel');
  const { Socket } = require('WAWebSocketModel');
  const { Cmd } = require('WAWebCmd');
  const { BackendEventBus } = require('WAWebBackendEventBus');
  const { OfflineMessageHandler } = require('WAWebOfflineHandler');
  const { resume } = require('SandboxResume');
  const { el, words, dialog } = require('SandboxWords');
  const wire = require('SandboxWire');
  const link = require('SandboxLink');
  const chats = require('SandboxChats');
  const incoming = require('SandboxIncoming');
  const faults = sandboxPage.faults;

  /** The pairing screen stands without a code for some seconds on the real page. */
  const CODE_DELAY_MS = 400;
  /** A device just linked loads its history; one that was, only what it missed. */
  const FIRST_SYNC_MS = 1500;
  const SYNC_MS = 400;
  /** The list of chats arrives last, seconds after all else on the real page. */
  const PANE_DELAY_MS = 300;
  const SYNC_STEPS = 10;
  /** Storage is opened by another part of the page, whose word comes when the page has loaded. */
  const STORAGE_ERROR_DELAY_MS = 1000;

  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  let fresh = false;
  let synced = false;

  function splash() {
    if (document.querySelector('#wa_web_initial_startup')) return;
    document.getElementById('app').replaceChildren(el('div', { id: 'wa_web_initial_startup' },
      el('div', { class: 'mark', 'aria-hidden': 'true' }), el('progress', { value: '0', max: '100' }), el('div', { class: 'splash-title' }, words.loading)));
  }

  async function sync() {
    if (synced) return;
    synced = true;
    Stream.mode = 'SYNCING';
    Stream.info = 'SYNCING';
    splash();
    const total = faults.sync_ms ?? (fresh ? FIRST_SYNC_MS : SYNC_MS);
    for (let step = 1; step <= SYNC_STEPS; step += 1) {
      await pause(total / SYNC_STEPS);
      resume.advance(step * 100 / SYNC_STEPS);
      const bar = document.querySelector('#wa_web_initial_startup progress');
      if (bar) bar.value = OfflineMessageHandler.getOfflineDeliveryProgress();
      // The real event carries nothing: its listeners ask for the level.
      Cmd.trigger('offline_progress_update_from_bridge');
    }
    // The main part is not shown before all that waited is in storage, and what a new link brings first.
    await incoming.offlineEnd();
    await incoming.hasFirstPart;
    incoming.deliveryEnded();
    if (Stream.mode !== 'SYNCING') return;
    BackendEventBus.isMainStreamReadyMd = true;
    Stream.mode = 'MAIN';
    Stream.info = 'NORMAL';
    Cmd.isMainLoaded = true;
    Cmd.trigger('main_loaded');
    Cmd.trigger('main_stream_mode_ready');
    BackendEventBus.trigger('main_stream_mode_ready');
    Socket.hasSynced = true;
    await pause(PANE_DELAY_MS);
    require('SandboxMain').open();
    require('SandboxWhatsNew').open();
    showNotice();
    if (faults.question) dialog(faults.question, [words.cancel], [words.continue]);
    require('SandboxHistory').run(fresh);
    reloadOnce();
  }

  /** Comes with each load until its button has been pressed. */
  const NOTICE_KEY = 'sandbox-notice-closed';
  function showNotice() {
    const text = faults.notice;
    if (text && localStorage.getItem(NOTICE_KEY) !== text) dialog(text, [words.ok, () => localStorage.setItem(NOTICE_KEY, text)]);
  }

  /** The page reloads once, minutes after linking. WhatsApp judges then what the page has done until then. */
  const RELOAD_KEY = 'sandbox-reload-at';
  const RELOAD_MS = 300000;
  function reloadOnce() {
    if (sandboxPage.isEarly) return;
    if (fresh) localStorage.setItem(RELOAD_KEY, Date.now() + (faults.self_reload_ms ?? RELOAD_MS));
    const at = Number(localStorage.getItem(RELOAD_KEY));
    if (!at) return;
    setTimeout(() => {
      localStorage.removeItem(RELOAD_KEY);
      if (wire.faults().status_read_revokes && localStorage.getItem('sandbox-status-read')) wire.tell({ type: 'revoke' });
      else location.reload();
    }, Math.max(0, at - Date.now()));
  }

  async function start() {
    if (await require('SandboxAgent').isRefused()) { location.replace('/web/update'); return; }
    if (faults.page === 'never_starts') return;
    try {
      await link.load();
      await require('SandboxRatchet').load();
      await require('SandboxDevices').load();
      await chats.restore();
    } catch (error) {
      await pause(STORAGE_ERROR_DELAY_MS);
      BackendEventBus.triggerStorageInitializationError(error);
      return;
    }
    require('SandboxPasskey');
    wire.frames.on('welcome', sync);
    wire.frames.on('linked', () => { fresh = true; require('SandboxLanding').close(); });
    wire.frames.on('history', incoming.history);
    wire.frames.on('offline_preview', incoming.preview);
    wire.frames.on('stanza', incoming.take);
    wire.frames.on('offline_end', incoming.end);
    Socket.on('change:state', (socket, state) => {
      if (state === 'CONFLICT') dialog(words.conflict, [words.close], [words.useHere, () => Socket.takeover()]);
      if (state === 'TOS_BLOCK') dialog(words.banned);
    });
    if (!link.state.device) {
      Stream.mode = 'QR';
      require('SandboxLanding').open();
      await pause(faults.code_delay_ms ?? CODE_DELAY_MS);
    }
    wire.connect();
  }
  exports.start = start;
});

sandboxPage.define('SandboxWorkers', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const policy = global.trustedTypes && global.trustedTypes.createPolicy('sandbox', { createScriptURL: (url) => url });
  /** Starts a worker, which the page's security policy allows for its own scripts only. */
  exports.start = (url) => new Worker(policy ? policy.createScriptURL(url) : url);
});

sandboxPage.define('SandboxAgent', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const HEADLESS = /HeadlessChrome/;
  /** A worker that does not answer is no proof of anything. */
  const WORKER_MS = 2000;

  const { start } = require('SandboxWorkers');

  /** What a worker sees: overriding the page's user agent alone does not change it. */
  const inWorker = () => new Promise((resolve) => {
    const worker = start('/web/agent-check.js');
    const done = (agent) => { worker.terminate(); resolve(agent); };
    worker.onmessage = (event) => done(event.data);
    worker.onerror = () => done('');
    setTimeout(() => done(''), WORKER_MS);
  });

  exports.isRefused = async () => {
    const brands = navigator.userAgentData ? navigator.userAgentData.brands.map((brand) => brand.brand).join() : '';
    return HEADLESS.test(navigator.userAgent) || HEADLESS.test(brands) || HEADLESS.test(await inWorker());
  };
});

(() => {
  const { load, whenModulesArrive } = sandboxPage;
  whenModulesArrive(() => load('SandboxBoot').start());
})();
