// The adapter "dom": what a person sees. Reads the login code and the state from landmarks of the screen; relies on no
// class names and on no text. WHATSAPP.md, sections 1 and 2, has the source of each landmark.
//
// It does not send yet: typed sends come with the next issue.
(function dom(say) {
  "use strict";

  const LANDMARKS = {
    // The element around the picture carries the code's text.
    code: "[data-ref]",
    // The login screen, with or without a code on it.
    login: '[data-testid="link-device-qr-code"], canvas[aria-label*="Scan"], [data-testid^="link-device-qrcode-alt-linking"], [data-ref]',
    // Shown when the codes of a batch have run out.
    refresh: '[data-testid="link_device_qr_expired_refresh_button"]',
    // The list of chats, which arrives last.
    chats: "#pane-side",
    // The picture before anything else.
    splash: "#wa_web_initial_startup",
  };
  // A heavy page changes hundreds of times while it loads: it is looked at once it has paused that long.
  const PAUSE_MS = 50;

  const find = (landmark) => document.querySelector(LANDMARKS[landmark]);

  let last = "";
  const tell = () => {
    const refresh = find("refresh");
    const linked = Boolean(find("chats"));
    const login = !linked && Boolean(find("login") ?? refresh);
    const view = {
      state_known: linked || login || Boolean(find("splash")),
      linked,
      login,
      codes_ended: login && Boolean(refresh),
      code: login && !refresh ? find("code")?.getAttribute("data-ref") || null : null,
      missing: [],
    };
    const text = JSON.stringify(view);
    if (text !== last) say({ kind: "view", view });
    last = text;
  };

  let timer = 0;
  const later = () => {
    timer ||= setTimeout(() => {
      timer = 0;
      tell();
    }, PAUSE_MS);
  };
  new MutationObserver(later).observe(document, {
    subtree: true,
    childList: true,
    attributes: true,
    attributeFilter: ["data-ref", "data-testid", "id"],
  });
  later();

  return {
    // Where a person would click for fresh codes: {x, y} in the window. The service clicks with a real mouse event.
    refreshTarget: () => {
      const button = find("refresh");
      if (!button) throw Object.assign(new Error("the page shows no button for fresh codes"), { code: "NO_REFRESH" });
      button.scrollIntoView({ block: "center" });
      const { x, y, width, height } = button.getBoundingClientRect();
      return { x: x + width / 2, y: y + height / 2 };
    },
  };
})
