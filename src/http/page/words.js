// All texts, in English and in Spanish.

import { CODES_IN_ENGLISH } from "./codes-en.js";
import { CODES_IN_SPANISH } from "./codes-es.js";

const LANGUAGE = "session-manager-language";

const WORDS = {
  en: {
    skip: "Skip to the content",
    title: "WhatsApp sessions",
    tab: "Sessions",
    language: "Language",
    sandbox: "This is the sandbox: WhatsApp is simulated, no account is real.",
    openPhone: "Open the simulated phone",
    scanHere: "Scan it with the simulated phone",
    newTab: "(opens a new tab)",
    live: "Live",
    away: (since) => `The service has not answered since ${since}. Trying again…`,
    lastSeen: (state) => `Last seen: ${state}`,
    stopping: "The service is stopping. Waiting for it to come back…",
    refused: (why) => `Not shown: ${why}`,
    connectTitle: "Connect an account",
    clienteId: "Client id (cliente_id)",
    clienteIdHint: "A number such as 51, or a name: letters, digits, _ and\u00a0-",
    clienteIdWrong: "Give 1 to 64 letters, digits, - or _",
    connect: "Connect",
    connectAgain: "Try again",
    connecting: "Connecting…",
    sessions: "Sessions",
    loading: "Loading…",
    emptyTitle: "No session yet",
    emptyText: "Give the account a client id above and press Connect. A code to scan with the phone appears here.",
    all: "All sessions",
    session: (id) => `Session ${id}`,
    state: {
      READY: "Connected",
      QR_REQUIRED: "Waiting for a scan",
      INIT: "Starting",
      AUTHENTICATED: "Syncing",
      DISCONNECTED: "Not running",
      ERROR: "Needs attention",
    },
    explain: {
      READY: "Linked and ready to send.",
      asleep: "Linked, and ready: its Chrome is closed until there is something to send.",
      QR_REQUIRED: "Not linked yet: scan the code with the phone.",
      INIT: "Chrome is starting and WhatsApp Web is loading.",
      AUTHENTICATED: "The phone is linked. The chats are being synced.",
      DISCONNECTED: "Press Connect to start it.",
      ERROR: "It does not come back by itself.",
    },
    phase: {
      QUEUED: "Waiting for its turn to start",
      LAUNCH: "Starting Chrome",
      NAVIGATE: "Opening WhatsApp Web",
      INJECT: "WhatsApp Web is loading",
      LINK: "Waiting for a code or an account",
      SYNC: "Syncing the chats",
    },
    syncing: (percent) => `Syncing the chats: ${percent} %`,
    account: (number) => `Account ${number}`,
    retries: (when) => `It is started again by itself at ${when}.`,
    how: "How to link the phone",
    how1: "Open WhatsApp on the phone",
    how2: "Linked devices → Link a device",
    how3: "Point the camera at this code",
    codeLeft: "Time left for this code",
    codeChanges: (left) => `The code changes in ${left} s`,
    codeComes: "A new code comes in a moment…",
    qrAlt: "QR code to scan with WhatsApp on the phone",
    byNumber: "Link with the phone number instead",
    phone: "Phone number, with country code",
    getCode: "Get a code",
    gettingCode: "Asking…",
    typeThis: "Type this code on that phone: Linked devices → Link a device → Link with phone number instead.",
    pairingFor: (phone) => `For the phone whose number ends in ${phone}`,
    pairingLeft: (left) => `Good for ${left} min`,
    waitsForPasskey: "Waiting for the passkey",
    passkeyTitle: "WhatsApp asks for this account's passkey",
    passkeyStep: {
      preparing: "The page is preparing the next challenge…",
      sign: "The owner of the account signs a challenge in their own browser, on WhatsApp's page.",
      sending: "WhatsApp is looking at the signature…",
      phone: "WhatsApp asks the phone. Open WhatsApp there, and confirm if it asks.",
      compare: "Compare this code with the one on the phone.",
      linking: "Accepted. WhatsApp links the device…",
    },
    passkeyFailed: (why) => `The attempt before failed (${why}).`,
    passkeyLeft: (left) => `${left} min left`,
    passkeyNoCode: "If you are quick, no code has to be compared afterwards.",
    passkeyCodeComes: "Afterwards a code has to be compared with the one on the phone.",
    passkeyWithExtension: "Sign with the browser extension",
    passkey1: "On your own computer open https://web.whatsapp.com in another tab. Scan nothing there.",
    passkey2: "Open the console of that tab: F12, or ⌥⌘J on a Mac.",
    passkey3: "Copy this script, paste it into the console and press Enter. Some browsers want “allow pasting” typed first.",
    passkey4: "Press the button that appears on that page, and sign with the phone that has the passkey.",
    passkey5: "Copy the answer and paste it here.",
    passkeyScriptLabel: "Script for the console",
    passkeyScript: {
      elsewhere: "This script belongs in the console of https://web.whatsapp.com.",
      press: "Press the button and sign with the account's passkey.",
      sign: "Sign with the passkey",
      copy: "Copy the answer",
      copied: "Copied. Paste it on the page of session-manager.",
      copyByHand: "Copy this text, and paste it on the page of session-manager.",
      failed: "It was not signed:",
    },
    passkeyAnswer: "Answer of the browser",
    passkeyHandIn: "Hand it in",
    passkeyNotJson: "This is not the answer of the browser. Copy it whole, from { to }.",
    passkeyNoAnswer: "The browser extension does not answer.",
    passkeyConfirm: "The phone shows the same code",
    passkeyDiffers: "If the phone shows another code, do not confirm: give up below, and scan a new code.",
    passkeyForAdmin: "Only a key whose scope is admin can do this: open this page with such a key.",
    passkeyGiveUp: "Give up and show codes to scan",
    linkPasskey: "The phone is asked for its passkey. Tell the person who sent you this link.",
    testTitle: "Send a test message",
    to: "To (phone number, with country code)",
    message: "Message",
    sendIt: "Send",
    sending: "Sending…",
    tick: {
      queued: "Taken by the service",
      handed: "Handed to WhatsApp",
      sent: "With WhatsApp's server",
      delivered: "Delivered to the phone",
      read: "Read",
      failed: "Not sent",
      unknown: "Not known whether it was sent: look at the phone",
      cancelled: "Taken back",
    },
    disconnect: "Disconnect",
    disconnecting: "Disconnecting…",
    logout: "Log out…",
    logoutYes: "Log out",
    sureTitle: "Log this session out?",
    sureText:
      "The device is unlinked on WhatsApp and its profile is deleted. To use the account again, its phone has to scan a new code.",
    cancel: "Cancel",
    noticeSays: "WhatsApp Web says:",
    dismiss: "Close this notice",
    replaceTitle: "Another session has this number",
    replaceText: (other) =>
      `${other} is linked to it. When a code is requested, WhatsApp removes the device of that session, about a minute later. To keep both, scan the QR code instead.`,
    replaceTextUnnamed:
      "Another session of this service is linked to it. When a code is requested, WhatsApp removes the device of that session, about a minute later. To keep both, scan the QR code instead.",
    replaceYes: "Get the code all the same",
    makeLink: "Link for another person",
    linkText: "The person who has the phone can open this. It works once, for 10 minutes, and shows nothing but the code.",
    linkLabel: "One-time link",
    copy: "Copy",
    copied: "Copied",
    notCopied: "Select it and copy it by hand",
    evidence: "What the page showed",
    noEvidence: "There is none: nothing has been kept of this session.",
    evidenceAt: (when) => `Taken ${when}.`,
    noPicture: (why) => `No picture: ${why}`,
    pictureLeftOut: {
      NO_PAGE: "there was no page.",
      NO_ANSWER: "the page gave none in time.",
      CHATS: "the page may show chats. EVIDENCE_OF_CHATS=true keeps it all the same.",
      CODE: "a code to link with is on it.",
      NUMBER: "a phone number is on it.",
    },
    pictureAlt: "What the page of this session looked like",
    console: "The page's console",
    fact: {
      state: "State",
      since: "Since",
      adapter: "Adapter",
      missing: "Missing in the page",
      missingBeside: "Not there for other adapters",
      memory: "Memory",
      queue: "Queue",
      lastSend: "Last message",
      restarts: "Restarts",
      reloads: "Reloads",
      pid: "Chrome process",
      failedPhase: "Failed while",
      detail: "The service says",
    },
    megabytes: (mb) => `${mb} MB`,
    adapter: (name) => `adapter ${name}`,
    notMeasured: "Being measured",
    queue: (count) => (count === 1 ? "1 message waits" : `${count} messages wait`),
    noQueue: "Nothing waits",
    queueSince: (count, when) => (count === 1 ? `1 message waits, since ${when}` : `${count} messages wait, the first since ${when}`),
    lastSend: (what) => `Last message: ${what}`,
    noSend: "None yet",
    restarts: (count) => (count === 1 ? "1 restart" : `${count} restarts`),
    keyTitle: "This service asks for a key",
    key: "Key",
    keyHint: "It is kept in this tab until it is closed. session-manager key add makes one.",
    keyUse: "Use this key",
    linkTitle: "Link a phone",
    linked: "The phone is linked. You can close this page.",
    over: "This link is over: its 10 minutes have passed. Ask the person who sent it for a new one.",
    linkGone: "This link is over. Ask the person who sent it for a new one.",
    linkStopped: "No code is shown any more.",
    linkFailed: "There is no code now. Tell the person who sent you this link.",
    again: "Show a code again",
    linkEnds: (when) => `This link is good until ${when}.`,
  },
  es: {
    skip: "Ir al contenido",
    title: "Sesiones de WhatsApp",
    tab: "Sesiones",
    language: "Idioma",
    sandbox: "Este es el entorno de pruebas: WhatsApp es simulado, ninguna cuenta es real.",
    openPhone: "Abrir el teléfono simulado",
    scanHere: "Escanéalo con el teléfono simulado",
    newTab: "(abre otra pestaña)",
    live: "En vivo",
    away: (since) => `El servicio no responde desde las ${since}. Se reintenta…`,
    lastSeen: (state) => `Visto por última vez: ${state}`,
    stopping: "El servicio se está deteniendo. Esperando a que vuelva…",
    refused: (why) => `No se muestra: ${why}`,
    connectTitle: "Conectar una cuenta",
    clienteId: "Id del cliente (cliente_id)",
    clienteIdHint: "Un número como 51, o un nombre: letras, dígitos, _ y\u00a0-",
    clienteIdWrong: "Escribe de 1 a 64 letras, dígitos, - o _",
    connect: "Conectar",
    connectAgain: "Reintentar",
    connecting: "Conectando…",
    sessions: "Sesiones",
    loading: "Cargando…",
    emptyTitle: "Todavía no hay sesiones",
    emptyText: "Escribe arriba un id de cliente y pulsa Conectar. Aquí aparecerá un código para escanear con el teléfono.",
    all: "Todas las sesiones",
    session: (id) => `Sesión ${id}`,
    state: {
      READY: "Conectada",
      QR_REQUIRED: "Esperando el escaneo",
      INIT: "Iniciando",
      AUTHENTICATED: "Sincronizando",
      DISCONNECTED: "Detenida",
      ERROR: "Requiere atención",
    },
    explain: {
      READY: "Vinculada y lista para enviar.",
      asleep: "Vinculada y lista: su Chrome está cerrado hasta que haya algo que enviar.",
      QR_REQUIRED: "Todavía sin vincular: escanea el código con el teléfono.",
      INIT: "Chrome se está iniciando y WhatsApp Web se está cargando.",
      AUTHENTICATED: "El teléfono está vinculado. Se sincronizan los chats.",
      DISCONNECTED: "Pulsa Conectar para iniciarla.",
      ERROR: "No se recupera sola.",
    },
    phase: {
      QUEUED: "Esperando su turno",
      LAUNCH: "Iniciando Chrome",
      NAVIGATE: "Abriendo WhatsApp Web",
      INJECT: "WhatsApp Web se está cargando",
      LINK: "Esperando un código o una cuenta",
      SYNC: "Sincronizando los chats",
    },
    syncing: (percent) => `Sincronizando los chats: ${percent} %`,
    account: (number) => `Cuenta ${number}`,
    retries: (when) => `Se reinicia sola a las ${when}.`,
    how: "Cómo vincular el teléfono",
    how1: "Abre WhatsApp en el teléfono",
    how2: "Dispositivos vinculados → Vincular un dispositivo",
    how3: "Apunta la cámara a este código",
    codeLeft: "Tiempo que le queda a este código",
    codeChanges: (left) => `El código cambia en ${left} s`,
    codeComes: "Enseguida llega un código nuevo…",
    qrAlt: "Código QR para escanear con WhatsApp en el teléfono",
    byNumber: "Vincular con el número de teléfono",
    phone: "Número de teléfono, con código de país",
    getCode: "Pedir un código",
    gettingCode: "Pidiendo…",
    typeThis:
      "Escribe este código en ese teléfono: Dispositivos vinculados → Vincular un dispositivo → Vincular con número de teléfono.",
    pairingFor: (phone) => `Para el teléfono cuyo número termina en ${phone}`,
    pairingLeft: (left) => `Vale ${left} min más`,
    waitsForPasskey: "Esperando la llave de acceso",
    passkeyTitle: "WhatsApp pide la llave de acceso de esta cuenta",
    passkeyStep: {
      preparing: "La página prepara el próximo desafío…",
      sign: "El dueño de la cuenta firma un desafío en su propio navegador, en la página de WhatsApp.",
      sending: "WhatsApp está revisando la firma…",
      phone: "WhatsApp pregunta al teléfono. Abre WhatsApp allí y confirma si lo pide.",
      compare: "Compara este código con el del teléfono.",
      linking: "Aceptada. WhatsApp vincula el dispositivo…",
    },
    passkeyFailed: (why) => `El intento anterior falló (${why}).`,
    passkeyLeft: (left) => `Quedan ${left} min`,
    passkeyNoCode: "Si lo haces pronto, después no hay que comparar ningún código.",
    passkeyCodeComes: "Después hay que comparar un código con el del teléfono.",
    passkeyWithExtension: "Firmar con la extensión del navegador",
    passkey1: "En tu propia computadora abre https://web.whatsapp.com en otra pestaña. No escanees nada allí.",
    passkey2: "Abre la consola de esa pestaña: F12, o ⌥⌘J en una Mac.",
    passkey3: "Copia este script, pégalo en la consola y pulsa Intro. Algunos navegadores piden escribir antes “allow pasting”.",
    passkey4: "Pulsa el botón que aparece en esa página y firma con el teléfono que tiene la llave de acceso.",
    passkey5: "Copia la respuesta y pégala aquí.",
    passkeyScriptLabel: "Script para la consola",
    passkeyScript: {
      elsewhere: "Este script va en la consola de https://web.whatsapp.com.",
      press: "Pulsa el botón y firma con la llave de acceso de la cuenta.",
      sign: "Firmar con la llave de acceso",
      copy: "Copiar la respuesta",
      copied: "Copiada. Pégala en la página de session-manager.",
      copyByHand: "Copia este texto y pégalo en la página de session-manager.",
      failed: "No se firmó:",
    },
    passkeyAnswer: "Respuesta del navegador",
    passkeyHandIn: "Entregarla",
    passkeyNotJson: "Esto no es la respuesta del navegador. Cópiala entera, desde { hasta }.",
    passkeyNoAnswer: "La extensión del navegador no responde.",
    passkeyConfirm: "El teléfono muestra el mismo código",
    passkeyDiffers: "Si el teléfono muestra otro código, no confirmes: renuncia aquí abajo y escanea un código nuevo.",
    passkeyForAdmin: "Solo puede hacerlo una clave con el alcance admin: abre esta página con una clave así.",
    passkeyGiveUp: "Renunciar y mostrar códigos para escanear",
    linkPasskey: "El teléfono pide su llave de acceso. Avisa a quien te envió este enlace.",
    testTitle: "Enviar un mensaje de prueba",
    to: "Para (número de teléfono, con código de país)",
    message: "Mensaje",
    sendIt: "Enviar",
    sending: "Enviando…",
    tick: {
      queued: "Recibido por el servicio",
      handed: "Entregado a WhatsApp",
      sent: "En el servidor de WhatsApp",
      delivered: "Llegó al teléfono",
      read: "Leído",
      failed: "No se envió",
      unknown: "No se sabe si se envió: mira el teléfono",
      cancelled: "Retirado",
    },
    disconnect: "Desconectar",
    disconnecting: "Desconectando…",
    logout: "Cerrar sesión…",
    logoutYes: "Cerrar sesión",
    sureTitle: "¿Cerrar esta sesión?",
    sureText:
      "El dispositivo se desvincula en WhatsApp y su perfil se borra. Para volver a usar la cuenta, su teléfono tendrá que escanear un código nuevo.",
    cancel: "Cancelar",
    noticeSays: "WhatsApp Web dice:",
    dismiss: "Cerrar este aviso",
    replaceTitle: "Otra sesión tiene este número",
    replaceText: (other) =>
      `${other} está vinculada a él. Cuando se pide un código, WhatsApp quita el dispositivo de esa sesión, más o menos un minuto después. Para conservar las dos, escanea el código QR.`,
    replaceTextUnnamed:
      "Otra sesión de este servicio está vinculada a él. Cuando se pide un código, WhatsApp quita el dispositivo de esa sesión, más o menos un minuto después. Para conservar las dos, escanea el código QR.",
    replaceYes: "Pedir el código igualmente",
    makeLink: "Enlace para otra persona",
    linkText: "Quien tenga el teléfono puede abrirlo. Sirve una vez, durante 10 minutos, y solo muestra el código.",
    linkLabel: "Enlace de un solo uso",
    copy: "Copiar",
    copied: "Copiado",
    notCopied: "Selecciónalo y cópialo a mano",
    evidence: "Qué mostraba la página",
    noEvidence: "No hay: no se guardó nada de esta sesión.",
    evidenceAt: (when) => `Tomado ${when}.`,
    noPicture: (why) => `Sin imagen: ${why}`,
    pictureLeftOut: {
      NO_PAGE: "no había página.",
      NO_ANSWER: "la página no la dio a tiempo.",
      CHATS: "la página puede mostrar chats. EVIDENCE_OF_CHATS=true la guarda igualmente.",
      CODE: "muestra un código de vinculación.",
      NUMBER: "muestra un número de teléfono.",
    },
    pictureAlt: "Cómo se veía la página de esta sesión",
    console: "La consola de la página",
    fact: {
      state: "Estado",
      since: "Desde",
      adapter: "Adaptador",
      missing: "Falta en la página",
      missingBeside: "No está para otros adaptadores",
      memory: "Memoria",
      queue: "Cola",
      lastSend: "Último mensaje",
      restarts: "Reinicios",
      reloads: "Recargas",
      pid: "Proceso de Chrome",
      failedPhase: "Falló en",
      detail: "El servicio dice",
    },
    megabytes: (mb) => `${mb} MB`,
    adapter: (name) => `adaptador ${name}`,
    notMeasured: "Midiéndose",
    queue: (count) => (count === 1 ? "1 mensaje espera" : `${count} mensajes esperan`),
    noQueue: "Nada espera",
    queueSince: (count, when) => (count === 1 ? `1 mensaje espera desde las ${when}` : `${count} mensajes esperan, el primero desde las ${when}`),
    lastSend: (what) => `Último mensaje: ${what}`,
    noSend: "Ninguno todavía",
    restarts: (count) => (count === 1 ? "1 reinicio" : `${count} reinicios`),
    keyTitle: "Este servicio pide una clave",
    key: "Clave",
    keyHint: "Se guarda en esta pestaña hasta que se cierra. session-manager key add crea una.",
    keyUse: "Usar esta clave",
    linkTitle: "Vincular un teléfono",
    linked: "El teléfono está vinculado. Ya puedes cerrar esta página.",
    over: "Este enlace ya no sirve: pasaron sus 10 minutos. Pide uno nuevo a quien te lo envió.",
    linkGone: "Este enlace ya no sirve. Pide uno nuevo a quien te lo envió.",
    linkStopped: "Ya no se muestra ningún código.",
    linkFailed: "Ahora no hay código. Avisa a quien te envió este enlace.",
    again: "Mostrar un código otra vez",
    linkEnds: (when) => `Este enlace vale hasta las ${when}.`,
  },
};

