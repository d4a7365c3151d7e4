// Linking with a passkey: hands WhatsApp's request for a signature out to a person, and follows the steps around it.
//
// WhatsApp Web asks the browser for the signature, by `navigator.credentials.get`. The key is on the person's phone, so this
// Chrome cannot sign. This script takes the place of that function before any script of the page runs: WhatsApp's own request
// becomes a fact and waits for a signature that a person made elsewhere; every other request goes to the browser, as before.
// docs/whatsapp.md#linking-with-a-passkey has the source of each name, step and limit.
//
// Called by the frame (bridge.js) as (passkey)(say, shared), with what all adapters share. Answers {commands, shared}: commands
// that each adapter has, and what the adapters use of it. No challenge and no signature goes anywhere but to the service.
(function passkey(say, whatsapp) {
  "use strict";

  const { resolve, nameOf, inventory } = whatsapp;

  // WhatsApp's own functions for it -> their homes (whatsapp.js). The page loads most of them when a passkey is wanted.
  const NAMES = {
    passkey: {
      stage: ["WAWebShortcakeLinkingApi", "getShortcakeLinkingStage"],
      code: ["WAWebShortcakeLinkingApi", "getVerificationCode"],
      skipsCode: ["WAWebShortcakeLinkingApi", "shouldSkipHandoffUx"],
      start: ["WAWebShortcakeLinkingAction", "startShortcakePasskeyPairing"],
      confirm: ["WAWebShortcakeLinkingAction", "confirmShortcakeVerificationCode"],
      cancel: ["WAWebShortcakeLinkingAction", "cancelShortcakePasskeyPairing"],
      clearOptions: ["WAWebShortcakeLinkingRequestOptionsCache", "clearCachedRequestOptions"],
      reset: ["WAWebLinkDeviceAction", "resetLinkDeviceState"],
    },
  };
  const PURPOSES = { passkey: { use: "linking with a passkey", jobs: [] } };
  const own = (name) => resolve(NAMES.passkey[name]);
  const QR_CODE = "QR_CODE";

  // The site that the passkey is for, as the request names it.
  const SITE = /(^|\.)whatsapp\.com$/;
  // What a browser takes when a request names no limit (Web Authentication, with a person verified), and the most: the limit
  // that WhatsApp names.
  const USUAL_MS = 300000;
  const LONGEST_MS = 600000;
  // Not every step has an event of its own: the level is looked at this often while linking with a passkey is under way.
  const LOOK_MS = 500;

  const EVENTS = {
    wanted: "link_device_events:passkey_prologue_request",
    handedIn: "link_device_events:shortcake_prologue_sent",
    code: "link_device_events:shortcake_verification_code_ready",
    failed: "link_device_events:shortcake_error",
  };
  const SCREEN = '[data-testid="shortcake_passkey_screen"]';
  const LOGIN_CODE = "[data-ref]";
  const CANCEL_BUTTON = '[data-testid="shortcake_cancel_button"]';

  const failure = (code, detail) => Object.assign(new Error(detail), { code });
  const LONGEST_WORD = 120;
  const wordOf = (error) => String(error?.message || error?.name || error).replace(/\d{5,}/g, "…").slice(0, LONGEST_WORD);

  // --- The request of the page -------------------------------------------------------------------------------------

  const bytesOf = (value) => {
    if (value instanceof ArrayBuffer) return new Uint8Array(value);
    return ArrayBuffer.isView(value) ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength) : null;
  };
  const asText = (bytes) => btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
  const asBytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0)).buffer;
  // As `PublicKeyCredential.parseRequestOptionsFromJSON` reads it: bytes as base64url, the rest as it is.
  const asJson = (value) => {
    const bytes = bytesOf(value);
    if (bytes) return asText(bytes);
    if (Array.isArray(value)) return value.map(asJson);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, asJson(part)]));
  };

  // The request that waits, and why the last one ended without a signature.
  let pending = null;
  let ended = null;
  const lookers = [];
  const report = () => {
    // What the adapters see of the page goes before the request: it stands for the moment of the request.
    for (const look of lookers) look();
    say({ kind: "passkey_request", request: pending && { id: pending.id, options: pending.options, timeout_ms: pending.limit }, ended });
  };
  const end = (settle) => {
    if (!pending) return false;
    const { timer, forget, ...request } = pending;
    pending = null;
    clearTimeout(timer);
    forget();
    settle(request);
    return true;
  };
  // As a browser does when the time is over, or the person says no.
  const refuse = (why) => {
    ended = why;
    return end(({ reject }) => reject(new DOMException("The operation either timed out or was not allowed.", "NotAllowedError")));
  };

  const isMeant = (options) => {
    const { publicKey, mediation } = options ?? {};
    return Boolean(publicKey) && mediation !== "conditional" && SITE.test(publicKey.rpId ?? location.hostname);
  };

  const container = window.navigator?.credentials;
  const browsers = container?.get;
  const get = function get(options) {
    if (!isMeant(options)) {
      return browsers ? browsers.call(this, options) : Promise.reject(new DOMException("There are no credentials.", "NotSupportedError"));
    }
    const { publicKey, signal } = options;
    if (signal?.aborted) return Promise.reject(signal.reason);
    // A newer request takes the place of one that waits: the page has given that one up.
    end(({ reject }) => reject(new DOMException("The request was replaced.", "AbortError")));
    return new Promise((resolve, reject) => {
      const limit = Math.min(publicKey.timeout ?? USUAL_MS, LONGEST_MS);
      const aborted = () => {
        end(() => reject(signal.reason));
        report();
      };
      signal?.addEventListener("abort", aborted);
      ended = null;
      pending = {
        id: crypto.randomUUID(),
        options: asJson(publicKey),
        limit,
        resolve,
        reject,
        forget: () => signal?.removeEventListener("abort", aborted),
        timer: setTimeout(() => {
          refuse("TIMEOUT");
          report();
        }, limit),
      };
      report();
    });
  };
  if (container) {
    // Of the same kind as the function that it takes the place of.
    Object.defineProperty(window.CredentialsContainer?.prototype ?? container, "get", { value: get, writable: true, enumerable: true, configurable: true });
  } else if (window.navigator) {
    // A page that did not come by TLS has none.
    Object.defineProperty(window.navigator, "credentials", { value: { get }, configurable: true });
  }

  // The signature, in the form in which a browser gives it.
  const credentialOf = ({ id, rawId, response: { clientDataJSON, authenticatorData, signature, userHandle } }) => {
    const made = (kind, values) => {
      const one = Object.create(window[kind]?.prototype ?? Object.prototype);
      for (const [name, value] of Object.entries(values)) Object.defineProperty(one, name, { value, enumerable: true });
      return one;
    };
    const response = made("AuthenticatorAssertionResponse", {
      clientDataJSON: asBytes(clientDataJSON),
      authenticatorData: asBytes(authenticatorData),
      signature: asBytes(signature),
      userHandle: userHandle ? asBytes(userHandle) : null,
    });
    return made("PublicKeyCredential", {
      id,
      rawId: asBytes(rawId),
      type: "public-key",
      authenticatorAttachment: "cross-platform",
      response,
      getClientExtensionResults: () => ({}),
    });
  };

  // --- The steps around it, by WhatsApp's own modules ---------------------------------------------------------------

  let isWanted = false;
  // Its screen has been seen. Just after the event the page still shows the code.
  let hasScreen = false;
  // From the press of "Continue" until the server has taken the signature, or the attempt has failed.
  let isUnderWay = false;
  let confirmsItself = null;
  let word = null;
  let ticks = 0;
  const tellers = [];
  const followed = new Set();

  const tell = () => { for (const teller of tellers) teller(); };
  const watch = () => { ticks ||= setInterval(tell, LOOK_MS); };
  const over = () => {
    [isWanted, hasScreen, isUnderWay, confirmsItself, word] = [false, false, false, null, null];
    clearInterval(ticks);
    ticks = 0;
  };
  const failed = (why) => {
    [isUnderWay, confirmsItself, word] = [false, null, why];
    tell();
  };

  const action = (name) => {
    const found = own(name);
    if (typeof found !== "function") throw failure("NO_PASSKEY_ACTION", `${nameOf(NAMES.passkey[name])} is missing`);
    return found;
  };
  const isConfirmedByPage = () => confirmsItself ?? Boolean(own("skipsCode")?.());

  const stepOf = (stage, code) => {
    if (stage === "WaitingForPrimaryIdentity") return "phone";
    if (stage === "WaitingForPairingCompletion") return "linking";
    // The code is there a moment after its stage.
    if (stage === "WaitingForVerificationCodeConfirmation") return code ? (isConfirmedByPage() ? "linking" : "compare") : "phone";
    return stage === "Initialized" || isUnderWay ? "busy" : "wanted";
  };

  // WhatsApp's page may go back to its codes by itself, and says so by its screen only.
  const showsCodesAgain = () => {
    if (document.querySelector(SCREEN)) hasScreen = true;
    return hasScreen && !document.querySelector(SCREEN) && Boolean(document.querySelector(LOGIN_CODE));
  };

  const modules = {
    // Hears of the steps, and calls `teller` whenever one may have changed.
    follow(events, teller) {
      if (!tellers.includes(teller)) tellers.push(teller);
      if (!events?.on || followed.has(events)) return;
      followed.add(events);
      events.on(EVENTS.wanted, () => {
        isWanted = true;
        watch();
        tell();
      });
      events.on(EVENTS.handedIn, tell);
      events.on(EVENTS.code, (_code, isConfirmed) => {
        confirmsItself = Boolean(isConfirmed);
        tell();
      });
      events.on(EVENTS.failed, (reason) => failed(wordOf(reason ?? "unknown")));
    },
    // {step, code, word}; null while no passkey is wanted.
    view(isLinked) {
      if (isLinked || (isWanted && showsCodesAgain())) over();
      if (!isWanted) return null;
      const code = own("code")?.() ?? null;
      const step = stepOf(own("stage")?.(), code);
      return { step, code: step === "compare" ? code : null, word: step === "wanted" ? word : null };
    },
    // {act}: "begin" presses "Continue" in the page's stead; "confirm" says that the codes are the same; "give_up" goes back to
    // the codes to scan.
    async run({ act }) {
      if (act === "begin") {
        const start = action("start");
        // After a failed attempt the page may keep what was to be signed, which WhatsApp's server has seen once.
        if (word) own("clearOptions")?.();
        [isUnderWay, word] = [true, null];
        if (ended) {
          ended = null;
          report();
        }
        tell();
        Promise.resolve(start()).then(
          () => { isUnderWay = false; tell(); },
          (error) => failed(wordOf(error)),
        );
      } else if (act === "confirm") {
        await Promise.resolve(action("confirm")()).catch((error) => { throw failure("PASSKEY_REFUSED", wordOf(error)); });
        tell();
      } else {
        // The page's own button leaves its screen as well.
        const button = document.querySelector(CANCEL_BUTTON);
        if (button) button.click();
        else {
          action("cancel")();
          await own("reset")?.({ linkDeviceMethod: QR_CODE });
        }
        over();
        tell();
      }
    },
  };

  return {
    commands: {
      // {id, assertion}: the signature for the request that waits.
      answerPasskey({ id, assertion }) {
        if (pending?.id !== id) throw failure("NO_PASSKEY_REQUEST", "the page does not wait for this signature any more");
        end(({ resolve }) => resolve(credentialOf(assertion)));
        report();
      },
      // There will be none.
      endPasskey() {
        if (refuse("GIVEN_UP")) report();
      },
    },
    shared: {
      modules,
      // What the page has of WhatsApp's functions for it, as `inventory` of whatsapp.js gives it.
      inventory: () => inventory.names(NAMES, PURPOSES),
      // `look` is called just before a request is reported.
      onRequest: (look) => lookers.push(look),
    },
  };
})
