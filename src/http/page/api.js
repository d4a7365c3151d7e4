// Requests to the service. The key, where one is asked for, stays in this tab.

const KEY = "session-manager-key";

/** Where the service is: this page may be served under a path of a proxy. */
export const base = new URL("../", import.meta.url);

/** What the service answered instead of doing it. `code` is stable, `message` is English. */
export class Refusal extends Error {
  constructor(status, code, message, body = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.body = body;
  }
}

export const address = (path) => new URL(path, base);

export function useKey(key) {
  sessionStorage.setItem(KEY, key);
}

export function keyHeaders() {
  const key = sessionStorage.getItem(KEY);
  return key ? { "X-Api-Key": key } : {};
}

/** Whether a person has given one: without, the service has found nothing wrong with it. */
export const hasKey = () => Boolean(sessionStorage.getItem(KEY));

let askForKey = () => Promise.resolve(false);

/** Sets how a person is asked for a key; answers whether there is a new one. */
export function onKeyWanted(ask) {
  askForKey = ask;
}

/** Asks for a key, unless there is another one by now than a request had that was refused (`sent`: its headers). */
export function wantKey(why, sent) {
  const isOld = sent["X-Api-Key"] !== keyHeaders()["X-Api-Key"];
  return isOld ? Promise.resolve(true) : askForKey(why);
}

export async function refusalOf(response) {
  const body = await response.json().catch(() => ({}));
  return new Refusal(response.status, body.code ?? String(response.status), body.message ?? response.statusText, body);
}

/**
 * One request; asks for a key and repeats it when the service does. `id` names the session in a header; a file as `body` goes as it is;
 * `signal` breaks it off.
 */
export async function call(method, path, { id, body, headers, signal } = {}) {
  const options = {
    method,
    cache: "no-store",
    signal,
    headers: { ...keyHeaders(), ...headers, ...(id ? { "X-Cliente-Id": id } : {}) },
  };
  if (body) {
    const isFile = body instanceof Blob;
    options.headers["Content-Type"] = isFile ? body.type || "application/octet-stream" : "application/json";
    options.body = isFile ? body : JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(address(path), options);
  } catch {
    throw new Refusal(0, "AWAY", "the service does not answer");
  }
  if (response.ok) return response;
  const refusal = await refusalOf(response);
  if (refusal.status === 401 && (await wantKey(refusal, options.headers))) return call(method, path, { id, body, headers, signal });
  throw refusal;
}

export const json = async (...request) => (await call(...request)).json();