function first() {
  const chosen = localStorage.getItem(LANGUAGE);
  const wanted = chosen ? [chosen] : navigator.languages;
  return wanted.map((language) => language.slice(0, 2)).find((language) => language in WORDS) ?? "en";
}

let language = first();

/** A text by its name, such as `explain.READY`; what is a function gets `values`. */
export function t(name, ...values) {
  const found = name.split(".").reduce((words, part) => words?.[part], WORDS[language]);
  if (found === undefined) return name.split(".").pop();
  return typeof found === "function" ? found(...values) : found;
}

const CODES = { en: CODES_IN_ENGLISH, es: CODES_IN_SPANISH };

/** What a code of the service means, in our words; in its own, which are English and for programmers, when we have none. */
export function because(code, detail) {
  const known = CODES[language][code];
  return known ? { text: known } : { text: detail ?? code ?? "", lang: "en" };
}

/** Why there is no picture: the service's code for it in our words, its own sentence when the code is new. */
export function noPicture(code, why) {
  return t("noPicture", WORDS[language].pictureLeftOut[code] ?? why);
}

/** Puts a reason into an element, with its language for screen readers. */
export function sayBecause(target, code, detail) {
  const { text, lang } = because(code, detail);
  if (target.textContent !== text) target.textContent = text;
  if (lang && lang !== language) target.lang = lang;
  else target.removeAttribute("lang");
}

const format = (options) => (moment) => new Intl.DateTimeFormat(language, options).format(new Date(moment));

export const timeOf = format({ timeStyle: "short" });
const isToday = (moment) => new Date(moment).toDateString() === new Date().toDateString();
export const dayOrTimeOf = (moment) => (isToday(moment) ? timeOf(moment) : momentOf(moment));
export const momentOf = format({ dateStyle: "medium", timeStyle: "short" });

/** Fills in all that stands in the document, and calls `changed` now and whenever the language is switched. */
export function translate(changed) {
  const fill = () => {
    document.documentElement.lang = language;
    for (const marked of document.querySelectorAll("[data-t]")) marked.textContent = t(marked.dataset.t);
    for (const marked of document.querySelectorAll("[data-t-label]")) marked.setAttribute("aria-label", t(marked.dataset.tLabel));
    for (const button of document.querySelectorAll("[data-language]")) {
      button.setAttribute("aria-pressed", String(button.dataset.language === language));
    }
    changed();
  };
  for (const button of document.querySelectorAll("[data-language]")) {
    button.addEventListener("click", () => {
      language = button.dataset.language;
      localStorage.setItem(LANGUAGE, language);
      fill();
    });
  }
  fill();
}
