// Sends one message through the client that orval generates. Arguments: the session, the recipient, the text.
// Prints the message's id, then the status and code of a request that is refused.
import { send, status } from "./generated.js";

declare const process: { argv: string[] };

const [session, to, message] = process.argv.slice(2) as [string, string, string];

const before = await status({ cliente_id: session });
if (before.status !== 200 || !before.data.connected) throw new Error(JSON.stringify(before.data));

const sent = await send({ cliente_id: Number(session), to, message });
if (sent.status !== 200 || !("message_id" in sent.data)) throw new Error(JSON.stringify(sent.data));
console.log(sent.data.message_id);

const refused = await send({ cliente_id: Number(session), to: "not a number", message });
if (refused.status !== 400) throw new Error(JSON.stringify(refused.data));
console.log(refused.status, refused.data.code);
