/*
 * Uploads what it is given, away from the page's main thread. Responsible for nothing else.
 */
onmessage = async ({ data }) => {
  try {
    const answer = await fetch('/web/upload', { method: 'POST', body: data.bytes });
    postMessage({ id: data.id, ok: answer.ok });
  } catch (error) {
    postMessage({ id: data.id, ok: false });
  }
};
