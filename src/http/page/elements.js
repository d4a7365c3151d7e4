// Elements and small pictures. Text is only ever set as text.

export const byId = (id) => document.getElementById(id);

/** An element with attributes and children; `null` children are left out. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Sets a text, and nothing when it is the same: a live region then stays silent. */
export function say(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

export function show(target, isShown) {
  target.hidden = !isShown;
}

// Each state has a shape of its own, so that a person who does not see the colours can tell them apart.
const SHAPES = {
  READY: "M4.5 12.5l5 5L19.5 7",
  QR_REQUIRED: "M4 4h6v6H4zM14 4h6v6h-6zM4 14h6v6H4zM14 14h2v2M20 14v2M14 20h2M19 19h1v1",
  INIT: "M12 6v6l4 2.5M12 2.5a9.5 9.5 0 1 1 0 19 9.5 9.5 0 0 1 0-19z",
  AUTHENTICATED: "M4 11a8 8 0 0 1 14-4l2 2M20 4v5h-5M20 13a8 8 0 0 1-14 4l-2-2M4 20v-5h5",
  DISCONNECTED: "M12 3v8M6.8 6.5a8 8 0 1 0 10.4 0",
  ERROR: "M12 3.5L22 20.5H2zM12 10v5M12 17.6v.4",
};

export function icon(state) {
  const space = "http://www.w3.org/2000/svg";
  const picture = document.createElementNS(space, "svg");
  picture.setAttribute("viewBox", "0 0 24 24");
  picture.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", SHAPES[state] ?? SHAPES.DISCONNECTED);
  picture.append(path);
  return picture;
}

/** Puts these children into a list, in this order. One that is in its place is not moved: moving an element would take the focus from it. */
export function arrange(list, children) {
  for (const child of [...list.children]) if (!children.includes(child)) child.remove();
  children.forEach((child, place) => {
    if (list.children[place] !== child) list.insertBefore(child, list.children[place] ?? null);
  });
}

export const isBusy = (button) => button.getAttribute("aria-disabled") === "true";

/** Does something with a button pressed meanwhile, which says `busy` then. */
export async function whileBusy(button, busy, what) {
  const text = button.textContent;
  button.setAttribute("aria-disabled", "true");
  if (busy) say(button, busy);
  try {
    return await what();
  } finally {
    button.removeAttribute("aria-disabled");
    if (busy) say(button, text);
  }
}

/** Copies what is in a field. Answers whether it did: only a page that came by TLS, or from this machine, may copy. */
export async function copied(field) {
  field.select();
  try {
    await navigator.clipboard.writeText(field.value);
    return true;
  } catch {
    return false;
  }
}

/** Asks a person in a dialog. Answers whether the answer is yes. */
export function sure({ title, text, yes }) {
  const dialog = byId("ask");
  say(byId("ask-title"), title);
  say(byId("ask-text"), text);
  say(byId("ask-yes"), yes);
  byId("ask-yes").onclick = () => dialog.close("yes");
  byId("ask-no").onclick = () => dialog.close("");
  // Escape closes it without another answer than this.
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
