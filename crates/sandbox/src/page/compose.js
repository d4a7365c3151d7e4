/*
 * The box that messages are typed into.
 *
 * Responsible for: taking text only from input events that the browser itself vouches for
 * (`isTrusted`): whatever a script writes into the element is thrown out again, as the real
 * editor does. Not responsible for: sending.
 */
sandboxPage.define('SandboxCompose', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { el, icon, words } = require('SandboxWords');
  const { isEarly } = sandboxPage;

  /** Makes a compose box that calls `send(text)`; `draft` is text the page itself put there, `partner` who will read it. */
  exports.compose = (draft, partner, changed, send) => {
    let typed = draft;
    const box = el('div', {
      contenteditable: 'true', 'data-tab': '10', role: 'textbox', 'aria-multiline': 'true', 'aria-label': isEarly ? words.type : words.type + ' – ' + partner,
      'data-testid': isEarly ? undefined : 'conversation-compose-box-input', 'data-lexical-editor': isEarly ? undefined : 'true',
      'aria-placeholder': words.type, spellcheck: 'true', class: 'compose-box',
    });
    const button = el('button', { type: 'button', 'aria-label': words.send, 'data-tab': '11', class: 'send' },
      isEarly
        ? el('span', { 'data-icon': 'wds-ic-send-filled', 'aria-hidden': 'true' })
        : el('span', { 'data-testid': 'wds-ic-send-filled', 'aria-hidden': 'true' }, icon('wds-ic-send-filled')));

    // The browser ends an editable text with a line break that was not typed.
    const read = () => box.innerText.replace(/\n$/, '');
    const write = (text) => { box.textContent = text; };
    const show = () => {
      box.toggleAttribute('data-empty', typed === '');
      button.hidden = typed.trim() === '';
      changed(typed);
    };
    const submit = () => {
      if (typed.trim() === '') return;
      const text = typed;
      typed = '';
      write('');
      show();
      send(text);
      box.focus();
    };

    box.addEventListener('input', (event) => {
      if (!event.isTrusted) return;
      typed = read();
      show();
    });
    // Runs after the handlers of the input that caused it, so what is left over is not typed.
    new MutationObserver(() => { if (read() !== typed) write(typed); })
      .observe(box, { childList: true, characterData: true, subtree: true });
    box.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      if (event.isTrusted) submit();
    });
    box.addEventListener('paste', (event) => {
      // Formatting stays behind; the text comes back as input of its own.
      event.preventDefault();
      if (event.isTrusted) document.execCommand('insertText', false, event.clipboardData.getData('text/plain'));
    });
    button.addEventListener('click', submit);
    write(typed);
    show();
    return { element: el('div', { class: 'compose' }, box, button), focus: () => box.focus() };
  };
});
