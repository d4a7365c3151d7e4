/*
 * The module loader: Meta's contract, as far as outsiders use it.
 *
 * Responsible for: `__d`, `require`, `requireLazy`, `importDefault`, `importNamespace`,
 * `ErrorGuard`, the registry in `require('__debug').modulesMap`, and the faults of the registry
 * (modules that are late, renamed, moved, of another shape, or lack an export; no registry at all).
 * Not responsible for: what any module does.
 *
 * Modules see each other through their own `require`, which no fault touches: a renamed module
 * breaks outsiders, never the page, exactly as on the real one.
 */
(function (global) {
  'use strict';

  const faults = JSON.parse(document.getElementById('sandbox-faults').textContent);
  const renamed = faults.rename_modules || {};
  const remnants = faults.remnants || {};
  const reshaped = faults.reshape || [];
  const missing = faults.missing || [];

  /** The page as it was before summer 2026, or as it is since. */
  const isEarly = faults.build === 'early-2026';
  const build = isEarly ? '2.3000.1031992593' : '2.3000.1048901417';

  /** All modules, by their true name. */
  const modules = new Map();
  /** What outsiders see, by the name they see it under. */
  const modulesMap = Object.create(null);

  const isGone = (id) => missing.includes(id);
  const exportsIn = (names, id) => names
    .filter((name) => name.startsWith(id + '.'))
    .map((name) => name.slice(id.length + 1));

  /** The same function with named arguments: what is called by position fails as a destructured parameter does. */
  const withNamedArguments = (original) => function (named, ...more) {
    const isNamed = more.length === 0 && named && Object.getPrototypeOf(named) === Object.prototype;
    if (!isNamed) throw new TypeError("Cannot read properties of undefined (reading 'id')");
    return original.apply(this, Object.values(named));
  };
  /** What a module leaves behind where it was: the same exports, and none of their work. */
  const remnantOf = (exports) => Object.fromEntries(Object.entries(exports).map(([name, value]) => [
    name, typeof value === 'function' ? () => { throw new Error(name + ' has moved'); } : value,
  ]));

  function define(id, dependencies, factory, special) {
    const module = { id, dependencies, factory, special, exports: {}, isReady: false, outside: null };
    if (!modules.has(id)) modules.set(id, module);
    const visible = renamed[id] || remnants[id] || id;
    if (isGone(id) || /^Sandbox/.test(id)) return;
    if (visible in modulesMap) return;
    modulesMap[visible] = { id: visible, factory, dependencies, get exports() { return seenOutside(module); } };
    if (remnants[id]) modulesMap[id] = { id, factory, dependencies, get exports() { return remnantOf(load(id)); } };
  }

  /** Runs a module once, by its true name. */
  function load(id) {
    const module = modules.get(id);
    if (!module) throw new Error('Requiring unknown module "' + id + '"');
    if (!module.isReady) {
      module.isReady = true;
      const box = { exports: module.exports };
      module.factory.call(module.exports, global, load, loadDefault, load, lazy(load), box, box.exports);
      module.exports = box.exports;
      if (!('__esModule' in module.exports)) Object.defineProperty(module.exports, '__esModule', { value: true });
    }
    return module.exports;
  }
  const loadDefault = (id) => { const exports = load(id); return exports.default === undefined ? exports : exports.default; };

  /** A module as outsiders see it: the same object, unless a fault took exports away or changed their shape. */
  function seenOutside(module) {
    const exports = load(module.id);
    const gone = exportsIn(missing, module.id);
    const changed = exportsIn(reshaped, module.id);
    if (gone.length + changed.length === 0) return exports;
    if (!module.outside) {
      module.outside = Object.defineProperty({}, '__esModule', { value: true });
      for (const name of Object.keys(exports)) if (!gone.includes(name)) module.outside[name] = exports[name];
      for (const name of changed) module.outside[name] = withNamedArguments(exports[name]);
    }
    return module.outside;
  }

  function requireOutside(id) {
    if (id === '__debug') return { modulesMap };
    const visible = modulesMap[id];
    if (!visible) throw new Error('Requiring unknown module "' + id + '"');
    return visible.exports;
  }
  const importDefault = (id) => { const exports = requireOutside(id); return exports.__esModule ? exports.default : exports; };
  const lazy = (resolve) => (ids, callback) => {
    queueMicrotask(() => callback(...ids.map((id) => resolve(id))));
  };

  const contract = {
    __d: define,
    require: requireOutside,
    importDefault,
    importNamespace: requireOutside,
    requireLazy: lazy(requireOutside),
    ErrorGuard: {
      skipGuardGlobal() {},
      applyWithGuard(callback, context, args) { return callback.apply(context, args || []); },
    },
    Debug: { VERSION: build },
  };
  if (!faults.no_registry) Object.assign(global, contract);

  /** Definitions wait here while the modules are late. */
  const held = [];
  const delay = faults.modules_delay_ms || 0;
  let arrived = delay === 0;
  const arrivals = [];

  for (let n = 0; n < (faults.filler_modules || 0); n += 1) {
    held.push(['WAWebFiller' + n, (global, require, importDefault, importNamespace, requireLazy, module, exports) => { exports['filler' + n] = n; }]);
  }

  /* What the page's own files use. They remove it when all are in (boot.js). */
  global.sandboxPage = {
    faults,
    isEarly,
    build,
    define(id, factory) {
      if (arrived) define(id, [], factory, 66);
      else held.push([id, factory]);
    },
    load,
    whenModulesArrive(callback) { if (arrived) callback(); else arrivals.push(callback); },
  };
  const arrive = () => {
    arrived = true;
    for (const [id, factory] of held) define(id, [], factory, 66);
    for (const callback of arrivals) callback();
  };
  if (arrived) arrive();
  else setTimeout(arrive, delay);
})(window);
