// Why something was not delivered, in the words of the page: the service writes it down as an English sentence for programmers.

import { t } from "./words.js";

// The sentences of the service (src/delivery) and the words for each. What is captured as `cause` is the word of the system or of the
// hub, which stays as it is; other captures are values of the words.
const KNOWN = [
  [/^it did not answer within (\d+) s$/, "slow"],
  [/^Central Hub did not answer within (\d+) s$/, "slow"],
  [/^its address is one of this machine or of a private network/, "private"],
  [/^its name cannot be looked up: (?<cause>.+)$/, "unknownName"],
  [/^it cannot be reached: (?<cause>.+)$/, "unreached"],
  [/^the request broke off: (?<cause>.+)$/, "brokeOff"],
  [/^https cannot be spoken: .+ cannot be read \((?<cause>.+)\); install /, "noCertificates"],
  [/^it speaks http and not https: /, "noTls"],
  [/^it does not speak http: /, "noHttp"],
  [/^it closed the connection without an answer: /, "closed"],
  [/^its address cannot be read$/, "address"],
  [/^it answered 410, /, "gone"],
  [/^it answered (\d+), a redirect/, "redirect"],
  [/^it answered (\d+)$/, "answered"],
  [/^a person has switched it off$/, "byPerson"],
  [/^Central Hub answered (\d+) to the login$/, "hubLogin"],
  [/^Central Hub answered the login without a token$/, "hubNoToken"],
  [/^Central Hub answered 401 to \S+ right after a login/, "hubToken"],
  [/^Central Hub does not take CENTRAL_HUB_USER/, "hubUser"],
  [/^Central Hub answered (\d+) to .+, a redirect/, "hubRedirect"],
  [/^Central Hub answered (\d+) to [\w-]+(?: \((?<cause>[A-Z_]+)\))?$/, "answered"],
  [/^it is in the hub's conversation, /, "hubDoubt"],
  [/^it was written by another version/, "otherVersion"],
  [/^WhatsApp has not said the phone number/, "noNumber"],
  [/^the account's own phone number is not known/, "noOwnNumber"],
  [/^session-manager broke off/, "program"],
  [/^the ledger cannot be written: (?<cause>.+)$/, "disk"],
];

// Two at once: the hub has not recorded a message, and another call about it is in doubt.
const BOTH = /^(.+); and the hub's answering machine may not have seen it /;

/** A failure in the words of the page, with its `cause` in those of the system; in the service's own, which are English, when it is new. */
export function failure(sentence) {
  const [, first] = BOTH.exec(sentence) ?? [];
  if (first) {
    const { text, ...rest } = failure(first);
    return rest.lang ? { text: sentence, ...rest } : { text: `${text} ${t("failure.hubDoubtToo")}`, ...rest };
  }
  const of = sentence.replace(/^Central Hub: /, "");
  for (const [pattern, name] of KNOWN) {
    const found = pattern.exec(of);
    if (!found) continue;
    const cause = found.groups?.cause;
    const values = found.slice(1).filter((value) => value !== cause);
    return { text: t(`failure.${name}`, ...values), ...(cause ? { cause } : {}) };
  }
  return { text: sentence, lang: "en" };
}
