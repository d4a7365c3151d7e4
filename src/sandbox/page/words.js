/*
 * The words on the page, and the few lines that build it.
 *
 * Responsible for: English, Spanish and Portuguese texts, making elements without markup (the
 * content security policy forbids it). Not responsible for: what is shown when.
 */
sandboxPage.define('SandboxWords', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const LANGUAGES = {
    en: {
      steps: ['Open WhatsApp on your phone', 'Tap Menu or Settings and select Linked devices', 'Tap Link a device and point your phone at this screen'],
      landing: 'Steps to log in', scan: 'Scan this QR code to link a device!', reload: 'Click to reload QR code', byNumber: 'Log in with phone number',
      noPhone: 'No phone at hand? The sandbox has one: ', loading: 'Loading your chats', search: 'Search or start a new chat', chats: 'Chats',
      type: 'Type a message', send: 'Send', welcome: 'WhatsApp Web, simulated', pick: 'Pick a chat, or type a number above to start one.',
      starting: 'Starting chat', invalid: 'Phone number shared via url is invalid.', ok: 'OK', offline: 'Computer not connected', connecting: 'Connecting…',
      conflict: 'WhatsApp is open in another window. Click "Use here" to use WhatsApp in this window.', useHere: 'Use here', close: 'Close',
      banned: 'Your account is temporarily banned from WhatsApp.', passkey: 'Continue with your passkey to link this device.',
      pending: ' Pending ', sent: ' Sent ', delivered: ' Delivered ', read: ' Read ', failed: ' Not sent ', back: 'Back to chats',
    },
    es: {
      steps: ['Abre WhatsApp en tu teléfono', 'Toca Menú o Ajustes y luego Dispositivos vinculados', 'Toca Vincular un dispositivo y apunta tu teléfono hacia esta pantalla'],
      landing: 'Pasos para iniciar sesión', scan: '¡Escanea este código QR para vincular un dispositivo!', reload: 'Haz clic para volver a cargar el código QR', byNumber: 'Iniciar sesión con número de teléfono',
      noPhone: '¿No tienes un teléfono a mano? El sandbox tiene uno: ', loading: 'Cargando tus chats', search: 'Busca un chat o inicia uno nuevo', chats: 'Chats',
      type: 'Escribe un mensaje', send: 'Enviar', welcome: 'WhatsApp Web, simulado', pick: 'Elige un chat, o escribe arriba un número para iniciar uno.',
      starting: 'Iniciando chat', invalid: 'El número de teléfono compartido a través de la dirección URL no es válido.', ok: 'OK', offline: 'Computadora sin conexión', connecting: 'Conectando…',
      conflict: 'WhatsApp está abierto en otra ventana. Haz clic en "Usar aquí" para usar WhatsApp en esta ventana.', useHere: 'Usar aquí', close: 'Cerrar',
      banned: 'Tu cuenta está suspendida temporalmente de WhatsApp.', passkey: 'Continúa con tu llave de acceso para vincular este dispositivo.',
      pending: ' Pendiente ', sent: ' Enviado ', delivered: ' Entregado ', read: ' Leído ', failed: ' No enviado ', back: 'Volver a los chats',
    },
    pt: {
      steps: ['Abra o WhatsApp no seu celular', 'Toque em Mais opções ou Configurações e em Dispositivos conectados', 'Toque em Conectar dispositivo e aponte seu celular para esta tela'],
      landing: 'Etapas para acessar', scan: 'Escaneie este código QR para conectar um dispositivo!', reload: 'Clique para recarregar o código QR', byNumber: 'Entrar com número de telefone',
      noPhone: 'Sem celular à mão? O sandbox tem um: ', loading: 'Carregando suas conversas', search: 'Pesquisar ou começar uma nova conversa', chats: 'Conversas',
      type: 'Digite uma mensagem', send: 'Enviar', welcome: 'WhatsApp Web, simulado', pick: 'Escolha uma conversa, ou digite um número acima.',
      starting: 'Iniciando conversa', invalid: 'O número de telefone compartilhado por url é inválido.', ok: 'OK', offline: 'Computador sem conexão', connecting: 'Conectando…',
      conflict: 'O WhatsApp está aberto em outra janela. Clique em "Usar nesta janela" para usar o WhatsApp nesta janela.', useHere: 'Usar nesta janela', close: 'Fechar',
      banned: 'Sua conta está temporariamente banida do WhatsApp.', passkey: 'Continue com sua chave de acesso para conectar este dispositivo.',
      pending: ' Pendente ', sent: ' Enviada ', delivered: ' Entregue ', read: ' Lida ', failed: ' Não enviada ', back: 'Voltar',
    },
  };
  const language = sandboxPage.faults.language || 'en';
  document.documentElement.lang = language;
  exports.words = LANGUAGES[language];

  /** Makes an element: `el('button', { type: 'button', onclick }, 'text', child)`. */
  exports.el = (tag, attributes, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (typeof value === 'function') element[name] = value;
      else if (value !== undefined && value !== null) element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  };

  /** A modal notice with at most two answers. */
  exports.dialog = (text, ...answers) => {
    for (const other of document.querySelectorAll('div[role="dialog"]')) other.remove();
    const close = () => element.remove();
    const buttons = answers.map(([label, act]) => exports.el('button', { type: 'button', onclick() { close(); if (act) act(); } }, label));
    const element = exports.el('div', { role: 'dialog', 'aria-modal': 'true', 'aria-label': text, class: 'dialog' },
      exports.el('div', { class: 'dialog-box' }, exports.el('p', {}, text), exports.el('div', { class: 'dialog-buttons' }, ...buttons)));
    document.body.append(element);
    if (buttons.length) buttons[buttons.length - 1].focus();
    return element;
  };
});
