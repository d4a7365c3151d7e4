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

  /** Country codes of one and two digits; all others have three. */
  const COUNTRY = /^(1|7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58])/;
  /** A number as people read it: +54 9 11 5000 0001. */
  function shown(number) {
    const mobile = /^(54)(9)(11)(\d{4})(\d{4})$/.exec(number);
    if (mobile) return '+' + mobile.slice(1).join(' ');
    const country = (COUNTRY.exec(number) || [number.slice(0, 3)])[0];
    const groups = [];
    let rest = number.slice(country.length);
    for (; rest.length > 4; rest = rest.slice(3)) groups.push(rest.slice(0, 3));
    return ['+' + country, ...groups, rest].join(' ').trim();
  }
  const digits = (text) => text.replace(/\D/g, '');

  const AWAY = 'The sandbox does not answer; trying again…';
  class Refused extends Error {
    constructor({ field, error }) { super(error); this.field = field; }
  }
  class Away extends Error {
    constructor() { super(AWAY); }
  }
  async function call(path, body) {
    let answer;
    let value;
    try {
      answer = await fetch(path, body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) });
      value = await answer.json();
    } catch { throw new Away(); }
    if (!answer.ok) throw new Refused(value);
    return value;
  }

  /** Where something is said that is only true while the sandbox is away. */
  const saidAway = new Set();
  function say(place, text) { saidAway.delete(place); place.textContent = text; }
  const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + (/[.…?!]$/.test(text) ? '' : '.');
  /** Does something; what goes wrong is said at `place`, and marked at the input it is about. */
  async function attempt(place, act, inputs = {}) {
    say(place, '');
    for (const input of Object.values(inputs)) input.removeAttribute('aria-invalid');
    try { return await act(); } catch (error) {
      say(place, sentence(error.message));
      if (error instanceof Away) saidAway.add(place);
      const input = inputs[error.field];
      if (input) { input.setAttribute('aria-invalid', 'true'); input.focus(); }
      return undefined;
    }
  }

  let state = { codes: [], pairings: [], passkeys: [], devices: [], sent: [], received: [], groups: [], faults: {} };
  let account = null;
  let person = null;
  /** Linked by this page, and not yet in the state. */
  let justLinked = null;
  const listeners = [];

  /** Draws a part again only when what it shows has changed, so that typing is not disturbed. */
  const drawn = new Map();
  function draw(id, value, make) {
    const key = JSON.stringify(value);
    if (drawn.get(id) === key) return;
    drawn.set(id, key);
    place(byId(id), make());
  }
  /** Puts children in place; the focus stays on what has the same `data-key`. */
  function place(parent, children) {
    const focused = parent.contains(document.activeElement) ? document.activeElement : null;
    parent.replaceChildren(...children);
    if (!focused) return;
    const key = focused.dataset.key;
    const again = focused.isConnected ? focused : key && parent.querySelector('[data-key="' + key + '"]');
    if (again) again.focus();
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

  const REFERENCE = 8;
  /** How a person tells one code from another: the beginning of the server's part. */
  const beginning = (text) => text.slice(text.indexOf('#') + 1).slice(0, REFERENCE) + '…';
  async function scan(code, number) {
    const { account: linked } = await call('/phone/scan', { code, ...(number.trim() ? { number } : {}) });
    if (!isLinked(linked)) justLinked = linked;
    select(linked);
  }

  /** One page's code. It stays while its codes rotate, so that what is typed is not lost. */
  function codeCard(page) {
    const trouble = el('p', { class: 'trouble', role: 'alert', id: 'code-trouble-' + page });
    const number = el('input', { placeholder: 'any free number', inputmode: 'tel', autocomplete: 'off', 'aria-describedby': trouble.id });
    const frame = el('div', { class: 'frame' });
    const name = el('code', {});
    const life = el('span', {});
    const button = el('button', {}, 'Scan');
    let text;
    let ends = 0;
    const whose = el('strong', {});
    const line = el('div', { class: 'line' }, el('span', {}, whose, ' ', name), life);
    const form = el('form', {
      onsubmit(event) { event.preventDefault(); attempt(trouble, () => scan(text, number.value), { number }); },
    }, button, el('label', {}, 'Number to link, if it matters', number));
    const card = el('div', { class: 'card', role: 'group' });
    const out = el('p', { class: 'empty' });
    let owner;
    /** The name comes a moment after each code, and stays: a page is of one session. Without one a person has opened it by hand. */
    function belongsTo(session) {
      if (owner && !session) return;
      owner = session ? 'Session ' + session : 'Page ' + page;
      if (whose.textContent === owner) return;
      whose.textContent = owner;
      card.setAttribute('aria-label', owner);
      button.textContent = session ? 'Scan for session ' + session : 'Scan';
      out.textContent = owner + ': its codes have run out. It waits for somebody to press reload.';
    }
    return {
      card,
      tick() {
        const left = Math.ceil((ends - Date.now()) / 1000);
        life.textContent = left > 0 ? left + ' s left' : 'expired';
      },
      update(code) {
        ends = Date.now() + (code.expires_in_ms || 0);
        this.tick();
        belongsTo(code.name);
        if (code.text === text) return;
        text = code.text;
        if (!text) { place(card, [out]); return; }
        name.textContent = beginning(text);
        if (!form.isConnected) card.replaceChildren(frame, line, form, trouble);
        const drawnFor = text;
        picture(text).then((canvas) => { if (text === drawnFor) frame.replaceChildren(canvas); }).catch(() => {});
      },
    };
  }
  const cards = new Map();
  setInterval(() => { for (const card of cards.values()) card.tick(); }, 500);

  function drawCodes() {
    const pages = state.codes.map(({ page }) => page);
    for (const page of [...cards.keys()]) if (!pages.includes(page)) cards.delete(page);
    for (const page of pages) if (!cards.has(page)) cards.set(page, codeCard(page));
    draw('codes', pages, () => (pages.length ? pages.map((page) => cards.get(page).card)
      : [el('p', { class: 'empty' }, 'No page shows a code. Connect a session, or open ', el('a', { href: '/', target: '_blank', rel: 'noopener' }, 'the simulated WhatsApp Web'), '.')]));
    for (const code of state.codes) cards.get(code.page).update(code);
  }
  /** Who is being linked by number. The code is for the person who looks at the page, as on a real phone. */
  function drawPairings() {
    const numbers = state.pairings.map(({ number }) => number);
    draw('pairings', numbers, () => numbers.map((number) => el('span', {}, 'A page waits for a code on ' + shown(number) + '. ')));
    if (numbers.length && !byId('pair-number').value) byId('pair-number').value = shown(numbers[0]);
  }
  /** What this phone has signed, by challenge: for the person who carries it to the service's page. */
  const signed = new Map();
  const ANSWERS = { sign: 'Sign with the passkey', refuse: 'Refuse', ignore: 'Sign, then ignore the phone' };
  /** Pages that want a passkey before they are linked. */
  function passkeyCard({ number, challenge, code }) {
    const trouble = el('p', { class: 'trouble', role: 'alert' });
    const answer = (what) => attempt(trouble, async () => {
      const { assertion } = await call('/phone/passkey', { challenge, answer: what });
      signed.set(challenge, assertion ? JSON.stringify(assertion) : 'Refused.');
      drawPasskeys();
    });
    const text = signed.get(challenge);
    const words = 'A page wants the passkey of ' + shown(number);
    return el('div', { class: 'card', role: 'group', 'aria-label': words },
      el('div', { class: 'line' }, el('strong', {}, words)),
      code ? el('p', { class: 'passkey-code' }, 'Compare this code with the one of the page: ', el('code', {}, code.slice(0, 4) + '-' + code.slice(4))) : null,
      el('div', { class: 'line' }, ...Object.entries(ANSWERS).map(([what, label]) =>
        el('button', { type: 'button', class: 'small', 'data-answer': what, 'data-key': 'passkey-' + what + challenge, onclick: () => answer(what) }, label))),
      text ? el('label', {}, 'What it gives (paste it on the page of the service)', el('textarea', { class: 'signed', readonly: '', rows: '3', onfocus: (event) => event.target.select() }, text)) : null,
      trouble);
  }
  function drawPasskeys() {
    for (const challenge of signed.keys()) if (!state.passkeys.some((passkey) => passkey.challenge === challenge)) signed.delete(challenge);
    draw('passkeys', [state.passkeys, [...signed]], () => state.passkeys.map(passkeyCard));
  }
  byId('pair').addEventListener('submit', (event) => {
    event.preventDefault();
    attempt(byId('pair-trouble'), async () => {
      const { account: linked } = await call('/phone/pair', { number: byId('pair-number').value, code: byId('pair-code').value });
      if (!isLinked(linked)) justLinked = linked;
      event.target.reset();
      select(linked);
    }, { number: byId('pair-number'), code: byId('pair-code') });
  });
  byId('paste-form').addEventListener('submit', (event) => {
    event.preventDefault();
    attempt(byId('paste-trouble'), async () => {
      await scan(byId('paste-text').value, byId('paste-number').value);
      event.target.reset();
    }, { code: byId('paste-text'), number: byId('paste-number') });
  });

  /** When an account was first heard of; what it wrote keeps its place after it is unlinked. */
  const since = new Map();
  function accounts() {
    const heard = (number, at) => { if (!since.has(number) || at < since.get(number)) since.set(number, at); };
    for (const device of state.devices) heard(device.account, device.linked_at);
    for (const message of [...state.sent, ...state.received]) heard(message.account, message.at);
    const known = new Set([...state.devices, ...state.sent, ...state.received].map((item) => item.account));
    for (const number of since.keys()) if (!known.has(number)) since.delete(number);
    return [...since.keys()].sort((a, b) => (since.get(a) + a < since.get(b) + b ? -1 : 1));
  }
  const isLinked = (number) => state.devices.some((device) => device.account === number);

  /** The account that is about to be unlinked, once a person has said so twice. */
  let asked = null;
  function ask(number, focus) {
    asked = number;
    drawAccounts();
    const next = byId('accounts').querySelector('[data-key="' + focus + '"]');
    if (next) next.focus();
  }
  async function unlink(number) {
    asked = null;
    await attempt(byId('accounts-trouble'), () => call('/phone/unlink', { account: number }));
    drawAccounts();
    // Not the next row's button: a key that is held down must not hit it.
    byId('accounts-title').focus();
  }
  /** The second half of a double-click may land on what has moved under the mouse: it is ignored. */
  const once = (act) => (event) => { if (event.detail < 2) act(); };
  const key = (act, number) => act + '-' + number;

  function question(number) {
    const words = 'Unlink ' + shown(number) + '?';
    return el('div', { class: 'question', role: 'group', 'aria-label': words },
      el('span', {}, words + ' Its pages log out.'),
      el('button', { type: 'button', class: 'small', 'data-key': key('keep', number), onclick: once(() => ask(null, key('unlink', number))) }, 'Keep'),
      el('button', { type: 'button', class: 'small danger', 'data-key': key('sure', number), onclick: once(() => unlink(number)) }, 'Yes, unlink'));
  }
  function sessionOf(number) {
    const names = state.devices.filter((device) => device.account === number && device.name).map(({ name }) => name);
    return names.length ? 'session ' + names[0] : null;
  }
  function accountRow(number) {
    const devices = state.devices.filter((device) => device.account === number);
    const online = devices.some((device) => device.online);
    const words = devices.length === 0 ? 'not linked' : online ? 'online' : 'offline';
    const escape = (event) => { if (event.key === 'Escape' && asked === number) ask(null, key('unlink', number)); };
    return el('div', { class: 'account', onkeydown: escape },
      el('button', { type: 'button', class: 'pick', 'data-key': key('pick', number), 'aria-pressed': String(number === account), onclick: () => select(number) },
        el('span', { class: online ? 'dot online' : 'dot', 'aria-hidden': 'true' }), el('span', {}, shown(number), el('br'), el('small', { class: 'soft' }, [words, sessionOf(number), devices.length > 1 ? devices.length + ' devices' : null].filter(Boolean).join(', ')))),
      devices.length ? el('button', {
        type: 'button', class: 'small', 'data-key': key('unlink', number), 'aria-label': 'Unlink ' + shown(number), 'aria-expanded': String(asked === number),
        onclick: once(() => (asked === number ? ask(null, key('unlink', number)) : ask(number, key('keep', number)))),
      }, 'Unlink') : null,
      devices.length && asked === number ? question(number) : null);
  }
  function drawAccounts() {
    if (asked !== null && !isLinked(asked)) asked = null;
    draw('accounts', [accounts(), state.devices, account, asked], () => (accounts().length ? accounts().map(accountRow)
      : [el('p', { class: 'empty' }, 'None yet. Scan a code.')]));
  }

  const otherOf = (message) => message.group || message.to || message.from;
  /** Status updates and channels are no conversations. */
  const ofAccount = () => [...state.sent, ...state.received].filter((message) => message.account === account && otherOf(message) && !message.status)
    .sort((a, b) => (a.at < b.at ? -1 : 1));
  const groupOf = (id) => state.groups.find((group) => group.id === id);
  const titled = (other) => (groupOf(other) ? groupOf(other).name : shown(other));

  const mediaWords = ({ kind, filename, name, bytes, size }) => '[' + [kind, filename || name, bytes || size ? (bytes || size) + ' bytes' : null].filter(Boolean).join(', ') + ']';
  const textOf = (message) => (message.deleted ? 'deleted for everybody'
    : message.edited || message.body || (message.media ? [mediaWords(message.media), message.media.caption].filter(Boolean).join(' ') : ''));
  /** Pictures are shown; everything else can be saved. */
  const PICTURES = ['image/jpeg', 'image/png', 'image/webp', 'image/gif'];
  const files = new Map();
  function mediaOf(message) {
    const { media } = message;
    const hasBytes = media && (media.sha256 || media.has_bytes);
    if (!hasBytes || message.deleted) return null;
    const shown = el('span', { class: 'medium' });
    const put = (url) => shown.replaceChildren(PICTURES.includes(media.mimetype) || media.kind === 'sticker'
      ? el('img', { src: url, alt: textOf(message), class: 'picture' })
      : el('a', { href: url, download: media.filename || media.name || media.kind }, 'Save'));
    if (files.has(message.id)) put(files.get(message.id));
    else {
      fetch('/phone/media?account=' + message.account + '&id=' + encodeURIComponent(message.id)).then(async (answer) => {
        if (!answer.ok) return;
        files.set(message.id, URL.createObjectURL(new Blob([await answer.arrayBuffer()], { type: PICTURES.includes(media.mimetype) ? media.mimetype : 'application/octet-stream' })));
        put(files.get(message.id));
      });
    }
    return shown;
  }

  /** What a person does to a message: its author changes or deletes it, and the other one reacts. */
  function acts(message, own) {
    if (message.deleted) return null;
    const act = (name, label, does) => el('button', { type: 'button', class: 'small act', 'data-key': name + '-' + message.id, 'aria-label': label + ': ' + textOf(message), onclick: once(does) }, label);
    const done = (path, body) => () => attempt(byId('trouble'), () => call(path, { account, id: message.id, ...body }));
    const reacts = own ? { from: message.group ? groupOf(message.group).participants[0] : message.to } : {};
    return el('span', { class: 'acts' },
      act('react', 'React', done('/phone/react', { ...reacts, emoji: message.reaction ? '' : '👍' })),
      message.media ? null : act('edit', 'Edit', () => { editing = message.id; byId('body').value = textOf(message); drawComposer(); byId('body').focus(); }),
      act('delete', 'Delete', done('/phone/delete', {})),
      message.waiting ? act('resolve', 'Let it be read', done('/phone/resolve', {})) : null);
  }

  /** What a message answers, by the beginning of its text where the account has it. */
  function answered({ quote }) {
    const known = ofAccount().find(({ id }) => id === quote);
    return 'answers: ' + (known ? textOf(known).slice(0, 80) : quote);
  }

  function bubble(message) {
    const own = !message.from;
    const byHand = own && message.resent === undefined;
    return el('div', { class: own ? 'message own' : 'message' }, message.quote ? el('span', { class: 'meta' }, answered(message)) : null, mediaOf(message), el('span', { class: 'text' }, textOf(message)),
      el('span', { class: 'meta' }, [new Date(message.at).toLocaleTimeString(), own ? (byHand ? 'written by hand' : 'sent by the account') : null,
        message.group && !own ? shown(message.from) : null, message.edited && !message.deleted ? 'edited' : null, message.reaction || null].filter(Boolean).join(' · ')),
      own && !byHand ? el('span', { class: 'meta' }, el('span', { class: 'tick', 'aria-hidden': 'true' }, '✓ '), 'taken by the server',
        message.resent ? el('span', { class: 'again' }, ' · sent ' + (message.resent + 1) + ' times under one id') : null) : null,
      isLinked(account) ? acts(message, own) : null);
  }

  function drawTalk() {
    const messages = ofAccount();
    const people = [...new Set([...messages.map(otherOf), ...state.groups.filter((group) => group.account === account).map(({ id }) => id)])];
    if (!people.includes(person)) person = people[people.length - 1] || null;
    draw('people', [account, people, person, state.groups], () => people.map((other) => el('button', {
      type: 'button', 'data-key': key('person', other), 'aria-pressed': String(other === person),
      onclick() { person = other; byId('from').value = shown(groupOf(other) ? groupOf(other).participants[0] : other); drawTalk(); },
    }, titled(other))));
    const talk = messages.filter((message) => otherOf(message) === person);
    draw('messages', [account, talk, isLinked(account)], () => (talk.length ? talk.map(bubble)
      : [el('p', { class: 'empty' }, account ? 'Nothing said yet. What ' + shown(account) + ' sends appears here at once.' : 'Link an account first.')]));
    byId('messages').scrollTop = byId('messages').scrollHeight;
    drawComposer();
  }

  /** The message whose text the composer changes, if it does. */
  let editing = null;
  /** The account for which the field "As" was filled: it keeps a person from writing to the own account by accident. */
  let writesTo = null;
  function drawComposer() {
    if (writesTo !== account) {
      writesTo = account;
      editing = null;
      byId('from').value = '';
      say(byId('trouble'), '');
    }
    if (person && !groupOf(person) && !byId('from').value && document.activeElement !== byId('from')) byId('from').value = shown(person);
    const verb = editing ? 'Change' : 'Send';
    if (byId('send').textContent !== verb) byId('send').textContent = verb;
    const why = account === null ? 'Nobody to write to: scan a code first.'
      : isLinked(account) || justLinked === account ? '' : shown(account) + ' is not linked: scan a code with this number to write to it.';
    byId('composer').disabled = why !== '';
    if (byId('why').textContent !== why) byId('why').textContent = why;
    const title = account === null ? 'Conversations' : 'Conversations of ' + [shown(account), sessionOf(account)].filter(Boolean).join(', ');
    if (byId('talk-title').textContent !== title) byId('talk-title').textContent = title;
  }

  function drawAll() {
    // A number just linked may be chosen before the state that has it arrives.
    if (isLinked(justLinked)) justLinked = null;
    if (account !== null && account !== justLinked && !accounts().includes(account)) account = null;
    if (account === null) account = (state.devices[0] || {}).account || accounts()[0] || null;
    drawCodes();
    drawPairings();
    drawPasskeys();
    drawAccounts();
    drawTalk();
    for (const listener of listeners) listener(state);
  }
  function select(number) { if (number !== account) { account = number; person = null; } drawAll(); }

  /** A file as a message takes it: what it is follows from its type. */
  async function mediumOf(file) {
    const [type] = file.type.split('/');
    const kind = ['image', 'video', 'audio'].includes(type) && file.type !== 'image/svg+xml' ? type : 'document';
    const data = await new Promise((resolve, reject) => {
      const reader = new FileReader();
      reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(',') + 1));
      reader.onerror = () => reject(reader.error);
      reader.readAsDataURL(file);
    });
    return { kind, data, mimetype: file.type || undefined, filename: file.name };
  }
  /** A medium may come without a text. */
  function needsText() { byId('body').required = byId('file').files.length === 0; }
  byId('file').addEventListener('change', needsText);

  byId('write').addEventListener('submit', (event) => {
    event.preventDefault();
    attempt(byId('trouble'), async () => {
      if (digits(byId('from').value) === account) throw new Refused({ field: 'from', error: 'this is the account itself: write as another number' });
      const [file] = editing ? [] : byId('file').files;
      const media = file ? await mediumOf(file) : undefined;
      const body = byId('body').value || undefined;
      const number = byId('from').value;
      const group = groupOf(person) ? { group: person } : {};
      const isOfGroup = group.group && groupOf(person).participants.includes(digits(number));
      if (editing) await call('/phone/edit', { account, id: editing, body });
      else if (byId('by-hand').checked) await call('/phone/write', { account, body, media, ...(group.group ? group : { to: number }) });
      else await call('/phone/receive', { account, from: number, body, media, ...(isOfGroup ? group : {}) });
      byId('body').value = '';
      byId('file').value = '';
      needsText();
      if (!editing && !isOfGroup && !(group.group && byId('by-hand').checked)) person = digits(number);
      byId('from').value = shown(digits(number));
      editing = null;
      drawComposer();
    }, { from: byId('from'), body: byId('body'), media: byId('file') });
  });
  byId('body').addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && !event.shiftKey) { event.preventDefault(); byId('write').requestSubmit(); }
  });

  async function follow() {
    for (;;) {
      try {
        state = await call('/phone/state' + (state.revision === undefined ? '' : '?after=' + state.revision));
      } catch {
        if (byId('connection').textContent !== AWAY) byId('connection').textContent = AWAY;
        state.revision = undefined;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
        continue;
      }
      byId('connection').textContent = '';
      for (const where of saidAway) say(where, '');
      drawAll();
    }
  }

  return { el, call, attempt, say, shown, follow, account: () => account, accounts, onState: (listener) => listeners.push(listener) };
})();
phone.follow();
