/*
 * Receipts: delivered, read.
 *
 * Responsible for: the functions that receipts pass through, which bundles wrap to hear of them.
 * Not responsible for: the first acknowledgement, which is the server's own (send.js).
 */
sandboxPage.define('SandboxReceiptHandler', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
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
  exports.handle = handle;
});

/* Each kind of chat has a module of its own (page modules of these names). */
for (const [name, method] of [
  ['WAWebHandleDirectChatReceipt', 'handleChatSimpleReceipt'], ['WAWebHandleGroupChatReceipt', 'handleGroupSimpleReceipt'],
  ['WAWebHandleStatusReceipt', 'handleStatusSimpleReceipt'],
]) {
  sandboxPage.define(name, (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
    exports[method] = (receipt) => require('SandboxReceiptHandler').handle(receipt);
  });
}

sandboxPage.define('SandboxReceipts', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const NAMES = { 2: 'delivery', 3: 'read', 4: 'played' };
  /** Goes through the module, not past it: a script may have wrapped its functions. */
  function receive({ ack, remote, id, at, participant }) {
    const receipt = { type: 'simple', stanzaId: id, ack, ackString: NAMES[ack], from: remote, externalIds: [id], participant, recipient: null, ts: at, offline: null };
    if (remote.isGroup()) return require('WAWebHandleGroupChatReceipt').handleGroupSimpleReceipt(receipt);
    return require('WAWebHandleDirectChatReceipt').handleChatSimpleReceipt(receipt);
  }
  exports.receive = receive;
  exports.receipt = (msg, frame) => receive({ ack: frame.ack, remote: msg.id.remote, id: msg.id.id, at: frame.at, participant: null });
});
