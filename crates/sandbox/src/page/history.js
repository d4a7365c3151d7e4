/*
 * What a device loads when it starts: what it missed, and, once linked, what was said before.
 *
 * Responsible for: the levels that outsiders read, in the shapes of the page's own modules. Not responsible for: the
 * messages themselves (incoming.js).
 */
sandboxPage.define('SandboxResume', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const state = { percent: null, isComplete: false, count: 0 };
  exports.state = state;
  exports.resume = {
    advance(percent) { state.percent = percent; },
    complete() { state.isComplete = true; },
    /** How much waited. */
    set count(count) { state.count = count; },
  };
});

sandboxPage.define('WAWebOfflineHandler', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { state } = require('SandboxResume');
  /** Before the server has said how much there is, the real readers throw. */
  const begun = () => { if (state.percent === null) throw new Error('offline resume manager is not initialised'); };
  exports.OfflineMessageHandler = {
    hasInitOfflineResumeManager: () => state.percent !== null,
    isResumeComplete() { begun(); return state.isComplete; },
    getOfflineDeliveryProgress() { begun(); return Math.ceil(state.percent); },
    getOfflineMessageCount() { begun(); return state.count; },
  };
});

sandboxPage.define('WAWebHistorySyncProgressModel', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { BaseModel, defineModel } = require('WAWebBaseModel');
  class HistorySyncProgressModel extends BaseModel {
    static defaults() { return { incomplete: false, realProgress: null, remainingPausedSeconds: null }; }
  }
  defineModel(HistorySyncProgressModel, 'historySyncProgress', ['incomplete', 'realProgress', 'remainingPausedSeconds']);
  let model = null;
  exports.HistorySyncProgressModel = HistorySyncProgressModel;
  exports.getHistorySyncProgressModel = () => {
    if (!model) model = new HistorySyncProgressModel();
    return model;
  };
});

sandboxPage.define('WAWebHistorySyncProgressGetters', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  exports.getPaused = (model) => model.remainingPausedSeconds !== null;
  exports.getProgress = (model) => model.realProgress;
  exports.getInProgress = (model) => model.incomplete && (model.realProgress === null || model.realProgress < 100)
    && (model.remainingPausedSeconds === null || model.remainingPausedSeconds > 0);
});

sandboxPage.define('WAWebUserPrefsHistorySync', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const KEY = 'sandbox-history-synced';
  exports.getHistorySyncStatus = () => (localStorage.getItem(KEY) ? { recentCompleted: true } : null);
  exports.getInitialHistorySyncComplete = () => Boolean(localStorage.getItem(KEY));
  exports.setRecentCompleted = () => localStorage.setItem(KEY, '1');
});

sandboxPage.define('SandboxHistory', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const STEPS = 5;
  const STEP_MS = 300;
  /** The page is in use meanwhile; the real one takes minutes for it. */
  exports.run = async (isFresh) => {
    if (!isFresh) return;
    const model = require('WAWebHistorySyncProgressModel').getHistorySyncProgressModel();
    model.incomplete = true;
    const pause = () => new Promise((resolve) => setTimeout(resolve, STEP_MS));
    for (let step = 1; step <= STEPS; step += 1) {
      await pause();
      model.realProgress = step * 100 / STEPS;
    }
    await require('SandboxIncoming').moreHistory(pause);
    model.incomplete = false;
    require('WAWebUserPrefsHistorySync').setRecentCompleted();
  };
});
