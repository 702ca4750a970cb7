import type { Socket } from "../src/realtime/socket";
import type { ServerFrame, Signal } from "../src/realtime/frames";

/** The other end of a WebSocket. */
export class FakeSocket implements Socket {
  readyState = 0;
  onmessage: ((event: MessageEvent) => void) | null = null;
  onclose: ((event: CloseEvent) => void) | null = null;
  sent: ({ type: string } & Record<string, unknown>)[] = [];
  closed = false;

  constructor(
    readonly url: string,
    readonly protocols: string[],
  ) {}

  send(data: string): void {
    this.sent.push(JSON.parse(data));
  }

  close(): void {
    this.closed = true;
  }

  says(frame: ServerFrame | Record<string, unknown> | string): void {
    const data = typeof frame === "string" ? frame : JSON.stringify(frame);
    this.onmessage?.({ data } as MessageEvent);
  }

  ends(code: number, reason = ""): void {
    this.onclose?.({ code, reason } as CloseEvent);
  }
}

export const connected = (more: Record<string, unknown> = {}) => ({
  type: "connected",
  message: "Connected",
  connection_id: "c1",
  user_tier: "pro",
  cursor: "cursor-0",
  recovered: null,
  heartbeat_seconds: 25,
  server_timestamp: 1_795_000_000,
  ...more,
});

export const pong = { type: "pong", server_timestamp: 1_795_000_000, seq: 1 };

let made = 0;

export function signal(more: Partial<Signal> = {}): Signal {
  made += 1;
  return {
    id: `00000000-0000-4000-8000-${String(made).padStart(12, "0")}`,
    symbol: "AAPL",
    action: "BUY",
    entry_price: 175.5,
    stop_loss: 168,
    take_profit: 190,
    confidence: 70,
    type: "STANDARD",
    timestamp: "2026-11-23T02:15:59Z",
    hash: "0".repeat(64),
    reasoning: null,
    server_timestamp: 1_795_000_000 + made,
    strategy: null,
    asset_type: null,
    data_source: null,
    regime: null,
    consensus_agreement: null,
    sources_count: null,
    valid_until: null,
    ...more,
  };
}

export const newSignal = (data: Signal, more: Record<string, unknown> = {}) => ({
  type: "new_signal",
  seq: 1,
  cursor: `cursor-${data.id}`,
  data,
  ...more,
});

/** A JWT that nobody signed. */
export function jwt(claims: Record<string, unknown>): string {
  const part = (value: unknown) =>
    btoa(JSON.stringify(value)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  return `${part({ alg: "HS256" })}.${part(claims)}.c2lnbmF0dXJl`;
}
