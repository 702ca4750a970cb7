// Node's ws as a server that sends one prepared message to every client at a steady rate.
// Arguments: port, messages a second, filler bytes.
import { WebSocketServer } from "ws";

const [port, rate, padding] = process.argv.slice(2).map(Number);
const server = new WebSocketServer({ host: "127.0.0.1", port, perMessageDeflate: false });
const filler = "x".repeat(padding);

setInterval(() => {
  const nanoseconds = BigInt(Math.round((performance.timeOrigin + performance.now()) * 1e6));
  const message = Buffer.from(`{"type":"new_signal","reasoning":"${nanoseconds}","padding":"${filler}"}`);
  for (const client of server.clients) client.send(message, { binary: false });
}, 1000 / rate);
