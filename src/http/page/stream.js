// A stream of server-sent events, read with fetch() so that it can carry a key. It comes back by itself.

import { address, keyHeaders, refusalOf, wantKey } from "./api.js";

// The service says something at least every 15 s.
const SILENCE = 40_000;
// A tab in the background gives its connection back: a browser has six for each host.
const HIDDEN = 60_000;
const SHORTEST = 500;
const LONGEST = 15_000;

/**
 * Follows a path, or what a function makes of the last id that was heard. `hears(name, data)` gets each event; `stands(state, refusal?, since?)` one of "live", "away", "refused"; `since`:
 * when the service was heard last.
 * Gives a function that ends it.
 */
export function follow(path, hears, stands) {
  let isOver = false;
  let reading = null;
  let wake = () => {};
  let pause = SHORTEST;
  let hiding = 0;
  let heardAt = Date.now();
  let last = "";

  const rest = (time) =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, time);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });

  const seen = () => {
    clearTimeout(hiding);
    if (document.visibilityState === "hidden") hiding = setTimeout(() => reading?.abort(), HIDDEN);
    else wake();
  };

  async function read(response) {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    let silence = 0;
    try {
      for (;;) {
        clearTimeout(silence);
        silence = setTimeout(() => reading.abort(), SILENCE);
        const { done, value } = await reader.read();
        if (done) return;
        heardAt = Date.now();
        const blocks = (rest + value).split(/\r?\n\r?\n/);
        rest = blocks.pop();
        for (const block of blocks) deliver(block);
      }
    } finally {
      clearTimeout(silence);
    }
  }

  function deliver(block) {
    let name = "";
    const data = [];
    for (const line of block.split(/\r?\n/)) {
      if (line.startsWith("id:")) last = line.slice(3).trim();
      if (line.startsWith("event:")) name = line.slice(6).trim();
      if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
    }
    if (!name || isOver) return;
    pause = SHORTEST;
    stands("live");
    hears(name, data.length ? JSON.parse(data.join("\n")) : null);
  }

  async function once() {
    reading = new AbortController();
    const headers = last ? { "Last-Event-ID": last } : {};
    let where = path;
    try {
      if (typeof path === "function") where = await path(last);
    } catch (why) {
      return refuse(why);
    }
    if (isOver) return undefined;
    const options = { headers: { ...keyHeaders(), ...headers }, cache: "no-store", signal: reading.signal };
    const response = await fetch(address(where), options);
    if (response.ok) return read(response);
    const refusal = await refusalOf(response);
    if (refusal.status === 401 && (await wantKey(refusal, options.headers))) return undefined;
    return refuse(refusal);
  }

  function refuse(why) {
    // What was to be gone on with is not kept any more.
    if (why.code === "CURSOR_EXPIRED") last = "";
    else if (why.status >= 400 && why.status < 500 && why.status !== 429) {
      isOver = true;
      stands("refused", why);
      return undefined;
    }
    throw why;
  }

  async function run() {
    document.addEventListener("visibilitychange", seen);
    addEventListener("online", seen);
    while (!isOver) {
      const began = Date.now();
      try {
        await once();
        // A stream that has reached its full length is opened again at once; after one that ended early there is a pause.
        if (!isOver && Date.now() - began < SILENCE) await rest(SHORTEST);
      } catch {
        if (isOver) break;
        if (document.visibilityState === "visible") stands("away", undefined, heardAt);
        await rest(pause * (0.75 + Math.random() / 2));
        pause = Math.min(2 * pause, LONGEST);
      }
      while (!isOver && document.visibilityState === "hidden") await rest(HIDDEN);
    }
    document.removeEventListener("visibilitychange", seen);
    removeEventListener("online", seen);
    clearTimeout(hiding);
  }

  run();
  return () => {
    isOver = true;
    reading?.abort();
    wake();
  };
}
