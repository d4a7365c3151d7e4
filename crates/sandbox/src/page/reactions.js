/*
 * Reactions, which are no messages.
 *
 * Responsible for: the table that they are written to, and the collection that the screen shows, by the modules that
 * outsiders wrap. Not responsible for: how they come in (incoming.js).
 */
sandboxPage.define('WAWebReactionDataUtils', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const MsgKey = importDefault('WAWebMsgKey');
  const { createWid } = require('WAWebWidFactory');
  exports.reactionMsgDataToReactionRow = (data) => ({
    msgKey: data.id.toString(), parentMsgKey: data.reactionParentKey.toString(), senderUserJid: String(data.author || data.from),
    reactionText: data.reactionText, timestamp: data.reactionTimestamp, t: data.t, ack: data.ack, orphan: 0, read: data.read,
  });
  exports.reactionRowToReactionMsgData = (row) => {
    const id = MsgKey.fromString(row.msgKey);
    return {
      id, from: id.fromMe ? createWid(row.senderUserJid) : id.remote, to: id.fromMe ? id.remote : undefined, author: createWid(row.senderUserJid), type: 'reaction',
      kind: 'reactionDecrypted', viewMode: 'VISIBLE', reactionParentKey: MsgKey.fromString(row.parentMsgKey), reactionText: row.reactionText,
      reactionTimestamp: row.timestamp, t: row.t, ack: row.ack, read: row.read || false,
    };
  };
});

sandboxPage.define('WAWebAddonReactionTableMode', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { reactionMsgDataToReactionRow, reactionRowToReactionMsgData } = require('WAWebReactionDataUtils');
  const storage = require('SandboxStorage');
  exports.reactionTableMode = {
    mode: 'reaction',
    /** One row for each person and message: the newer reaction takes the place of the older one, also the empty one. */
    async bulkUpsert(reactions) { await storage.write({ reactions: reactions.map(reactionMsgDataToReactionRow) }); },
    async bulkGetByParentMsgKey(keys) {
      const rows = await Promise.all(keys.map((key) => storage.readReactions(key.toString())));
      return rows.flat().map(reactionRowToReactionMsgData);
    },
  };
});

sandboxPage.define('WAWebReactionsCollection', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { BaseModel, defineModel } = require('WAWebBaseModel');
  const { BaseCollection } = require('WAWebBaseCollection');
  const storage = require('SandboxStorage');
  const MsgKey = importDefault('WAWebMsgKey');

  class Senders extends BaseModel {}
  defineModel(Senders, 'reactionsSenders', ['id', 'senderUserJid', 'reactionText', 'timestamp', 'ack', 'read', 'parentMsgKey', 'msgKey', 'orphan', 't']);
  class SendersCollection extends BaseCollection {}
  SendersCollection.model = Senders;
  class Aggregate extends BaseModel {
    constructor(properties) { super(properties); this.senders = new SendersCollection(); }
  }
  defineModel(Aggregate, 'reactionsAggregate', ['id', 'aggregateEmoji', 'hasReactionByMe']);
  class Aggregates extends BaseCollection {}
  Aggregates.model = Aggregate;
  class Reactions extends BaseModel {
    constructor(properties) { super(properties); this.reactions = new Aggregates(); }
  }
  defineModel(Reactions, 'reactions', ['id', 'reactionByMe']);

  class ReactionsCollectionImpl extends BaseCollection {
    async find(parent) {
      const known = this.get(parent);
      if (known) return known;
      const rows = await storage.readReactions(String(parent));
      const model = this.get(parent) || this.add({ id: String(parent) });
      for (const row of rows) this.addOrUpdateReaction(row);
      return model;
    }
    addOrUpdateReaction(row) {
      const model = this.get(row.parentMsgKey);
      if (!model) return;
      for (const aggregate of model.reactions.toArray()) {
        const sender = aggregate.senders.findFirst(({ senderUserJid }) => senderUserJid === row.senderUserJid);
        if (!sender || sender.timestamp >= row.timestamp) continue;
        aggregate.senders.remove(sender.id);
        if (row.reactionText === '') sender.trigger('revoked');
        if (aggregate.senders.length === 0) model.reactions.remove(aggregate.id);
        aggregate.trigger('change:senders');
      }
      if (row.reactionText === '') return;
      const aggregate = model.reactions.get(row.reactionText) || model.reactions.add({ id: row.reactionText, aggregateEmoji: row.reactionText });
      aggregate.senders.add({ ...row, id: MsgKey.fromString(row.msgKey) });
      aggregate.trigger('change:senders');
    }
  }
  ReactionsCollectionImpl.model = Reactions;
  exports.ReactionsCollection = new ReactionsCollectionImpl();
});

sandboxPage.define('WAWebReactionsMsgAction', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { ReactionsCollection } = require('WAWebReactionsCollection');
  const { MsgCollection } = require('WAWebMsgCollection');
  /** The second argument was a plain boolean in early 2026. */
  exports.addOrUpdateReactionsModelCollection = async (row, options) => {
    const mayNotify = sandboxPage.isEarly ? options : options.allowNotify;
    const reactions = mayNotify ? await ReactionsCollection.find(row.parentMsgKey) : ReactionsCollection.get(row.parentMsgKey);
    if (reactions) ReactionsCollection.addOrUpdateReaction(row);
    const parent = MsgCollection.get(row.parentMsgKey);
    if (parent) parent.hasReaction = reactions ? reactions.reactions.length > 0 : row.reactionText !== '';
  };
});
