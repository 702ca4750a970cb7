/** When the REST side is asked. */

import { ApiError } from "../realtime/api";
import { SignedOut } from "../realtime/token";

const SLOWEST_MS = 60_000;

export interface PollingRule {
  autoPoll: boolean;
  /** Milliseconds between two polls where there is no socket at all. */
  pollInterval: number;
  useWebSocket: boolean;
  isConnected: boolean;
  /** What the last request met with. */
  error?: Error | null;
}

/**
 * Milliseconds until the next poll, or false for none: an open socket brings everything, one that is down comes back soon, and who
 * is refused need not ask again unchanged.
 */
export function nextPoll({
  autoPoll,
  pollInterval,
  useWebSocket,
  isConnected,
  error = null,
}: PollingRule): number | false {
  if (!autoPoll || (useWebSocket && isConnected) || isRefusal(error)) return false;
  const interval = useWebSocket ? Math.min(2 * pollInterval, SLOWEST_MS) : pollInterval;
  const asked = error instanceof ApiError ? (error.retryAfter ?? 0) * 1000 : 0;
  return Math.max(interval, asked);
}

/** Whether signing in anew is what helps. */
export function isRefusal(error: Error | null): boolean {
  return error instanceof SignedOut || (error instanceof ApiError && [401, 403].includes(error.status));
}
