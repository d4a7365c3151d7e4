/*
 * The screen on which a device is linked.
 *
 * Responsible for: the pairing screen without a code, the code, the button when the codes have
 * run out. Not responsible for: which code is valid (socket.js and the server), linking by phone
 * number (by-number.js).
 */
sandboxPage.define('SandboxLanding', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { el, words } = require('SandboxWords');
  const link = require('SandboxLink');
  const { Conn } = require('WAWebConnModel');
  const { Socket } = require('WAWebSocketModel');

  /** How the official codes begin since the spring of 2026. */
  const URL_PREFIX = 'https://wa.me/settings/linked_devices#';
  const PLATFORM_CHROME = '1';
  /** Light squares around the code, without which some readers fail. */
  const QUIET = 4;
  const SQUARE = 4;

  const codeText = () => {
    const { noise, identity, adv } = link.publicKeys();
    return URL_PREFIX + [Conn.ref, noise, identity, adv, PLATFORM_CHROME].join(',');
  };

  async function squares(text) {
    const answer = await fetch('/web/code', { method: 'POST', body: JSON.stringify({ text }) });
    return (await answer.json()).rows;
  }

  function draw(canvas, rows) {
    canvas.width = canvas.height = (rows.length + 2 * QUIET) * SQUARE;
    const pen = canvas.getContext('2d');
    pen.fillStyle = '#fff';
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.fillStyle = '#111b21';
    rows.forEach((row, y) => [...row].forEach((dark, x) => {
      if (dark === '1') pen.fillRect((x + QUIET) * SQUARE, (y + QUIET) * SQUARE, SQUARE, SQUARE);
    }));
  }

  let place = null;
  let latest = 0;

  /** Shows the code there is; a newer one may have come while this one was being drawn. */
  async function showCode() {
    if (!place || !Conn.ref || Socket.state !== 'UNPAIRED') return;
    latest += 1;
    const mine = latest;
    const text = codeText();
    const rows = await squares(text);
    if (mine !== latest || !place) return;
    const canvas = el('canvas', { role: 'img', 'aria-label': words.scan });
    draw(canvas, rows);
    place.replaceChildren(el('div', { 'data-testid': 'link-device-qr-code', 'data-ref': text, class: 'code' }, canvas));
  }

  function showReload() {
    if (!place || Socket.state !== 'UNPAIRED_IDLE') return;
    latest += 1;
    const shown = place.querySelector('[data-ref]');
    const button = el('button', {
      type: 'button', 'data-testid': 'link_device_qr_expired_refresh_button', class: 'reload',
      onclick() { showSpinner(); require('WAWebLaunchSocketUtils').refreshQR(); },
    }, words.reload);
    if (shown) shown.append(button); else place.replaceChildren(button);
  }

  function showSpinner() {
    place.replaceChildren(el('div', { 'data-testid': 'loading-spinner', class: 'spinner', role: 'status', 'aria-label': '…' }));
  }

  Conn.on('change:ref', showCode);
  Socket.on('change:state', () => { showCode(); showReload(); });

  let right = null;
  const byNumber = () => {
    place = null;
    require('SandboxByNumber').open(right, exports.open);
  };

  exports.open = () => {
    place = el('div', { class: 'code-place' });
    showSpinner();
    // Since summer 2026 the way to the number has another id, and the old one is on a link to a page of help.
    const [way, help] = sandboxPage.isEarly
      ? ['link-device-qrcode-alt-linking-hint', null]
      : ['link_device_qr_phone_number_link', el('a', { href: '/help', target: '_blank', rel: 'noopener', 'data-testid': 'link-device-qrcode-alt-linking-hint', class: 'alt' }, words.learnMore)];
    right = el('div', { class: 'landing-code' }, place,
      el('button', { type: 'button', 'data-testid': way, class: 'alt', onclick: byNumber }, words.byNumber));
    const page = el('div', { class: 'landing-wrapper' },
      el('header', { class: 'landing-head' }, el('div', { class: 'mark small', 'aria-hidden': 'true' }), 'WhatsApp Web ', el('small', {}, 'sandbox')),
      el('main', { class: 'landing-window' },
        el('div', { class: 'landing-text' },
          el('h1', {}, words.landing),
          el('ol', {}, ...words.steps.map((step) => el('li', {}, step))),
          el('p', { class: 'hint' }, words.noPhone, el('a', { href: '/phone', target: '_blank', rel: 'noopener' }, '/phone'), help && ' · ', help)),
        right));
    document.getElementById('app').replaceChildren(page);
    showCode();
    showReload();
  };
  exports.close = () => {
    place = right = null;
    require('SandboxByNumber').close();
  };
});
