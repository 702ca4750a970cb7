/** When the REST side is asked. */

const SLOWEST_MS = 60_000;

export interface PollingRule {
  autoPoll: boolean;
  /** Milliseconds between two polls where there is no socket at all. */
  pollInterval: number;
  useWebSocket: boolean;
  isConnected: boolean;
  /** How long the server asked us to wait, in milliseconds. */
  retryAfter?: number | null;
}

/** Milliseconds until the next poll, or false for none: an open socket brings everything, one that is down comes back soon. */
export function nextPoll({
  autoPoll,
  pollInterval,
  useWebSocket,
  isConnected,
  retryAfter,
}: PollingRule): number | false {
  if (!autoPoll || (useWebSocket && isConnected)) return false;
  const interval = useWebSocket ? Math.min(2 * pollInterval, SLOWEST_MS) : pollInterval;
  return Math.max(interval, retryAfter ?? 0);
}
