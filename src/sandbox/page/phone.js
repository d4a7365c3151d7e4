/*
 * The phone, for a person: codes to scan, accounts, conversations.
 *
 * Responsible for: showing what GET /phone/state says, as soon as it changes, and calling the
 * phone's API. Not responsible for: faults (faults.js), deciding anything.
 */
'use strict';

const phone = (() => {
  /** After a failure, so that a restart of the sandbox is noticed and not hammered. */
  const RETRY_MS = 1500;
  const QUIET = 4;
  const SQUARE = 4;

  const byId = (id) => document.getElementById(id);
  function el(tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (typeof value === 'function') element[name] = value;
      else if (value !== undefined && value !== null) element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  }
  const shown = (number) => '+' + number;

  async function call(path, body) {
    const answer = await fetch(path, body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) });
    const value = await answer.json();
    if (!answer.ok) throw new Error(value.field ? value.field + ': ' + value.error : value.error);
    return value;
  }
  async function attempt(act) {
    try { byId('trouble').textContent = ''; return await act(); } catch (error) { byId('trouble').textContent = error.message; return undefined; }
  }

  let state = { codes: [], devices: [], sent: [], received: [], faults: {} };
  let account = null;
  let person = null;
  const listeners = [];

  /** Draws a part again only when what it shows has changed, so that typing is not disturbed. */
  const drawn = new Map();
  function draw(id, value, make) {
    const key = JSON.stringify(value);
    if (drawn.get(id) === key) return;
    drawn.set(id, key);
    byId(id).replaceChildren(...make());
  }

  async function picture(text) {
    const { rows } = await call('/web/code', { text });
    const canvas = el('canvas', { role: 'img', 'aria-label': 'The code that the page shows' });
    canvas.width = canvas.height = (rows.length + 2 * QUIET) * SQUARE;
    const pen = canvas.getContext('2d');
    pen.fillStyle = '#fff';
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.fillStyle = '#000';
    rows.forEach((row, y) => [...row].forEach((dark, x) => {
      if (dark === '1') pen.fillRect((x + QUIET) * SQUARE, (y + QUIET) * SQUARE, SQUARE, SQUARE);
    }));
    return canvas;
  }

  const ends = new Map();
  function codeCard(code) {
    if (!code.text) return el('div', { class: 'card' }, el('p', { class: 'empty' }, 'Page ' + code.page + ': its codes have run out. It waits for somebody to press reload.'));
    const number = el('input', { 'aria-label': 'Number to link (empty: any free one)', placeholder: 'any free number', inputmode: 'tel', autocomplete: 'off' });
    const frame = el('div', { class: 'frame' });
    picture(code.text).then((canvas) => frame.replaceWith(canvas)).catch(() => {});
    const scan = (event) => {
      event.preventDefault();
      attempt(async () => { select((await call('/phone/scan', { code: code.text, ...(number.value ? { number: number.value } : {}) })).account); });
    };
    return el('div', { class: 'card' }, frame,
      el('div', { class: 'line' }, el('span', {}, 'Page ' + code.page), el('span', { 'data-ends': code.page }, '')),
      el('form', { onsubmit: scan }, number, el('button', {}, 'Scan')));
  }
  setInterval(() => {
    for (const place of document.querySelectorAll('[data-ends]')) {
      const left = Math.ceil(((ends.get(Number(place.dataset.ends)) || 0) - Date.now()) / 1000);
      place.textContent = left > 0 ? 'valid for ' + left + ' s' : 'expired';
    }
  }, 500);

  function drawCodes() {
    for (const code of state.codes) ends.set(code.page, Date.now() + (code.expires_in_ms || 0));
    draw('codes', state.codes.map(({ page, text }) => [page, text]), () => (state.codes.length ? state.codes.map(codeCard)
      : [el('p', { class: 'empty' }, 'No page shows a code. Connect a session, or open ', el('a', { href: '/', target: '_blank', rel: 'noopener' }, 'the simulated WhatsApp Web'), '.')]));
  }

  const accounts = () => [...new Set([...state.devices, ...state.sent, ...state.received].map((item) => item.account))];
  function accountRow(number) {
    const devices = state.devices.filter((device) => device.account === number);
    const online = devices.some((device) => device.online);
    const words = devices.length === 0 ? 'not linked' : online ? 'online' : 'offline';
    return el('div', { class: 'account' },
      el('button', { type: 'button', class: 'pick', 'aria-pressed': String(number === account), onclick: () => select(number) },
        el('span', { class: online ? 'dot online' : 'dot', 'aria-hidden': 'true' }), el('span', {}, shown(number), el('br'), el('small', { class: 'soft' }, words + (devices.length > 1 ? ', ' + devices.length + ' devices' : '')))),
      devices.length ? el('button', { type: 'button', class: 'small', 'aria-label': 'Unlink ' + shown(number), onclick: () => attempt(() => call('/phone/unlink', { account: number })) }, 'Unlink') : null);
  }

  const otherOf = (message) => message.to || message.from;
  const ofAccount = () => [...state.sent, ...state.received].filter((message) => message.account === account).sort((a, b) => (a.at < b.at ? -1 : 1));

  function bubble(message) {
    const own = Boolean(message.to);
    return el('div', { class: own ? 'message own' : 'message' }, el('span', { class: 'text' }, message.body),
      el('span', { class: 'meta' }, new Date(message.at).toLocaleTimeString() + (own ? ' · sent by the account' : ''),
        message.resent ? el('span', { class: 'again' }, ' · sent ' + (message.resent + 1) + ' times under one id') : null));
  }

  function drawTalk() {
    const messages = ofAccount();
    const people = [...new Set(messages.map(otherOf))];
    if (!people.includes(person)) person = people[people.length - 1] || null;
    draw('people', [account, people, person], () => people.map((number) => el('button', {
      type: 'button', 'aria-pressed': String(number === person), onclick() { person = number; byId('from').value = number; drawTalk(); },
    }, shown(number))));
    const talk = messages.filter((message) => otherOf(message) === person);
    draw('messages', [account, talk], () => (talk.length ? talk.map(bubble)
      : [el('p', { class: 'empty' }, account ? 'Nothing said yet. What ' + shown(account) + ' sends appears here at once.' : 'Link an account first.')]));
    byId('messages').scrollTop = byId('messages').scrollHeight;
    if (person && !byId('from').value) byId('from').value = person;
  }

  function drawAll() {
    // A number just linked may be chosen before the state that has it arrives.
    if (account === null) account = (state.devices[0] || {}).account || accounts()[0] || null;
    drawCodes();
    draw('accounts', [accounts(), state.devices, account], () => (accounts().length ? accounts().map(accountRow)
      : [el('p', { class: 'empty' }, 'None yet. Scan a code.')]));
    drawTalk();
    for (const listener of listeners) listener(state);
  }
  function select(number) { account = number; person = null; drawAll(); }

  byId('write').addEventListener('submit', (event) => {
    event.preventDefault();
    attempt(async () => {
      if (!account) throw new Error('Link an account first.');
      const { from } = await call('/phone/receive', { account, from: byId('from').value, body: byId('body').value });
      byId('body').value = '';
      byId('from').value = from;
      person = from;
    });
  });
  byId('body').addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && !event.shiftKey) { event.preventDefault(); byId('write').requestSubmit(); }
  });

  async function follow() {
    for (;;) {
      try {
        state = await call('/phone/state' + (state.revision === undefined ? '' : '?after=' + state.revision));
        byId('connection').textContent = '';
        drawAll();
      } catch {
        byId('connection').textContent = 'The sandbox does not answer.';
        state.revision = undefined;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }

  return { el, call, attempt, follow, account: () => account, accounts, onState: (listener) => listeners.push(listener) };
})();
phone.follow();
