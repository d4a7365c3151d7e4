/*
 * Holds the connection of a linked page, away from its main thread. Responsible for nothing else.
 *
 * Takes {open: address}, {send: text}, {close}; says {what: 'open' | 'message' | 'close', text}.
 */
let socket = null;
onmessage = ({ data }) => {
  if (data.open) {
    const opened = new WebSocket(data.open);
    socket = opened;
    const say = (what, text) => { if (socket === opened) postMessage({ what, text }); };
    opened.onopen = () => say('open');
    opened.onmessage = (event) => say('message', event.data);
    opened.onclose = () => say('close');
  } else if (data.send !== undefined) {
    if (socket && socket.readyState === WebSocket.OPEN) socket.send(data.send);
  } else if (data.close && socket) {
    socket.onclose = null;
    socket.close();
    socket = null;
  }
};
