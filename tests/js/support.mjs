// What the tests of the scripts share: files of the repository, and stand-ins for what a browser has.

import { readFileSync } from "node:fs";
import vm from "node:vm";

export const read = (path) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");

/** The value of a script that is one expression, as the service runs it in a page. */
export const valueOf = (path, globals = {}) => vm.runInNewContext(read(path), globals);

/** What the adapters know in common, on a page that has nothing yet. */
export const common = () => valueOf("src/whatsapp/page/whatsapp.js", { document: { querySelector: () => null, querySelectorAll: () => [] }, window: {} });

/** Runs classic scripts in one page, and gives its globals. */
export function pageWith(globals, ...paths) {
  const page = vm.createContext({ ...globals });
  page.window = page;
  for (const path of paths) vm.runInContext(read(path), page, { filename: path });
  return page;
}

function store(values = {}) {
  const kept = new Map(Object.entries(values));
  return { getItem: (name) => kept.get(name) ?? null, setItem: (name, value) => kept.set(name, value) };
}

let pages = 0;

/** A script of the service's page, loaded by itself in a browser with this language. */
export async function ofPage(name, language = "en") {
  globalThis.localStorage = store();
  globalThis.sessionStorage = store();
  globalThis.document = Object.assign(new EventTarget(), { visibilityState: "visible" });
  globalThis.addEventListener ??= () => {};
  globalThis.removeEventListener ??= () => {};
  Object.defineProperty(globalThis, "navigator", { value: { languages: [language] }, configurable: true });
  pages += 1;
  return import(`../../src/http/page/${name}?${pages}`);
}
