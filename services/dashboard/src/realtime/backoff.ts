/** Exponential backoff with full jitter, so that a thousand clients do not come back in the same instant. */

const LEAST_MS = 500;
const FIRST_MS = 1_000;
const CAP_MS = 30_000;

/** Milliseconds to wait before attempt `attempt` (0, 1, …): 0.5–1 s first, then up to twice as long each time, 30 s at most. */
export function backoff(attempt: number, random: () => number = Math.random): number {
  const ceiling = Math.min(CAP_MS, FIRST_MS * 2 ** attempt);
  return LEAST_MS + random() * (ceiling - LEAST_MS);
}
