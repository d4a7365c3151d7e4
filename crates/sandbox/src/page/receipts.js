/*
 * Receipts: delivered, read.
 *
 * Responsible for: the functions that receipts pass through, which bundles wrap to hear of them.
 * Not responsible for: the first acknowledgement, which is the server's own (send.js).
 */
sandboxPage.define('WAWebHandleMsgReceipt', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { MsgCollection } = require('WAWebMsgCollection');
  const MsgKey = importDefault('WAWebMsgKey');

  const handle = async ({ ack, from, externalIds }) => {
    for (const id of externalIds) {
      const key = new MsgKey({ fromMe: true, remote: from, id });
      const msg = MsgCollection.get(key);
      if (msg) msg.updateAck(ack);
      else await require('SandboxChats').acknowledge(key.toString(), ack);
    }
  };
  exports.handleChatSimpleReceipt = (receipt) => handle(receipt);
  exports.handleGroupSimpleReceipt = (receipt) => handle(receipt);
  exports.handleStatusSimpleReceipt = (receipt) => handle(receipt);
});

sandboxPage.define('SandboxReceipts', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const NAMES = { 2: 'delivery', 3: 'read' };
  /** Goes through the module, not past it: somebody may have wrapped its functions. */
  exports.receipt = (msg, frame) => require('WAWebHandleMsgReceipt').handleChatSimpleReceipt({
    ack: frame.ack, ackString: NAMES[frame.ack], from: msg.id.remote, externalIds: [msg.id.id], participant: null, recipient: null, ts: frame.at,
  });
});
