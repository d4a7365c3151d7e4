/*
 * The screen of a linked device: the list of chats, the open chat, notices.
 *
 * Responsible for: drawing what the collections hold, with the landmarks that outsiders look
 * for; the `/send` address. Not responsible for: sending (send.js), typing (compose.js).
 */
sandboxPage.define('SandboxMain', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { el, words, dialog } = require('SandboxWords');
  const { ChatCollection } = require('WAWebChatCollection');
  const { MsgCollection } = require('WAWebMsgCollection');
  const { Socket } = require('WAWebSocketModel');
  const { createWid } = require('WAWebWidFactory');
  const { compose } = require('SandboxCompose');
  const { queryWidExists } = require('WAWebQueryExistsJob');

  const drafts = new Map();
  let active = null;
  let rows = null;
  let room = null;
  let bubbles = null;

  /**
   * As on the real page, only so many chats stand in the document, the latest; the others are in the collection, and are opened by their
   * number. With 200 rows, all drawn anew for each of the four events of a send, the page hung for 10 to 20 s.
   */
  const ROWS_MAX = 50;

  /** One drawing for all that happens within this time: no eye sees more, and a thousand sends a second are a thousand events each. */
  const DRAW_EVERY_MS = 100;

  // One for all: to make one takes longer than to draw the rest of a row.
  const times = new Intl.DateTimeFormat(words.locale || undefined, { hour: '2-digit', minute: '2-digit' });
  const clock = (t) => times.format(new Date(t * 1000));
  const ICONS = { '-1': ['msg-error', 'failed'], 0: ['msg-time', 'pending'], 1: ['msg-check', 'sent'], 2: ['msg-dblcheck', 'delivered'], 3: ['msg-dblcheck', 'read'] };

  function tick(msg) {
    const [icon, word] = ICONS[Math.min(msg.ack, 3)] || ICONS[0];
    return el('span', { 'data-icon': icon, 'aria-label': words[word], class: word === 'read' ? 'tick blue' : 'tick' });
  }

  function bubble(msg) {
    const mine = msg.id.fromMe;
    return el('div', { role: 'row', 'data-id': msg.id.toString(), class: mine ? 'row message-out' : 'row message-in' },
      el('div', { class: 'bubble' },
        el('span', { class: 'copyable-text selectable-text' }, msg.body),
        el('span', { class: 'meta', 'data-testid': 'msg-meta' }, clock(msg.t), mine ? tick(msg) : null)));
  }

  function chatRow(chat) {
    const last = chat.lastMsg();
    const digits = chat.formattedTitle.slice(-2);
    return el('div', { role: 'listitem', class: chat === active ? 'chat-row active' : 'chat-row' },
      el('button', { type: 'button', onclick: () => openChat(chat) },
        el('span', { class: 'avatar', 'aria-hidden': 'true' }, digits),
        el('span', { class: 'chat-text' },
          el('span', { class: 'chat-top' }, el('span', { title: chat.formattedTitle, dir: 'auto', class: 'chat-title' }, chat.formattedTitle), el('time', {}, chat.t ? clock(chat.t) : '')),
          el('span', { class: 'chat-bottom' }, last && last.id.fromMe ? tick(last) : null, el('span', { class: 'preview' }, last ? last.body : ''),
            chat.unreadCount ? el('span', { class: 'unread', 'aria-label': chat.unreadCount + ' unread' }, String(chat.unreadCount)) : null))));
  }

  function drawList() {
    if (!rows) return;
    const ordered = ChatCollection.getModelsArray().filter((chat) => chat.lastMsg() || chat === active).sort((a, b) => (b.t || 0) - (a.t || 0));
    const shown = ordered.slice(0, ROWS_MAX);
    if (active && !shown.includes(active)) shown.push(active);
    rows.replaceChildren(...shown.map(chatRow));
  }

  let willDraw = false;
  function drawListSoon() {
    if (willDraw) return;
    willDraw = true;
    setTimeout(() => { willDraw = false; drawList(); }, DRAW_EVERY_MS);
  }

  /** Saved people are headed by their name, and nothing else in an empty chat says who they are. */
  const headOf = (chat) => (sandboxPage.faults.named_chats ? 'Ana ' + chat.formattedTitle.slice(-2) : chat.formattedTitle);

  function openChat(chat, text) {
    if (active) active.active = false;
    active = chat;
    chat.active = true;
    chat.unreadCount = 0;
    bubbles = el('div', { role: 'application', class: 'bubbles', tabindex: '0' }, ...chat.msgs.map(bubble));
    const shown = bubbles;
    require('SandboxChats').loadEarlier(chat).then(() => {
      if (bubbles !== shown) return;
      shown.replaceChildren(...chat.msgs.map(bubble));
      shown.scrollTop = shown.scrollHeight;
    });
    const box = compose(text || drafts.get(chat) || sandboxPage.faults.draft || '', (typed) => drafts.set(chat, typed), (typed) => require('WAWebSendTextMsgChatAction').sendTextMsgToChat(chat, typed));
    room.replaceChildren(
      el('header', { class: 'room-head' },
        el('button', { type: 'button', class: 'back', 'aria-label': words.back, onclick: closeChat }, '‹'),
        el('span', { class: 'avatar', 'aria-hidden': 'true' }, chat.formattedTitle.slice(-2)),
        el('span', { dir: 'auto', title: headOf(chat) }, headOf(chat))),
      bubbles, el('footer', {}, box.element));
    room.id = 'main';
    document.getElementById('app').classList.add('in-chat');
    drawList();
    bubbles.scrollTop = bubbles.scrollHeight;
    box.focus();
  }

  function closeChat() {
    if (active) active.active = false;
    active = null;
    bubbles = null;
    room.removeAttribute('id');
    room.replaceChildren(el('div', { class: 'nobody' }, el('div', { class: 'mark', 'aria-hidden': 'true' }), el('h2', {}, words.welcome), el('p', {}, words.pick)));
    document.getElementById('app').classList.remove('in-chat');
    drawList();
  }

  /** Opens the chat with a number, or says that there is none. While it asks, and if it gets no answer, a dialog says so. */
  async function openNumber(digits, text) {
    const number = String(digits).replace(/\D/g, '');
    const asking = dialog(words.starting);
    const isNumber = number.length >= 7 && number.length <= 15;
    const found = isNumber ? await queryWidExists(createWid(number + '@c.us')).catch(() => undefined) : null;
    if (found === undefined) return;
    asking.remove();
    if (!found) { dialog(words.invalid, [words.ok]); return; }
    const { chat } = await require('WAWebFindChatAction').findOrCreateLatestChat(found.wid);
    openChat(ChatCollection.get(chat.id), text);
  }

  let drawn = false;
  exports.open = () => {
    if (drawn) return;
    drawn = true;
    rows = el('div', { role: 'list', 'aria-label': words.chats, class: 'rows' });
    room = el('main', { class: 'room' });
    const search = el('input', { type: 'search', 'data-tab': '3', placeholder: words.search, 'aria-label': words.search, inputmode: 'tel' });
    search.addEventListener('keydown', (event) => { if (event.key === 'Enter' && search.value) { openNumber(search.value); search.value = ''; } });
    const notice = el('div', { class: 'notice', role: 'status' });
    const side = el('div', { id: 'side' },
      el('header', { class: 'side-head' }, el('h1', {}, words.chats), el('small', {}, 'sandbox')),
      el('div', { class: 'search' }, search), notice, el('div', { id: 'pane-side' }, rows));
    document.getElementById('app').replaceChildren(el('div', { class: 'two' }, side, room));
    closeChat();

    const connection = () => { notice.textContent = Socket.state === 'CONNECTED' ? '' : navigator.onLine ? words.connecting : words.offline; };
    Socket.on('change:state', connection);
    connection();
    ChatCollection.on('change', drawListSoon);
    ChatCollection.on('add', drawListSoon);
    // Listed in its chat a moment after it was added, hence the microtask.
    MsgCollection.on('add', (msg) => queueMicrotask(() => {
      drawListSoon();
      if (!bubbles || !active || !msg.isNewMsg || !active.id.equals(msg.id.remote)) return;
      bubbles.append(bubble(msg));
      bubbles.scrollTop = bubbles.scrollHeight;
    }));
    MsgCollection.on('change:ack', (msg) => {
      drawListSoon();
      const old = bubbles && bubbles.querySelector('[data-id="' + CSS.escape(msg.id.toString()) + '"]');
      if (old) old.replaceWith(bubble(msg));
    });

    const query = new URLSearchParams(location.search);
    if (location.pathname !== '/send' || !query.get('phone') || sandboxPage.faults.route === 'ignored') return;
    // The real page shows its own address again once it has read this one.
    history.replaceState(null, '', '/');
    const latest = ChatCollection.getModelsArray().sort((a, b) => b.t - a.t)[0];
    if (sandboxPage.faults.route === 'wrong_chat' && latest) openChat(latest);
    else openNumber(query.get('phone'), query.get('text') || '');
  };
});
