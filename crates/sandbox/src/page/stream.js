/*
 * What the page says about itself: the models that outsiders watch.
 *
 * Responsible for: Socket, Stream, Conn, Cmd, BackendEventBus, NetworkStatus, their states and
 * events. Not responsible for: moving them (socket.js, boot.js).
 */
sandboxPage.define('WAWebSocketConstants', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const same = (...names) => Object.freeze(Object.fromEntries(names.map((name) => [name, name])));
  exports.SOCKET_STATE = same('OPENING', 'PAIRING', 'UNPAIRED', 'UNPAIRED_IDLE', 'CONNECTED', 'TIMEOUT', 'CONFLICT',
    'UNLAUNCHED', 'PROXYBLOCK', 'TOS_BLOCK', 'SMB_TOS_BLOCK', 'DEPRECATED_VERSION');
  exports.SOCKET_STREAM = same('DISCONNECTED', 'SYNCING', 'RESUMING', 'CONNECTED');
  exports.WATCHED_SOCKET_STATE = same('OPEN', 'CLOSED');
});

sandboxPage.define('WAWebSocketModel', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { BaseModel, defineModel } = require('WAWebBaseModel');
  class SocketModel extends BaseModel {
    static defaults() { return { state: 'OPENING', stream: 'DISCONNECTED', hasSynced: false }; }
    /** Removes this device from the account; settles when the page has forgotten the link. */
    logout() { return require('SandboxWire').logout(); }
    takeover() { require('SandboxWire').takeover(); }
    reconnect() { require('SandboxWire').reconnect(); }
    poke() { require('WAWebLaunchSocketUtils').refreshQR(); }
  }
  defineModel(SocketModel, 'socket', ['state', 'stream', 'hasSynced']);
  exports.Socket = new SocketModel();
});

sandboxPage.define('WAWebStreamModel', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { BaseModel, defineModel } = require('WAWebBaseModel');
  class StreamModel extends BaseModel {
    static defaults() { return { mode: undefined, info: 'OPENING', needsUpdate: false, available: true }; }
    markAvailable() { this.available = true; }
    markUnavailable() { this.available = false; }
  }
  defineModel(StreamModel, 'stream', ['mode', 'info', 'needsUpdate', 'available', 'displayInfo']);
  exports.Stream = new StreamModel();
});

sandboxPage.define('WAWebConnModel', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { BaseModel, defineModel } = require('WAWebBaseModel');
  class ConnImpl extends BaseModel {
    static defaults() { return { ref: undefined, connected: false, platform: undefined, pushname: undefined }; }
  }
  defineModel(ConnImpl, 'conn', ['ref', 'connected', 'platform', 'pushname', 'wid']);
  exports.ConnImpl = ConnImpl;
  exports.Conn = new ConnImpl();
});

sandboxPage.define('WAWebCmd', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const EventEmitter = importDefault('WAWebEventEmitter');
  class CmdImpl extends EventEmitter {
    constructor() {
      super();
      this.isMainLoaded = false;
      // Both are also known by the bus of the back end, which is asked by what takes messages.
      Object.defineProperty(this, 'isMainStreamReadyMd', { get: () => require('WAWebBackendEventBus').BackendEventBus.isMainStreamReadyMd });
      Object.defineProperty(this, 'isOfflineDeliveryEnd', { get: () => require('WAWebBackendEventBus').BackendEventBus.isOfflineDeliveryEnd });
    }
    logout() { this.trigger('logout'); }
    /** Answers nothing; the screen carries it out, if it is there. */
    sendRevokeMsgs(chat, record, options) { this.trigger('send_revoke_msgs', chat, record, options); }
    sendDeleteMsgs(chat, record, clearMedia) { this.trigger('send_delete_msgs', chat, record, clearMedia); }
  }
  if (sandboxPage.isEarly && !sandboxPage.faults.lid_chats) {
    CmdImpl.prototype.refreshQR = function () { require('WAWebLaunchSocketUtils').refreshQR(); };
  }
  exports.Revoke = Object.freeze({ Sender: 'Sender', Admin: 'Admin' });
  exports.CmdImpl = CmdImpl;
  exports.Cmd = new CmdImpl();
});

sandboxPage.define('WAWebBackendEventBus', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const EventEmitter = importDefault('WAWebEventEmitter');
  exports.BackendEvent = Object.freeze({
    LOGOUT: 'logout',
    REFRESH_QR: 'refresh_qr',
    STORAGE_INITIALIZATION_ERROR: 'storage_initialization_error',
    ACCOUNT_TEMPORARILY_BANNED: 'account_temporarily_banned',
    UNEXPECTED_LOGOUT_MODAL: 'unexpected_logout_modal',
    MAIN_STREAM_MODE_READY: 'main_stream_mode_ready',
    SERVICE_UNAVAILABLE_503: 'service_unavailable_503',
    OFFLINE_DELIVERY_END: 'offline_delivery_end',
  });
  class BackendEventBusClass extends EventEmitter {
    constructor() {
      super();
      /** The main part of the page is there: from now on new messages go to the collection too. */
      this.isMainStreamReadyMd = false;
      /** All that waited while the page was away is in storage. */
      this.isOfflineDeliveryEnd = false;
    }
    triggerRefreshQR() { this.trigger('refresh_qr'); }
    onStorageInitializationError(handler) { return this.on('storage_initialization_error', handler); }
    triggerStorageInitializationError(error) { this.trigger('storage_initialization_error', error); }
  }
  exports.BackendEventBus = new BackendEventBusClass();
});

sandboxPage.define('WAWebNetworkStatus', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const { BaseModel, defineModel } = require('WAWebBaseModel');
  class NetworkStatusModel extends BaseModel {
    static defaults() { return { online: navigator.onLine }; }
    checkOnline() { this.online = navigator.onLine; return this.online; }
  }
  defineModel(NetworkStatusModel, 'networkStatus', ['online']);
  exports.default = new NetworkStatusModel();
  addEventListener('online', () => exports.default.checkOnline());
  addEventListener('offline', () => exports.default.checkOnline());
});

sandboxPage.define('WAWebLaunchSocketUtils', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  /** Asks for a fresh batch of codes; the next one is there within a second. */
  exports.refreshQR = () => require('SandboxWire').refreshCodes();
});

sandboxPage.define('WAWebABProps', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const PROPS = {
    web_whats_new_auto_modal: !sandboxPage.isEarly,
    web_whats_new_auto_modal_short_cooldown: false,
    web_media_encrypt_upload_in_worker_enabled: !sandboxPage.isEarly,
  };
  exports.getABPropConfigValue = (name) => PROPS[name];
});

/* Which part of the page holds the connection: since September 2026 a worker of its own, in some accounts. */
sandboxPage.define('WAWebCommsGating', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  exports.isCommsInWorker = () => !sandboxPage.isEarly && sandboxPage.faults.comms_in_worker !== false;
});

sandboxPage.define('WAWebBuildConstants', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  exports.SANITIZED_VERSION_STR = sandboxPage.build;
  exports.VERSION_STR = sandboxPage.build;
});
