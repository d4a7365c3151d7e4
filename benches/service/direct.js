// Sends a text by WhatsApp Web's own function, as the adapter "modules" does, with nothing around it; resolves when the
// server has it, with the milliseconds that took. What a send through the service is compared with.
(async function direct({ to, body }) {
  const began = performance.now();
  const { ChatCollection } = require("WAWebChatCollection");
  const { getMaybeMePnUser } = require("WAWebUserPrefsMeUser");
  const MsgKey = require("WAWebMsgKey").default ?? require("WAWebMsgKey");
  const wid = require("WAWebWidFactory").createWid(`${to}@c.us`);
  const from = getMaybeMePnUser();
  await require("WAWebFindChatAction").findOrCreateLatestChat(wid);
  const chat = ChatCollection.get(wid);
  const id = new MsgKey({ from, to: wid, id: await MsgKey.newId(), selfDir: "out" });
  const [, sent] = await require("WAWebSendMsgChatAction").addAndSendMsgToChat(chat, {
    id, from, to: wid, body,
    type: "chat", self: "out", ack: 0, local: true, isNewMsg: true,
    t: Math.floor(Date.now() / 1000),
  });
  if ((await sent).messageSendResult !== "OK") throw new Error("WhatsApp did not take the message");
  return performance.now() - began;
})
