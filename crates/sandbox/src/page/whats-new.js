/*
 * The dialog "What's new on WhatsApp Web", shown to an account that was just linked.
 *
 * Responsible for: when it is shown, the ways to answer it, and what becomes of an account that does not: its device is
 * removed minutes later (OpenWA #982). Not responsible for: other dialogs (words.js).
 */
sandboxPage.define('WAWebModalManager', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const open = [];
  exports.ModalManager = {
    /** Shows an element over the page; `closed` is called when the element is removed. */
    open(element, closed) { open.push({ element, closed }); document.body.append(element); },
    /** Closes the topmost; does nothing when there is none. */
    close() {
      const top = open.pop();
      if (!top) return;
      top.element.remove();
      if (top.closed) top.closed();
    },
  };
});

sandboxPage.define('WAWebWhatsNewGatingUtils', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { getABPropConfigValue } = require('WAWebABProps');
  const [DAYS, SHORT_DAYS] = [30, 15];
  exports.isWhatsNewAutoModalEnabled = () => getABPropConfigValue('web_whats_new_auto_modal') === true;
  exports.getWhatsNewAutoModalCooldownDays = () => (getABPropConfigValue('web_whats_new_auto_modal_short_cooldown') === true ? SHORT_DAYS : DAYS);
  exports.resolveWhatsNewBizAgentEligible = async () => true;
});

sandboxPage.define('WAWebWhatsNewNux', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const link = require('SandboxLink');
  const KEY = 'sandbox-whats-new-dismissed';
  const DAY_MS = 86400000;
  const createWhatsNewNux = (days = 30) => ({
    shouldShow() { const at = Number(localStorage.getItem(KEY)); return !at || Date.now() - at > days * DAY_MS; },
    dismiss() {
      if (!link.state.device) throw new Error('UserPrefs: not writable before login');
      localStorage.setItem(KEY, Date.now());
    },
  });
  exports.createWhatsNewNux = createWhatsNewNux;
  exports.shouldShowWhatsNewNux = (days) => createWhatsNewNux(days).shouldShow();
});

sandboxPage.define('SandboxWhatsNew', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { el, words } = require('SandboxWords');
  const { ModalManager } = require('WAWebModalManager');
  const { createWhatsNewNux, shouldShowWhatsNewNux } = require('WAWebWhatsNewNux');
  const gating = require('WAWebWhatsNewGatingUtils');
  const wire = require('SandboxWire');

  const SINCE_KEY = 'sandbox-whats-new-since';
  const LOGOUT_MS = 300000;

  /** Counts from the first time that it was due, over all reloads. */
  function watch(days) {
    if (!localStorage.getItem(SINCE_KEY)) localStorage.setItem(SINCE_KEY, Date.now());
    const patience = wire.faults().whats_new_logout_ms ?? LOGOUT_MS;
    const left = Number(localStorage.getItem(SINCE_KEY)) + patience - Date.now();
    setTimeout(() => { if (shouldShowWhatsNewNux(days)) wire.tell({ type: 'revoke' }); }, Math.max(0, left));
  }

  exports.open = async () => {
    if (sandboxPage.isEarly) return;
    const days = gating.getWhatsNewAutoModalCooldownDays();
    if (!gating.isWhatsNewAutoModalEnabled() || !shouldShowWhatsNewNux(days)) return;
    watch(days);
    await gating.resolveWhatsNewBizAgentEligible();
    const close = () => ModalManager.close();
    ModalManager.open(el('div', { role: 'dialog', 'aria-modal': 'true', 'data-testid': 'confirm-popup', 'aria-label': words.whatsNew, class: 'dialog' },
      el('div', { class: 'dialog-box' },
        el('h1', {}, words.whatsNew),
        el('p', {}, words.whatsNewText),
        el('div', { class: 'dialog-buttons' },
          el('button', { type: 'button', 'aria-label': words.close, onclick: close }, '×'),
          el('button', { type: 'button', 'data-testid': 'whats_new_continue_button', onclick: close }, words.continue)))), () => createWhatsNewNux(days).dismiss());
  };
});
