// Makes session tokens as NextAuth 4 and Auth.js 5 put them into their cookies, with these packages' own `encode`.
//   node sessions.mjs '[{"version": 4, "token": {"sub": "alice"}, "secret": "…", "maxAge": 3600, "salt": "…"}, …]'
// Prints a JSON array with one token for each.
import { encode as encode5 } from "@auth/core/jwt";
import { createRequire } from "node:module";

const { encode: encode4 } = createRequire(import.meta.url)("next-auth/jwt");
const wanted = JSON.parse(process.argv[2]);
const tokens = await Promise.all(
  wanted.map(({ version, ...parameters }) => (version === 4 ? encode4(parameters) : encode5(parameters))),
);
console.log(JSON.stringify(tokens));
