/*
 * The screens on which a device is linked by phone number: one to type the number, one that shows the code.
 *
 * Responsible for: what they show, their landmarks, renewing the code while its screen is open. Not responsible for: the
 * codes themselves (pairing.js).
 */
sandboxPage.define('SandboxByNumber', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { el, words, dialog } = require('SandboxWords');
  const { PairingType } = require('WAWebPairingType');
  const { WAWebLinkDeviceEvents: events } = require('WAWebLinkDeviceEvents');
  const action = require('WAWebLinkDeviceAction');

  /** After that many renewals the real page waits for a person to press a button. */
  const RENEWALS = 5;
  /** The real page asks the server which country it is in, and takes this one meanwhile. */
  const COUNTRY = '+1 ';
  /** Country codes of one and two digits; all others have three. */
  const CODES = /^(1|7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58])/;
  const SHORTEST = 7;
  const LONGEST = 15;
  const ERROR = 'link-device-phone-number-entry-screen-error';
  const INSTRUCTIONS = 'link-device-phone-number-code-screen-instructions';

  let box = null;
  let leave = null;
  /** The number on the code's screen, and how often its code was renewed. */
  let phone = null;
  let renewals = 0;

  const reset = (linkDeviceMethod) => action.resetLinkDeviceState({ linkDeviceMethod });
  /** Shows a screen in place of the code, with the way back to it. */
  function show(...children) {
    box.replaceChildren(...children, el('button', {
      type: 'button', 'data-testid': sandboxPage.isEarly ? 'link-device-qrcode-alt-linking-hint' : undefined, class: 'alt',
      onclick() { const back = leave; exports.close(); reset(PairingType.QR_CODE); back(); },
    }, words.byQr));
  }

  function showEntry(troubled) {
    phone = null;
    let typed = COUNTRY;
    const trouble = el('div', { class: 'entry-trouble' });
    const field = el('input', {
      type: 'text', dir: 'ltr', 'data-testid': 'phone-number-input', 'aria-label': words.numberLabel,
      'aria-describedby': ERROR, autocomplete: 'off', class: 'entry-number',
    });
    field.value = typed;
    const digits = () => typed.replace(/\D/g, '');
    const say = (isWrong) => trouble.replaceChildren(...(isWrong ? [el('span', { id: ERROR }, words.invalidNumber)] : []));
    const submit = () => {
      const number = digits();
      const isValid = number.length >= SHORTEST && number.length <= LONGEST;
      if (isValid) showCode(number, true);
      else { say(true); field.focus(); }
    };
    field.addEventListener('input', (event) => {
      // What no input event of the browser's brought was not typed.
      if (event.isTrusted) {
        const all = field.value.replace(/\D/g, '');
        const country = (CODES.exec(all) || [all.slice(0, 3)])[0];
        // Since summer 2026 the field is never without a country, and takes digits only: what is typed with a "+" stands
        // behind that country as if it had none of its own.
        const isPlus = !sandboxPage.isEarly && String(event.data).startsWith('+');
        if (all === '') typed = sandboxPage.isEarly ? '' : COUNTRY;
        else typed = isPlus ? COUNTRY + all.replace(/^1/, '') : '+' + country + ' ' + all.slice(country.length);
        say(false);
      }
      field.value = typed;
    });
    if (sandboxPage.isEarly) field.addEventListener('keydown', (event) => { if (event.key === 'Enter' && event.isTrusted) submit(); });
    show(el('div', { 'data-testid': 'link-device-phone-number-entry-screen', class: 'entry' },
      el('h1', {}, words.enterNumber), el('p', { class: 'hint' }, words.pickCountry), field, trouble,
      el('button', { type: 'button', 'data-testid': 'link-device-phone-number-entry-next-button', class: 'next', onclick(event) { if (event.isTrusted) submit(); } }, words.next)));
    say(troubled);
    field.focus();
  }

  const cells = (code) => [...code].map((character, at) => [at === 4 ? el('span', { class: 'cell-dash' }, '-') : null, el('span', { class: 'cell' }, character)]).flat().filter(Boolean);
  function drawCode(code) {
    show(el('div', { class: 'entry' },
      el('h1', {}, words.enterCode),
      el('p', { class: 'hint' }, words.linking, el('strong', { dir: 'ltr' }, '+' + phone), ' (',
        el('button', { type: 'button', class: 'edit', onclick() { reset(PairingType.ALT_DEVICE_LINKING).then(() => showEntry()); } }, words.edit), ')'),
      el('div', { class: 'cells', dir: 'ltr', 'aria-live': 'polite' }, code
        ? el('div', { 'aria-details': INSTRUCTIONS, 'data-link-code': [...code].join(','), class: 'cells' }, ...cells(code))
        : el('div', { class: 'spinner', role: 'status', 'aria-label': '…' })),
      el('ol', { id: INSTRUCTIONS }, ...words.codeSteps.map((step) => el('li', {}, step)))));
  }

  /** Asks for the code of a number and shows it, or says why there is none. */
  async function showCode(number, isFirst) {
    if (isFirst) renewals = 0;
    phone = number;
    drawCode(null);
    try {
      const code = await action.genLinkDeviceCodeForPhoneNumber(number, isFirst);
      if (phone === number) drawCode(code);
    } catch (error) {
      await reset(PairingType.ALT_DEVICE_LINKING);
      if (phone !== number) return;
      const name = error.type && error.type.name;
      const back = () => { const to = leave; exports.close(); reset(PairingType.QR_CODE); to(); };
      if (name === 'IQErrorRateOverlimit') { showEntry(); dialog(words.tooMany, [words.ok, back]); }
      else if (name === 'IQErrorFeatureNotAvailable') { showEntry(); dialog(words.notAvailable, [words.byQr, back]); }
      else dialog(words.linkFailed, [words.ok, () => showEntry()]);
    }
  }
  async function renew() {
    if (!phone) return;
    const number = phone;
    drawCode(null);
    await reset(PairingType.ALT_DEVICE_LINKING);
    if (phone === number) showCode(number, false);
  }
  events.on('link_device_events:refresh_alt_linking_code', () => {
    if (!phone) return;
    renewals += 1;
    if (renewals <= RENEWALS) { renew(); return; }
    drawCode(null);
    dialog(words.codeExpired, [words.newCode, () => { renewals = 0; renew(); }]);
  });
  events.on('link_device_events:error_alt_linking', () => { if (phone) dialog(words.linkFailed, [words.ok, () => showEntry()]); });

  /** Shows the first screen in `place`; `back` shows the code again. */
  exports.open = async (place, back) => {
    box = place;
    leave = back;
    await reset(PairingType.ALT_DEVICE_LINKING);
    if (box === place) showEntry();
  };
  exports.close = () => { box = null; leave = null; phone = null; };
});
