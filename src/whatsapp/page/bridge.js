// The frame around the adapters: runs first in every document of the page, gives each adapter a way to speak to the
// service, and gives the service one function to call them by. Knows nothing of WhatsApp; the adapters beside it do.
//
// Called by the service as (bridge)(binding, entry, adapters, shared, passkey, hearing, content, media, after, reading, mediaIn):
//   binding   name of the CDP binding that takes one string
//   entry     name under which the service finds the function to call commands by
//   adapters  name -> function (say, shared) => commands
//   shared    what the adapters know in common (whatsapp.js)
//   passkey   function (say, shared) => {commands, shared}: takes the page's request for a passkey (passkey.js)
//   hearing   function (say, shared) => {commands, shared}: keeps what the page hears (hearing.js)
//   content   function (shared) => {fields, inventory}: what a message says beside its text (content.js)
//   media     function (shared) => {input, stage, fields, inventory}: files on their way to WhatsApp (media.js)
//   after     function (shared) => {prepare, handOver, lookUp, inChat, inventory}: what is done to messages that are there (after.js)
//   reading   function (shared) => {commands, inventory}: reads chats, messages and groups out of the page (reading.js)
//   mediaIn   function (shared) => {commands, inventory}: the bytes of what comes in (media_in.js)
//
// What goes out is JSON: {adapter, kind: "document" | "view" | "ack" | "broken" | "passkey_request" | "heard", …}. What a command answers is
// {ok: value} or {error: {code, detail}}: it never throws, so that an answer always says which of the two it is.
(function bridge(binding, entry, adapters, shared, passkey, hearing, content, media, after, reading, mediaIn) {
  "use strict";
  // Frames inside the page are not the service's; a second run in one document would double every fact.
  if (window.top !== window || entry in window) return;

  const speak = window[binding];
  const send = (fact) => speak(JSON.stringify(fact));
  send({ adapter: "bridge", kind: "document" });

  // Before the adapters, and before any script of the page: what it takes the place of may be kept by the first of those.
  let relay = null;
  try {
    relay = passkey?.((fact) => send({ adapter: "bridge", ...fact }), shared) ?? null;
    if (relay) shared.passkey = relay.shared;
  } catch (error) {
    send({ adapter: "passkey", kind: "broken", detail: String(error) });
  }

  let ears = null;
  try {
    ears = hearing?.((fact) => send({ adapter: "bridge", ...fact }), shared) ?? null;
    if (ears) shared.hearing = ears.shared;
  } catch (error) {
    send({ adapter: "hearing", kind: "broken", detail: String(error) });
  }

  try {
    shared.content = content?.(shared) ?? null;
  } catch (error) {
    send({ adapter: "content", kind: "broken", detail: String(error) });
  }

  try {
    shared.media = media?.(shared) ?? null;
  } catch (error) {
    send({ adapter: "media", kind: "broken", detail: String(error) });
  }

  try {
    shared.after = after?.(shared) ?? null;
  } catch (error) {
    send({ adapter: "after", kind: "broken", detail: String(error) });
  }

  try {
    shared.reading = reading?.(shared) ?? null;
  } catch (error) {
    send({ adapter: "reading", kind: "broken", detail: String(error) });
  }

  try {
    shared.mediaIn = mediaIn?.(shared) ?? null;
  } catch (error) {
    send({ adapter: "media_in", kind: "broken", detail: String(error) });
  }

  const commands = new Map();
  for (const [name, create] of Object.entries(adapters)) {
    try {
      commands.set(name, { ...relay?.commands, ...ears?.commands, ...shared.reading?.commands, ...create((fact) => send({ adapter: name, ...fact }), shared) });
    } catch (error) {
      send({ adapter: name, kind: "broken", detail: String(error) });
    }
  }

  const call = async (adapter, command, argument) => {
    const run = commands.get(adapter)?.[command];
    if (!run) return { error: { code: "NO_SUCH_COMMAND", detail: `${adapter} has no ${command}` } };
    try {
      return { ok: (await run(argument)) ?? null };
    } catch (error) {
      // The page's own errors name the chat that they are about: a number must not get into answers and logs.
      const detail = String(error?.message ?? error).replace(/\d{5,}/g, "…");
      // An adapter names what it knows; what JavaScript itself throws says that the page is not as the adapter takes it.
      const isMisfit = error instanceof TypeError || error instanceof ReferenceError;
      return { error: { code: error?.code ?? (isMisfit ? "MISFIT" : "PAGE_ERROR"), detail } };
    }
  };
  // Answers an element, which a command cannot.
  call.input = (key) => shared.media?.input(key) ?? null;
  Object.defineProperty(window, entry, { value: call });
})
