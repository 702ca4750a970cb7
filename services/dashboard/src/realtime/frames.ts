/** What the server says and what it is told: every frame is checked before anything believes it. */

import * as v from "valibot";

export const TIERS = ["starter", "pro", "elite"] as const;

const tier = v.picklist(TIERS);
const price = v.pipe(v.number(), v.gtValue(0));
const seq = v.pipe(v.number(), v.integer(), v.minValue(0));
const maybe = <Schema extends v.GenericSchema>(schema: Schema) => v.nullish(schema, null);

export const signalSchema = v.object({
  id: v.pipe(v.string(), v.uuid()),
  symbol: v.pipe(v.string(), v.minLength(1), v.maxLength(20)),
  action: v.picklist(["BUY", "SELL"]),
  entry_price: price,
  stop_loss: v.nullable(price),
  take_profit: v.nullable(price),
  confidence: v.pipe(v.number(), v.minValue(0), v.maxValue(100)),
  type: v.picklist(["PREMIUM", "STANDARD"]),
  timestamp: v.string(),
  hash: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
  reasoning: v.nullable(v.string()),
  server_timestamp: v.number(),
  strategy: maybe(v.string()),
  asset_type: maybe(v.string()),
  data_source: maybe(v.string()),
  regime: maybe(v.string()),
  consensus_agreement: maybe(v.number()),
  sources_count: maybe(v.number()),
  valid_until: maybe(v.string()),
});

const frameSchema = v.variant("type", [
  v.object({
    type: v.literal("connected"),
    message: v.string(),
    connection_id: v.string(),
    user_tier: tier,
    cursor: v.string(),
    recovered: v.nullable(v.boolean()),
    heartbeat_seconds: v.pipe(v.number(), v.gtValue(0)),
    server_timestamp: v.number(),
  }),
  v.object({
    type: v.literal("new_signal"),
    seq,
    cursor: v.string(),
    data: signalSchema,
    replay: v.optional(v.nullable(v.literal(true))),
  }),
  v.object({ type: v.picklist(["ping", "pong"]), server_timestamp: v.number(), seq }),
  v.object({
    type: v.literal("tier_changed"),
    user_tier: tier,
    previous_tier: tier,
    reason: v.string(),
    cursor: v.string(),
  }),
  v.object({ type: v.literal("subscribed"), symbols: v.array(v.string()) }),
  v.object({ type: v.literal("resync_required"), reason: v.string(), cursor: v.string() }),
  v.object({ type: v.picklist(["stale", "fresh"]), server_timestamp: v.number() }),
  v.object({
    type: v.literal("reconnect"),
    retry_after_ms: v.pipe(v.number(), v.minValue(0)),
    cursor: v.string(),
  }),
  v.object({ type: v.literal("error"), code: v.string(), message: v.string() }),
]);

export type Tier = v.InferOutput<typeof tier>;
export type Signal = v.InferOutput<typeof signalSchema>;
export type ServerFrame = v.InferOutput<typeof frameSchema>;

export type ClientMessage =
  | { type: "ping" | "pong" }
  | { type: "auth"; token: string }
  | { type: "subscribe" | "unsubscribe"; symbols: string[] };

/** The frame in `text`, or null for what is none: no JSON, an unknown type, a wrong or missing field. */
export function parseFrame(text: unknown): ServerFrame | null {
  if (typeof text !== "string") return null;
  try {
    const result = v.safeParse(frameSchema, JSON.parse(text));
    return result.success ? result.output : null;
  } catch {
    return null;
  }
}
