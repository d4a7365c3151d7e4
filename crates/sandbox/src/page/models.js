/*
 * The ground everything stands on: emitters, models, collections.
 *
 * Responsible for: events as WhatsApp Web fires them (`change:name` with model, value and the value before, when all
 * changes of one update are made; bubbling from a model to its collection), and looking models up by anything that spells
 * their id.
 * Not responsible for: any particular model.
 */
sandboxPage.define('WAWebEventEmitter', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  class EventEmitter {
    on(names, callback, context) {
      for (const name of String(names).split(/\s+/)) {
        const listeners = this.listenersOf(name);
        listeners.push({ callback, context: context || this });
      }
      return this;
    }
    once(name, callback, context) {
      const wrapped = (...args) => {
        this.off(name, wrapped);
        return callback.apply(context || this, args);
      };
      wrapped.original = callback;
      return this.on(name, wrapped);
    }
    off(name, callback) {
      if (name === undefined) { this.listeners = new Map(); return this; }
      const kept = callback
        ? this.listenersOf(name).filter((l) => l.callback !== callback && l.callback.original !== callback)
        : [];
      this.listeners.set(name, kept);
      return this;
    }
    trigger(name, ...args) {
      for (const listener of [...this.listenersOf(name)]) this.tell(listener, args);
      if (name !== 'all') for (const listener of [...this.listenersOf('all')]) this.tell(listener, [name, ...args]);
      return this;
    }
    tell(listener, args) {
      // One listener's fault is not its neighbours'.
      try { listener.callback.apply(listener.context, args); } catch (error) { queueMicrotask(() => { throw error; }); }
    }
    listenersOf(name) {
      if (!Object.prototype.hasOwnProperty.call(this, 'listeners')) {
        Object.defineProperty(this, 'listeners', { value: new Map(), writable: true });
      }
      if (!this.listeners.has(name)) this.listeners.set(name, []);
      return this.listeners.get(name);
    }
  }
  EventEmitter.prototype.addListener = EventEmitter.prototype.on;
  EventEmitter.prototype.removeListener = EventEmitter.prototype.off;
  EventEmitter.prototype.emit = EventEmitter.prototype.trigger;
  exports.default = EventEmitter;
});

sandboxPage.define('WAWebBaseModel', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const EventEmitter = importDefault('WAWebEventEmitter');

  class BaseModel extends EventEmitter {
    constructor(properties) {
      super();
      Object.defineProperty(this, 'attributes', { value: {} });
      Object.assign(this.attributes, this.constructor.defaults ? this.constructor.defaults() : {});
      for (const [name, value] of Object.entries(properties || {})) this.adopt(name, value);
    }
    adopt(name, value) {
      if (name in Object.getPrototypeOf(this)) this.attributes[name] = value;
      else this[name] = value;
    }
    get(name) { return this[name]; }
    unset(name) { if (this.observed && this.observed.has(name)) this.set(name, undefined); else delete this[name]; }
    /** All is changed before anybody hears of any of it (page module WAWebBaseModel). */
    set(changes, value) {
      const all = typeof changes === 'string' ? { [changes]: value } : changes;
      const changed = [];
      for (const [name, next] of Object.entries(all)) {
        const previous = this[name];
        if (previous === next) continue;
        if (this.observed && this.observed.has(name)) {
          this.attributes[name] = next;
          changed.push([name, previous]);
        } else if (!(name in Object.getPrototypeOf(this))) this[name] = next;
      }
      if (changed.length === 0) return this;
      for (const [name, previous] of changed) this.tellAll('change:' + name, this, this.attributes[name], previous);
      this.tellAll('change', this);
      return this;
    }
    tellAll(name, ...args) {
      this.trigger(name, ...args);
      if (this.collection) this.collection.trigger(name, ...args);
    }
    serialize() { return { ...this.attributes }; }
    toJSON() { return this.serialize(); }
  }

  /** Gives a class observable properties and the name that bundles look it up by. */
  function defineModel(model, proxyName, names) {
    model.prototype.proxyName = proxyName;
    model.prototype.observed = new Set(names);
    for (const name of names) {
      Object.defineProperty(model.prototype, name, {
        configurable: true,
        // Bundles look at prototypes too, which have no attributes.
        get() { return this.attributes ? this.attributes[name] : undefined; },
        set(value) { this.set(name, value); },
      });
    }
    return model;
  }
  exports.BaseModel = BaseModel;
  exports.defineModel = defineModel;
});

sandboxPage.define('WAWebBaseCollection', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const EventEmitter = importDefault('WAWebEventEmitter');

  /** An id is a text, a Wid, a MsgKey, or the model that has it. */
  const keyOf = (id) => (id === null || id === undefined ? undefined : String(id.attributes ? id.id : id));

  /** A merge leaves alone what it has no value for. */
  const given = (values) => Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));

  class BaseCollection extends EventEmitter {
    constructor() {
      super();
      this.models = [];
      this.index = new Map();
    }
    get length() { return this.models.length; }
    get(id) { return this.index.get(keyOf(id)); }
    assertGet(id) {
      const found = this.get(id);
      if (!found) throw new Error('assertGet: no such model');
      return found;
    }
    add(value, options) {
      if (Array.isArray(value)) return value.map((each) => this.add(each, options));
      const Model = this.constructor.model;
      const known = this.get(value.id);
      if (known) {
        if (options && options.merge) known.set(given(value instanceof Model ? value.attributes : value));
        return known;
      }
      const model = value instanceof Model ? value : new Model(value);
      model.collection = this;
      this.models.push(model);
      this.index.set(keyOf(model.id), model);
      this.trigger('add', model, this, options || {});
      return model;
    }
    remove(value) {
      const model = this.get(value);
      if (!model) return [];
      this.models = this.models.filter((other) => other !== model);
      this.index.delete(keyOf(model.id));
      this.trigger('remove', model, this);
      return [model];
    }
    /** A model has another id from now on. */
    replaceId(old, id) {
      const model = this.get(old);
      if (!model) return;
      this.index.delete(keyOf(old));
      this.index.set(keyOf(id), model);
    }
    reset() { this.models = []; this.index.clear(); this.trigger('reset', this); }
    sort() { return this; }
    at(position) { return this.models[position]; }
    head() { return this.models[0]; }
    last() { return this.models[this.models.length - 1]; }
    where(ids) { return ids.map((id) => this.get(id)).filter(Boolean); }
    findFirst(test) { return this.models.find(test); }
    includes(model) { return this.models.includes(model); }
    isModel(model) { return model instanceof this.constructor.model; }
    toArray() { return [...this.models]; }
    getModelsArray() { return [...this.models]; }
    serialize() { return this.models.map((model) => model.serialize()); }
    toJSON() { return this.serialize(); }
  }
  for (const name of ['indexOf', 'lastIndexOf', 'every', 'some', 'forEach', 'map', 'filter', 'reduce', 'slice', 'find']) {
    BaseCollection.prototype[name] = function (...args) { return this.models[name](...args); };
  }
  exports.BaseCollection = BaseCollection;
});
