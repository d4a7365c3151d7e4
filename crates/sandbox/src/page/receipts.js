/*
 * Receipts: delivered, read.
 *
 * Responsible for: the functions that receipts pass through, which bundles wrap to hear of them.
 * Not responsible for: the first acknowledgement, which is the server's own (send.js).
 */
sandboxPage.define('WAWebHandleMsgReceipt', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { MsgCollection } = require('WAWebMsgCollection');
  const MsgKey = importDefault('WAWebMsgKey');
  const { state } = require('SandboxLink');

  /** The own message of that id; in a group its key has the account itself, the way the group addresses it. */
  function keysIn(remote, id) {
    if (!remote.isGroup()) return [new MsgKey({ fromMe: true, remote, id })];
    return [state.lid, state.number].map((participant) => new MsgKey({ fromMe: true, remote, id, participant }));
  }
  const handle = async ({ ack, from, externalIds }) => {
    for (const id of externalIds) {
      const keys = keysIn(from, id);
      const msg = keys.map((key) => MsgCollection.get(key)).find(Boolean);
      if (msg) msg.updateAck(ack);
      else for (const key of keys) await require('SandboxChats').acknowledge(key.toString(), ack);
    }
  };
  exports.handleChatSimpleReceipt = (receipt) => handle(receipt);
  exports.handleGroupSimpleReceipt = (receipt) => handle(receipt);
  exports.handleStatusSimpleReceipt = (receipt) => handle(receipt);
});

sandboxPage.define('SandboxReceipts', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const NAMES = { 2: 'delivery', 3: 'read', 4: 'played' };
  /** Goes through the module, not past it: somebody may have wrapped its functions. */
  function receive({ ack, remote, id, at, participant }) {
    const receipts = require('WAWebHandleMsgReceipt');
    const handle = remote.isGroup() ? receipts.handleGroupSimpleReceipt : receipts.handleChatSimpleReceipt;
    return handle({ type: 'simple', stanzaId: id, ack, ackString: NAMES[ack], from: remote, externalIds: [id], participant, recipient: null, ts: at, offline: null });
  }
  exports.receive = receive;
  exports.receipt = (msg, frame) => receive({ ack: frame.ack, remote: msg.id.remote, id: msg.id.id, at: frame.at, participant: null });
});
