/** `GET /api/v1/ops/summary`, as docs/protocol.md describes it. */

import * as v from "valibot";

const count = v.pipe(v.number(), v.minValue(0));
const time = v.nullable(v.number());

export const opsSchema = v.object({
  replica: v.string(),
  at: v.number(),
  connections: v.record(v.string(), v.object({ starter: count, pro: count, elite: count })),
  users: count,
  signals_per_second: v.number(),
  hops: v.record(v.string(), v.object({ count, p50_ms: time, p95_ms: time, p99_ms: time })),
  logs: v.record(v.string(), v.object({ epoch: v.string(), head: count, applied: count, missing: count })),
  stale: v.boolean(),
  silent_seconds: v.number(),
  dead_letters: v.nullable(count),
});
export type OpsSummary = v.InferOutput<typeof opsSchema>;

/** The parts of the way, in words. */
export const HOPS: Record<string, string> = {
  received_committed: "Received → stored",
  committed_published: "Stored → published",
  published_consumed: "Published → here",
  consumed_written: "Here → sockets",
  received_written: "All of it",
};
