/*
 * The faults, for a person.
 *
 * Responsible for: a form for the common faults, and showing what is set now. Not responsible
 * for: faults that need names of modules; those are set through the API (docs/sandbox.md).
 */
'use strict';

(() => {
  const { el, call, attempt, say, shown } = phone;
  const choice = (label, field, options, healthy = 'healthy') => ({ label, field, options, healthy });
  const CHOICES = [
    choice('Acknowledgements', 'ack', { never: 'never come', no_receipts: 'server only: never delivered or read' }),
    choice('WhatsApp Web', 'build', { 'early-2026': 'as before summer 2026' }, 'as of autumn 2026'),
    choice('A send', 'send', { throws: 'is refused by the page', refused: 'is refused by the server', lost: 'vanishes on the way', rejected: 'is rejected by the page, later' }),
    choice('Its result', 'send_result', { ERROR_NETWORK: 'ERROR_NETWORK, sent later', ERROR_EXPIRED: 'ERROR_EXPIRED', ERROR_CANCELLED: 'ERROR_CANCELLED', ERROR_UPLOAD: 'ERROR_UPLOAD', ERROR_UNKNOWN: 'ERROR_UNKNOWN' }),
    choice('A signed passkey', 'passkey', { refused: 'is refused by the server', unanswered: 'is never answered by the phone' }),
    choice('Storage', 'storage', { full: 'is full: messages are taken and never sent, until a reload' }),
    choice('Number check', 'number_check', { network_error: 'fails: network error', never: 'is never answered' }),
    choice('Linking by number', 'pairing', { refused: 'every number is refused', rate_limited: 'too many tries', not_available: 'is not available', never: 'is never answered' }),
    choice('Connection', 'socket', { silent: 'cut without a word', refuse: 'closed and refused' }),
    choice('Page', 'page', { update: 'asks for another browser', passkey: 'asks for a passkey', never_loads: 'never loads', never_starts: 'never starts' }),
    choice('Address of a chat', 'route', { wrong_chat: 'opens another chat', ignored: 'opens no chat' }),
    choice('Language', 'language', { es: 'Spanish', pt: 'Portuguese', ar: 'Arabic (the news)' }, 'English'),
  ];
  const TIMES = [['Acknowledge after (ms)', 'ack_delay_ms'], ['Serve the page after (ms)', 'page_delay_ms'], ['Modules arrive after (ms)', 'modules_delay_ms'], ['Sync for (ms)', 'sync_ms'], ['What\'s New unanswered: log out after (ms)', 'whats_new_logout_ms'], ['Reload by itself after linking (ms)', 'self_reload_ms']];
  const CHECKS = [['Chats by LID, keys in $1', 'lid_chats'], ['No module registry', 'no_registry'], ['Reload in the middle of a send', 'reload_in_send'], ['Chats headed by names', 'named_chats'], ['Draw as in a hidden tab', 'hidden_tab'], ['Reading status@broadcast ends the link', 'status_read_revokes']];
  const EVENTS = { socket_closed: 'Close the connection', conflict: 'Open elsewhere', ban: 'Ban', storage_error: 'Storage error', reload: 'Reload the page', needs_update: 'Newer build there' };

  const inputs = new Map();
  const scope = el('select', {}, el('option', { value: '' }, 'everybody'));
  const now = el('pre', { 'aria-label': 'Faults set now' });

  const select = ({ label, field, options, healthy }) => {
    const input = el('select', {}, el('option', { value: '' }, healthy), ...Object.entries(options).map(([value, text]) => el('option', { value }, text)));
    inputs.set(field, () => input.value || undefined);
    return el('label', {}, label, input);
  };
  const time = ([label, field]) => {
    const input = el('input', { type: 'number', min: '0', step: '100', placeholder: 'healthy' });
    inputs.set(field, () => (input.value === '' ? undefined : Number(input.value)));
    return el('label', {}, label, input);
  };
  const check = ([label, field]) => {
    const input = el('input', { type: 'checkbox' });
    inputs.set(field, () => input.checked || undefined);
    return el('label', { class: 'check' }, input, label);
  };
  const scoped = (faults) => (scope.value ? { ...faults, account: scope.value } : faults);
  const sufferer = () => (scope.value ? shown(scope.value) : 'everybody');

  /** Does something and says next to the button that it is done; the same words twice are two pieces of news. */
  async function confirmed(place, words, body) {
    const done = await attempt(place, () => call('/faults', body));
    place.classList.toggle('bad', !done);
    if (done) say(place, words + ' (' + new Date().toLocaleTimeString() + ')');
  }
  const setDone = el('span', { class: 'done', role: 'status' });
  const eventDone = el('p', { class: 'done', role: 'status' });

  function set(event) {
    event.preventDefault();
    const chosen = {};
    for (const [field, read] of inputs) if (read() !== undefined) chosen[field] = read();
    const count = Object.keys(chosen).length;
    let words = 'Set for ' + sufferer() + ': ' + (count === 1 ? '1 fault' : count + ' faults');
    if (count === 0) words = scope.value ? 'No fault of its own for ' + sufferer() : 'No fault chosen: all are cleared';
    confirmed(setDone, '✓ ' + words, scoped(chosen));
  }
  const form = el('form', { onsubmit: set },
    el('label', {}, 'Who suffers', scope),
    ...CHOICES.map(select),
    el('details', {}, el('summary', {}, 'Times and shapes'), ...TIMES.map(time), ...CHECKS.map(check)),
    el('div', { class: 'row' }, el('button', {}, 'Set'),
      el('button', { type: 'button', class: 'small', onclick() { form.reset(); confirmed(setDone, '✓ Cleared: everything is healthy', {}); } }, 'Clear all'), setDone));
  const events = Object.entries(EVENTS).map(([event, label]) => el('button', {
    type: 'button', class: 'small', onclick: () => confirmed(eventDone, '✓ ' + label + ': done for ' + sufferer(), scoped({ event })),
  }, label));

  document.getElementById('faults').append(form, el('h3', {}, 'Once, now'), el('div', { class: 'row' }, ...events), eventDone, el('h3', {}, 'Set now'), now);

  phone.onState(({ faults }) => {
    const set = Object.keys(faults.everybody || {}).length + Object.keys(faults.accounts || {}).length;
    now.textContent = set ? JSON.stringify(faults, null, 1) : 'none: everything is healthy';
    const known = [...scope.options].map((option) => option.value);
    for (const account of phone.accounts()) if (!known.includes(account)) scope.append(el('option', { value: account }, shown(account)));
  });
})();
