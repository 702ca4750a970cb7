/** Recomputes, in this browser, what a signal's proof claims: docs/protocol.md and docs/verify_ledger.py say how. */

import type { Proof } from "./api";
import type { Signal } from "./frames";

/** What the producer hashed, and what the signal calls it. */
const SAME: readonly (readonly [string, keyof Signal])[] = [
  ["action", "action"],
  ["confidence", "confidence"],
  ["entry_price", "entry_price"],
  ["stop_price", "stop_loss"],
  ["target_price", "take_profit"],
];

export interface Check {
  name: string;
  holds: boolean;
}

/** Every check of `proof` against the signal that this page shows; the signal is verified when all hold. */
export async function verify(signal: Signal, proof: Proof): Promise<Check[]> {
  const hashed = parsed(proof.hashed_text);
  const body = parsed(proof.body);
  const link = await sha256(concatenated(fromHex(proof.chain.before), await sha256(utf8(proof.body))));
  return [
    {
      name: "The producer's hash matches the text it signed",
      holds: hex(await sha256(utf8(proof.hashed_text))) === signal.hash,
    },
    { name: "That text says what this page shows", holds: saysTheSame(hashed, signal) },
    { name: "The ledger holds exactly this signal", holds: isSignal(body, signal) },
    { name: "Its link in the hash chain is right", holds: hex(link) === proof.chain.after },
  ];
}

function saysTheSame(hashed: Record<string, unknown>, signal: Signal): boolean {
  const symbol = typeof hashed.symbol === "string" ? hashed.symbol.toUpperCase() : null;
  return (
    symbol === signal.symbol && SAME.every(([theirs, ours]) => (hashed[theirs] ?? null) === (signal[ours] ?? null))
  );
}

function isSignal(body: Record<string, unknown>, signal: Signal): boolean {
  return Object.entries(signal).every(([name, value]) => (body[name] ?? null) === (value ?? null));
}

function parsed(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

function utf8(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

function concatenated(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function fromHex(text: string): Uint8Array {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
