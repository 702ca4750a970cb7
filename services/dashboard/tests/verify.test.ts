// @vitest-environment node
import { createHash } from "node:crypto";
import { expect, it } from "vitest";
import type { Proof } from "../src/realtime/api";
import type { Signal } from "../src/realtime/frames";
import { verify } from "../src/realtime/verify";
import { signal } from "./support";

const sha256 = (...parts: (string | Buffer)[]) => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest();
};

/** A signal and its proof as an honest server gives them, by rules written down a second time. */
function honest(): { shown: Signal; proof: Proof } {
  const hashed_text =
    '{"action": "BUY", "confidence": 91.0, "entry_price": 175.50, "signal_id": "\\u00fc", "stop_price": null, "strategy": "s", "symbol": "btc/usd", "target_price": 190, "timestamp": "t"}';
  const shown = signal({
    symbol: "BTC/USD",
    confidence: 91,
    type: "PREMIUM",
    entry_price: 175.5,
    stop_loss: null,
    take_profit: 190,
    reasoning: "Überkauft ✓",
    hash: sha256(hashed_text).toString("hex"),
  });
  const body = JSON.stringify(shown);
  const before = sha256("what came before");
  const after = sha256(before, sha256(body));
  const chain = { before: before.toString("hex"), after: after.toString("hex") };
  return { shown, proof: { feed: "all", seq: 7, hashed_text, body, chain, data: shown } };
}

const holds = async (shown: Signal, proof: Proof) => (await verify(shown, proof)).map((check) => check.holds);

it("holds for what the producer said and the ledger keeps", async () => {
  const { shown, proof } = honest();
  expect(await holds(shown, proof)).toEqual([true, true, true, true]);
});

it.each<[string, (made: { shown: Signal; proof: Proof }) => void, boolean[]]>([
  [
    "a changed price on the page",
    (made) => {
      made.shown.entry_price = 1;
    },
    [true, false, false, true],
  ],
  [
    "a changed reasoning on the page",
    (made) => {
      made.shown.reasoning = "x";
    },
    [true, true, false, true],
  ],
  [
    "another signal's text",
    (made) => {
      made.proof.hashed_text = made.proof.hashed_text.replace("btc", "eth");
    },
    [false, false, true, true],
  ],
  [
    "a rewritten body",
    (made) => {
      made.proof.body = made.proof.body.replace("BUY", "SELL");
    },
    [true, true, false, false],
  ],
  [
    "a moved link",
    (made) => {
      made.proof.chain.before = "00".repeat(32);
    },
    [true, true, true, false],
  ],
  [
    "no text at all",
    (made) => {
      made.proof.hashed_text = "nonsense";
    },
    [false, false, true, true],
  ],
])("finds %s", async (_what, change, expected) => {
  const made = honest();
  change(made);
  expect(await holds(made.shown, made.proof)).toEqual(expected);
});
