/*
 * Messages that only the phone has: how a page asks for them.
 *
 * Responsible for: the question, in the shape of the page's own module (public copies of WAWebSendNonMessageDataRequest), and for what
 * becomes of the answer, which comes as a part of the history does. Not responsible for: which messages they are (the server).
 */
sandboxPage.define('SandboxOlder', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const wire = require('SandboxWire');
  const chats = require('SandboxChats');
  const storage = require('SandboxStorage');
  const { createWid } = require('WAWebWidFactory');

  /** A question that the phone has not answered by then may be asked again (history_sync_on_demand_timeout_ms). */
  const FORGOTTEN_MS = 10000;
  const inFlight = new Set();

  /** The oldest message of a chat in storage. */
  const oldestIn = async (chat) => (await storage.readRange(chat, -Infinity, Infinity, 1))[0];

  /** Resolves when the question has left; the answer comes later, and of a chat that is asked about already none does. */
  exports.ask = async (wid) => {
    const chat = String(wid);
    if (inFlight.has(chat)) return;
    inFlight.add(chat);
    setTimeout(() => inFlight.delete(chat), FORGOTTEN_MS);
    const oldest = await oldestIn(chat);
    wire.tell({ type: 'older', user: wid.user, server: wid.server, oldest: oldest ? oldest.id : null });
  };

  wire.frames.on('older', async ({ user, server, stanzas, has_more: hasMore }) => {
    const wid = createWid(user + '@' + server);
    await require('SandboxIncoming').keepHistory(stanzas);
    chats.endOfHistory(wid, hasMore);
    inFlight.delete(String(wid));
  });
});

sandboxPage.define('WAWebSendNonMessageDataRequest', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const Wid = importDefault('WAWebWid');
  /** Of the types of requests this page knows the one. */
  const HISTORY_SYNC_ON_DEMAND = 3;
  exports.sendPeerDataOperationRequest = async (type, request) => {
    if (!Number.isInteger(type)) throw new Error('sendPeerDataOperationRequest: the type is not a number');
    if (type !== HISTORY_SYNC_ON_DEMAND) return;
    const { chatId } = request;
    if (chatId === undefined || chatId === null) return;
    if (!(chatId instanceof Wid)) throw new TypeError('chatId.toJid is not a function');
    await require('SandboxOlder').ask(chatId);
  };
});
