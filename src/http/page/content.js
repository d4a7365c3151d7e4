// What a message says, in words: also one that is no text.

import { number } from "./list.js";
import { t } from "./words.js";

export const person = ({ name, phone, lid }) => [name, phone ? number(phone) : lid].filter(Boolean).join(" ") || "?";

/** Between whom a message goes. */
export function who({ data, isOwn }) {
  const chat = data.is_group ? (data.group_name ?? data.chat) : person(data.to ?? { lid: data.chat });
  if (isOwn) return t("messageTo", chat);
  return data.is_group ? t("messageInGroup", person(data.from), chat) : person(data.from);
}

/** What a message says; of what is no text, what it is and what is known of it. */
export function content({ data, edited, isRevoked, waits }) {
  if (isRevoked) return t("messageRevoked");
  if (waits) return t("messageWaits");
  const text = edited ?? data.text ?? data.caption;
  if (data.kind === "text") return text ?? "";
  const kind = t(`messageKind.${data.kind}`);
  const more = details(data);
  if (!more) return [kind, text].filter(Boolean).join(": ");
  return [`${kind}: ${more}`, text].filter(Boolean).join("\n");
}

/** What is known of a message beside its kind and its text. */
function details({ media, location, contacts, poll }) {
  if (location) return [location.name, location.address?.replaceAll("\n", ", "), `${location.latitude}, ${location.longitude}`].filter(Boolean).join(", ");
  if (contacts?.length) return contacts.map(({ name, vcard }) => name ?? nameIn(vcard)).join(", ");
  if (poll) return [poll.question, ...poll.options.map((option) => `○ ${option}`)].join("\n");
  const { filename, duration_seconds: seconds, is_view_once: isOnce } = media ?? {};
  return [filename, seconds && lengthOf(seconds), isOnce && t("messageOnce")].filter(Boolean).join(", ");
}

/** The name on a contact card (RFC 6350, section 6.2.1). */
const nameIn = (vcard) => /^FN[^:\r\n]*:(.+?)\r?$/m.exec(vcard ?? "")?.[1] ?? "?";

const lengthOf = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.round(seconds % 60)).padStart(2, "0")}`;
