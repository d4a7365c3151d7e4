/*
 * The words on the page, and the few lines that build it.
 *
 * Responsible for: English, Spanish and Portuguese texts, making elements without markup (the
 * content security policy forbids it). Not responsible for: what is shown when.
 */
sandboxPage.define('SandboxWords', (global, require, importDefault, importNamespace, requireLazy, module, exports) => {
  const LANGUAGES = {
    en: {
      whatsNew: 'What\'s new on WhatsApp Web', whatsNewText: 'Calls, channels and more, now in your browser.', continue: 'Continue', confirm: 'Confirm', cancel: 'Cancel', you: 'You:', learnMore: 'Need help? Learn more',
      steps: ['Open WhatsApp on your phone', 'Tap Menu or Settings and select Linked devices', 'Tap Link a device and point your phone at this screen'],
      landing: 'Steps to log in', scan: 'Scan this QR code to link a device!', reload: 'Click to reload QR code', byNumber: 'Log in with phone number',
      byQr: 'Log in with QR code', enterNumber: 'Enter phone number', pickCountry: 'Select a country and enter your phone number.', numberLabel: 'Type your phone number to log in to WhatsApp', next: 'Next', invalidNumber: 'Valid phone number is required.',
      enterCode: 'Enter code on phone', linking: 'Linking WhatsApp account ', edit: 'edit', codeSteps: ['Open WhatsApp on your phone', 'Tap Linked devices, then Link a device', 'Tap Link with phone number instead and enter this code on your phone'],
      tooMany: 'There were too many attempts to link a device. Please try again later, or link with QR code.', notAvailable: 'Linking by phone number is not available to you. Link with QR code instead.', linkFailed: 'The device could not be linked. Try again.',
      codeExpired: 'The code has expired, please generate a new one and enter it on your phone.', newCode: 'Generate new code',
      noPhone: 'No phone at hand? The sandbox has one: ', loading: 'Loading your chats', search: 'Search or start a new chat', chats: 'Chats',
      type: 'Type a message', send: 'Send', welcome: 'WhatsApp Web, simulated', pick: 'Pick a chat, or type a number above to start one.',
      starting: 'Starting chat', invalid: 'Phone number shared via url is invalid.', ok: 'OK', offline: 'Computer not connected', connecting: 'Connecting…',
      conflict: 'WhatsApp is open in another window. Click "Use here" to use WhatsApp in this window.', useHere: 'Use here', close: 'Close',
      banned: 'Your account is temporarily banned from WhatsApp.', passkey: 'Continue with your passkey to link this device.',
      pending: ' Pending ', sent: ' Sent ', delivered: ' Delivered ', read: ' Read ', failed: ' Not sent ', back: 'Back to chats',
      deleted: 'This message was deleted', waiting: 'Waiting for this message. This may take a while.',
    },
    es: {
      whatsNew: 'Novedades de WhatsApp Web', whatsNewText: 'Llamadas, canales y más, ahora en tu navegador.', continue: 'Continuar', confirm: 'Confirmar', cancel: 'Cancelar', you: 'Tú:', learnMore: '¿Necesitas ayuda? Más información',
      steps: ['Abre WhatsApp en tu teléfono', 'Toca Menú o Ajustes y luego Dispositivos vinculados', 'Toca Vincular un dispositivo y apunta tu teléfono hacia esta pantalla'],
      landing: 'Pasos para iniciar sesión', scan: '¡Escanea este código QR para vincular un dispositivo!', reload: 'Haz clic para volver a cargar el código QR', byNumber: 'Iniciar sesión con número de teléfono',
      byQr: 'Iniciar sesión con código QR', enterNumber: 'Ingresa el número de teléfono', pickCountry: 'Selecciona un país e ingresa tu número de teléfono.', numberLabel: 'Escribe tu número de teléfono para iniciar sesión en WhatsApp', next: 'Siguiente', invalidNumber: 'Se requiere un número de teléfono válido.',
      enterCode: 'Ingresa el código en el teléfono', linking: 'Vinculando la cuenta de WhatsApp ', edit: 'editar', codeSteps: ['Abre WhatsApp en tu teléfono', 'Toca Dispositivos vinculados y luego Vincular un dispositivo', 'Toca Vincular con el número de teléfono e ingresa este código en tu teléfono'],
      tooMany: 'Hubo demasiados intentos de vincular un dispositivo. Inténtalo más tarde o vincula con código QR.', notAvailable: 'La vinculación con número de teléfono no está disponible. Vincula con código QR.', linkFailed: 'No se pudo vincular el dispositivo. Inténtalo de nuevo.',
      codeExpired: 'El código caducó. Genera uno nuevo e ingrésalo en tu teléfono.', newCode: 'Generar código nuevo',
      noPhone: '¿No tienes un teléfono a mano? El sandbox tiene uno: ', loading: 'Cargando tus chats', search: 'Busca un chat o inicia uno nuevo', chats: 'Chats',
      type: 'Escribe un mensaje', send: 'Enviar', welcome: 'WhatsApp Web, simulado', pick: 'Elige un chat, o escribe arriba un número para iniciar uno.',
      starting: 'Iniciando chat', invalid: 'El número de teléfono compartido a través de la dirección URL no es válido.', ok: 'OK', offline: 'Computadora sin conexión', connecting: 'Conectando…',
      conflict: 'WhatsApp está abierto en otra ventana. Haz clic en "Usar aquí" para usar WhatsApp en esta ventana.', useHere: 'Usar aquí', close: 'Cerrar',
      banned: 'Tu cuenta está suspendida temporalmente de WhatsApp.', passkey: 'Continúa con tu llave de acceso para vincular este dispositivo.',
      pending: ' Pendiente ', sent: ' Enviado ', delivered: ' Entregado ', read: ' Leído ', failed: ' No enviado ', back: 'Volver a los chats',
      deleted: 'Se eliminó este mensaje', waiting: 'Esperando este mensaje. Esto puede tardar.',
    },
    pt: {
      whatsNew: 'Novidades do WhatsApp Web', whatsNewText: 'Ligações, canais e mais, agora no navegador.', continue: 'Continuar', confirm: 'Confirmar', cancel: 'Cancelar', you: 'Você:', learnMore: 'Precisa de ajuda? Saiba mais',
      steps: ['Abra o WhatsApp no seu celular', 'Toque em Mais opções ou Configurações e em Dispositivos conectados', 'Toque em Conectar dispositivo e aponte seu celular para esta tela'],
      landing: 'Etapas para acessar', scan: 'Escaneie este código QR para conectar um dispositivo!', reload: 'Clique para recarregar o código QR', byNumber: 'Entrar com número de telefone',
      byQr: 'Entrar com QR code', enterNumber: 'Insira o número de telefone', pickCountry: 'Selecione um país e insira seu número de telefone.', numberLabel: 'Digite seu número de telefone para entrar no WhatsApp', next: 'Avançar', invalidNumber: 'É necessário um número de telefone válido.',
      enterCode: 'Insira o código no celular', linking: 'Conectando a conta do WhatsApp ', edit: 'editar', codeSteps: ['Abra o WhatsApp no seu celular', 'Toque em Dispositivos conectados e em Conectar dispositivo', 'Toque em Conectar com número de telefone e insira este código no celular'],
      tooMany: 'Houve muitas tentativas de conectar um dispositivo. Tente mais tarde ou conecte com QR code.', notAvailable: 'A conexão com número de telefone não está disponível. Conecte com QR code.', linkFailed: 'Não foi possível conectar o dispositivo. Tente novamente.',
      codeExpired: 'O código expirou. Gere um novo e insira no celular.', newCode: 'Gerar novo código',
      noPhone: 'Sem celular à mão? O sandbox tem um: ', loading: 'Carregando suas conversas', search: 'Pesquisar ou começar uma nova conversa', chats: 'Conversas',
      type: 'Digite uma mensagem', send: 'Enviar', welcome: 'WhatsApp Web, simulado', pick: 'Escolha uma conversa, ou digite um número acima.',
      starting: 'Iniciando conversa', invalid: 'O número de telefone compartilhado por url é inválido.', ok: 'OK', offline: 'Computador sem conexão', connecting: 'Conectando…',
      conflict: 'O WhatsApp está aberto em outra janela. Clique em "Usar nesta janela" para usar o WhatsApp nesta janela.', useHere: 'Usar nesta janela', close: 'Fechar',
      banned: 'Sua conta está temporariamente banida do WhatsApp.', passkey: 'Continue com sua chave de acesso para conectar este dispositivo.',
      pending: ' Pendente ', sent: ' Enviada ', delivered: ' Entregue ', read: ' Lida ', failed: ' Não enviada ', back: 'Voltar',
      deleted: 'Esta mensagem foi apagada', waiting: 'Aguardando mensagem. Essa ação pode levar alguns instantes.',
    },
  };
  LANGUAGES.ar = { ...LANGUAGES.en, whatsNew: 'ما الجديد في واتساب ويب', whatsNewText: 'المكالمات والقنوات وغيرها، الآن في متصفحك.', continue: 'متابعة', close: 'إغلاق' };
  const language = sandboxPage.faults.language || 'en';
  document.documentElement.lang = language;
  exports.words = LANGUAGES[language];

  /** Makes an element: `el('button', { type: 'button', onclick }, 'text', child)`. */
  const gone = sandboxPage.faults.missing_marks || [];
  exports.el = (tag, attributes, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (gone.includes(name) || gone.includes(value)) continue;
      if (typeof value === 'function') element[name] = value;
      else if (value !== undefined && value !== null) element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  };

  /** An icon as the page has them since summer 2026: its name is its title, and stands nowhere else. */
  exports.icon = (name) => {
    const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    const title = document.createElementNS('http://www.w3.org/2000/svg', 'title');
    if (!gone.includes(name)) title.textContent = name;
    svg.append(title);
    return svg;
  };

  /** A modal notice with at most two answers. */
  exports.dialog = (text, ...answers) => {
    for (const other of document.querySelectorAll('div[role="dialog"]:not([data-testid="confirm-popup"])')) other.remove();
    const close = () => element.remove();
    const buttons = answers.map(([label, act]) => exports.el('button', { type: 'button', onclick() { close(); if (act) act(); } }, label));
    const element = exports.el('div', { role: 'dialog', 'aria-modal': 'true', 'aria-label': text, class: 'dialog' },
      exports.el('div', { class: 'dialog-box' }, exports.el('p', {}, text), exports.el('div', { class: 'dialog-buttons' }, ...buttons)));
    document.body.append(element);
    if (buttons.length) buttons[buttons.length - 1].focus();
    return element;
  };
});
