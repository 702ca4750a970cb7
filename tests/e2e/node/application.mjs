// An application as customers have it: people sign in through NextAuth 4 (/four) or Auth.js 5 (/five), and its pages show them
// their signals. It knows of the gateway only where it is: /api/v1/ and /ws/ go there, as a proxy in front of both would have it.
//   PORT=3000 GATEWAY=http://127.0.0.1:8000 APPLICATION_SECRET=… node application.mjs
import { Auth } from "@auth/core";
import Credentials5 from "@auth/core/providers/credentials";
import http from "node:http";
import { createRequire } from "node:module";
import net from "node:net";

const require = createRequire(import.meta.url);
const { PORT, GATEWAY, APPLICATION_SECRET: secret } = process.env;
const origin = `http://127.0.0.1:${PORT}`;
process.env.NEXTAUTH_URL = `${origin}/four/auth`;
const NextAuth = require("next-auth/next").default;
const Credentials4 = require("next-auth/providers/credentials").default;

const login = { name: "a name", credentials: { username: { label: "Name" } }, authorize: ({ username }) => ({ id: username }) };
const options4 = { secret, providers: [Credentials4(login)] };
const options5 = { secret, providers: [Credentials5(login)], basePath: "/five/auth", trustHost: true };

const page = `<!doctype html><title>…</title><ul></ul><script type="module">
  const answer = await fetch("/api/v1/auth/token");
  if (!answer.ok) document.title = answer.status;
  const { token } = await answer.json();
  const socket = new WebSocket(\`ws://\${location.host}/ws/signals?token=\${token}\`);
  socket.onmessage = ({ data }) => {
    const frame = JSON.parse(data);
    if (frame.type === "connected") document.title = frame.user_tier;
    if (frame.type === "new_signal") document.querySelector("ul").append(Object.assign(document.createElement("li"), { textContent: frame.data.hash }));
  };
</script>`;

const server = http.createServer(async (request, response) => {
  const url = new URL(request.url, origin);
  if (url.pathname.startsWith("/api/v1/")) return toGateway(request, response);
  if (url.pathname.startsWith("/four/auth/")) return nextAuth4(request, response, url);
  if (url.pathname.startsWith("/five/auth/")) return authJs5(request, response, url);
  response.setHeader("Content-Type", "text/html; charset=utf-8").end(page);
});

/** What Next.js gives to the handler of `pages/api/auth/[...nextauth]`. */
async function nextAuth4(request, response, url) {
  request.query = { ...Object.fromEntries(url.searchParams), nextauth: url.pathname.split("/").slice(3) };
  request.cookies = Object.fromEntries((request.headers.cookie ?? "").split("; ").map((pair) => pair.split(/=(.*)/s)).map(([name, value]) => [name, decodeURIComponent(value ?? "")]));
  request.body = Object.fromEntries(new URLSearchParams(await text(request)));
  response.status = (code) => Object.assign(response, { statusCode: code });
  response.json = (value) => response.setHeader("Content-Type", "application/json").end(JSON.stringify(value));
  response.send = (value) => (typeof value === "object" ? response.json(value) : response.end(value));
  await NextAuth(request, response, options4);
}

/** What a framework does with Auth.js: a Request in, a Response out. */
async function authJs5(request, response, url) {
  const body = request.method === "POST" ? await text(request) : undefined;
  const answer = await Auth(new Request(url, { method: request.method, headers: request.headers, body }), options5);
  for (const [name, value] of answer.headers) if (name !== "set-cookie") response.setHeader(name, value);
  response.setHeader("Set-Cookie", answer.headers.getSetCookie());
  response.writeHead(answer.status).end(Buffer.from(await answer.arrayBuffer()));
}

function toGateway(request, response) {
  const passed = http.request(GATEWAY + request.url, { method: request.method, headers: request.headers }, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
  });
  request.pipe(passed.on("error", () => response.writeHead(502).end()));
}

server.on("upgrade", (request, client, first) => {
  const { hostname, port } = new URL(GATEWAY);
  const gateway = net.connect(port, hostname, () => {
    const head = request.rawHeaders.reduce((lines, part, index) => lines + part + (index % 2 ? "\r\n" : ": "), "");
    gateway.write(`GET ${request.url} HTTP/1.1\r\n${head}\r\n`);
    gateway.write(first);
    client.pipe(gateway).pipe(client);
  });
  for (const socket of [client, gateway]) socket.on("error", () => [client, gateway].forEach((each) => each.destroy()));
});

async function text(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts).toString();
}

server.listen(PORT, "127.0.0.1", () => console.log(`listening on ${origin}`));
