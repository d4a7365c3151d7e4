/*
 * The screen of a linked device: the list of chats, the open chat, notices.
 *
 * Responsible for: drawing what the collections hold, with the landmarks that outsiders look
 * for; the `/send` address. Not responsible for: sending (send.js), typing (compose.js).
 */
sandboxPage.define('SandboxMain', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { el, icon, words, dialog } = require('SandboxWords');
  const { isEarly, faults } = sandboxPage;
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
   * number. With 200 rows, all drawn again for each of the four events of a send, the page hung for 10 to 20 s.
   */
  const ROWS_MAX = 50;

  /** One drawing for all that happens within this time: no eye sees more, and a thousand sends a second are a thousand events each. */
  const DRAW_EVERY_MS = 100;

  // One for all: to make one takes longer than to draw the rest of a row.
  const times = new Intl.DateTimeFormat(words.locale || undefined, { hour: '2-digit', minute: '2-digit' });
  const clock = (t) => times.format(new Date(t * 1000));
  const ICONS = { '-1': ['msg-error', 'failed'], 0: ['msg-time', 'pending'], 1: ['msg-check', 'sent'], 2: ['msg-dblcheck', 'delivered'], 3: ['msg-dblcheck', 'read'] };

  /** Since summer 2026. An icon and a label both name the status: the label is reliable, and localized. */
  const STATUSES = { '-1': ['message-fail', 'failed'], 0: ['wds-ic-pending', 'pending'], 1: ['wds-ic-sent', 'sent'], 2: ['wds-ic-delivered', 'delivered'], 3: ['wds-ic-read', 'read'] };
  const COARSE = { 1: 'wds-ic-delivered', 2: 'wds-ic-read' };

  function tick(msg) {
    const level = msg.isSendFailure ? -1 : Math.min(msg.ack, 3);
    if (isEarly) {
      const [name, word] = ICONS[Math.min(msg.ack, 3)] || ICONS[0];
      return el('span', { 'data-icon': name, 'aria-label': words[word], class: word === 'read' ? 'tick blue' : 'tick' });
    }
    const [name, word] = STATUSES[level] || STATUSES[0];
    return el('span', { 'aria-label': words[word], class: 'tick ' + word }, icon((faults.coarse_ticks && COARSE[level]) || name));
  }

  /** What stands for a message that is no text. */
  const textOf = (msg) => {
    if (msg.type === 'chat') return msg.body;
    if (msg.type === 'revoked') return words.deleted;
    if (msg.type === 'ciphertext') return words.waiting;
    return msg.caption || msg.pollName || msg.filename || msg.loc || '[' + msg.type + ']';
  };
  const NOTICES = ['gp2', 'e2e_notification'];

  /** Only the first of a run has a tail. */
  function bubble(msg, previous) {
    if (NOTICES.includes(msg.type)) return el('div', { role: 'row', class: 'row' }, el('div', { class: 'system' }, textOf(msg)));
    if (isEarly) return earlyBubble(msg);
    const mine = msg.id.fromMe;
    const side = mine ? 'out' : 'in';
    const isFirst = !previous || previous.id.fromMe !== mine;
    return el('div', { role: 'row', class: 'row ' + side },
      el('div', { tabindex: '-1', 'data-id': msg.id.id, 'data-testid': 'conv-msg-' + msg.id.id, class: 'focusable-list-item bubble' },
        isFirst ? el('span', { 'aria-hidden': 'true', 'data-testid': 'tail-' + side, 'data-icon': 'tail-' + side }, icon('tail-' + side)) : null,
        mine ? el('span', { 'aria-label': words.you }) : null,
        el('div', { 'data-testid': 'msg-container' },
          el('span', { 'data-testid': 'selectable-text', class: 'copyable-text selectable-text' }, textOf(msg)),
          el('span', { class: 'meta', 'data-testid': 'msg-meta' }, clock(msg.t), mine ? tick(msg) : null))));
  }

  function earlyBubble(msg) {
    const mine = msg.id.fromMe;
    return el('div', { role: 'row', 'data-id': msg.id.toString(), class: mine ? 'row message-out' : 'row message-in' },
      el('div', { class: 'bubble' },
        el('span', { class: 'copyable-text selectable-text' }, textOf(msg)),
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
          el('span', { class: 'chat-bottom' }, last && last.id.fromMe ? tick(last) : null, el('span', { class: 'preview' }, last ? textOf(last) : ''),
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

  /** The list is virtual: a hidden page draws the last message only, another as many as a window holds. */
  const DRAWN = 50;
  const DRAWN_EARLY = 500;
  const isHidden = () => document.hidden || sandboxPage.faults.hidden_tab;
  function drawBubbles() {
    if (!bubbles || !active) return;
    const drawn = isEarly ? DRAWN_EARLY : isHidden() ? 1 : DRAWN;
    const all = active.msgs.toArray();
    const from = Math.max(0, all.length - drawn);
    bubbles.replaceChildren(...all.slice(from).map((msg, at) => bubble(msg, all[from + at - 1])));
    bubbles.scrollTop = bubbles.scrollHeight;
  }

  /** One drawing for what happens in a frame. */
  const FRAME_MS = 16;
  let willDrawBubbles = false;
  function drawBubblesSoon() {
    if (willDrawBubbles) return;
    willDrawBubbles = true;
    setTimeout(() => { willDrawBubbles = false; drawBubbles(); }, FRAME_MS);
  }

  /** Saved people are headed by their name, and nothing else in an empty chat says who they are. */
  const headOf = (chat) => (sandboxPage.faults.named_chats ? 'Ana ' + chat.formattedTitle.slice(-2) : chat.formattedTitle);

  function openChat(chat, text) {
    if (active) active.active = false;
    active = chat;
    chat.active = true;
    chat.unreadCount = 0;
    bubbles = el('div', { role: 'application', class: 'bubbles', tabindex: '0', 'data-testid': isEarly ? undefined : 'conversation-panel-messages' });
    const shown = bubbles;
    drawBubbles();
    require('SandboxChats').loadEarlier(chat).then(() => { if (bubbles === shown) drawBubbles(); });
    const box = compose(text || drafts.get(chat) || sandboxPage.faults.draft || '', headOf(chat), (typed) => drafts.set(chat, typed), (typed) => require('WAWebSendTextMsgChatAction').sendTextMsgToChat(chat, typed));
    room.replaceChildren(
      el('header', { class: 'room-head' },
        el('button', { type: 'button', class: 'back', 'aria-label': words.back, onclick: closeChat }, '‹'),
        el('span', { class: 'avatar', 'aria-hidden': 'true' }, chat.formattedTitle.slice(-2)),
        el('span', { dir: 'auto', title: headOf(chat), 'data-testid': isEarly ? undefined : 'conversation-info-header-chat-title' }, headOf(chat))),
      bubbles, el('footer', {}, box.element));
    if (!(faults.missing_marks || []).includes('main')) room.id = 'main';
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
    const { chat } = await require('WAWebFindChatAction').findOrCreateLatestChat(found.wid, 'deeplink');
    openChat(ChatCollection.get(chat.id), text);
  }

  let drawn = false;
  exports.open = () => {
    if (drawn) return;
    drawn = true;
    rows = el('div', { role: 'list', 'aria-label': words.chats, 'data-testid': isEarly ? undefined : 'chat-list', class: 'rows' });
    room = el('main', { class: 'room' });
    const search = el('input', { type: 'search', 'data-tab': '3', placeholder: words.search, 'aria-label': words.search, inputmode: 'tel' });
    search.addEventListener('keydown', (event) => { if (event.key === 'Enter' && search.value) { openNumber(search.value); search.value = ''; } });
    const notice = el('div', { class: 'notice', role: 'status', 'data-testid': isEarly ? undefined : 'chat-butterbar' });
    const side = el('div', { id: 'side' },
      el('header', { class: 'side-head' }, el('h1', {}, words.chats), el('small', {}, 'sandbox')),
      el('div', { class: 'search' }, search), notice, el('div', { id: 'pane-side' }, rows));
    document.getElementById('app').replaceChildren(el('div', { class: 'two', 'data-testid': isEarly ? undefined : 'wa-web-main-screen' }, side, room));
    closeChat();

    const connection = () => { notice.textContent = Socket.state === 'CONNECTED' ? '' : navigator.onLine ? words.connecting : words.offline; };
    Socket.on('change:state', connection);
    connection();
    ChatCollection.on('change', drawListSoon);
    ChatCollection.on('add', drawListSoon);
    // Listed in its chat a moment after it was added, hence the microtask.
    MsgCollection.on('add', (msg) => queueMicrotask(() => {
      drawListSoon();
      if (bubbles && active && msg.isNewMsg && active.id.equals(msg.id.remote)) drawBubblesSoon();
    }));
    MsgCollection.on('change:ack change:isSendFailure change:type change:body change:caption', (msg) => {
      drawListSoon();
      if (bubbles && active && active.id.equals(msg.id.remote)) drawBubblesSoon();
    });
    document.addEventListener('visibilitychange', drawBubbles);

    require('WAWebActionListener').open();
    const query = new URLSearchParams(location.search);
    if (location.pathname !== '/send' || !query.get('phone') || sandboxPage.faults.route === 'ignored') return;
    // The real page shows its own address again once it has read this one.
    history.replaceState(null, '', '/');
    const latest = ChatCollection.getModelsArray().sort((a, b) => b.t - a.t)[0];
    if (sandboxPage.faults.route === 'wrong_chat' && latest) openChat(latest);
    else openNumber(query.get('phone'), query.get('text') || '');
  };
});
