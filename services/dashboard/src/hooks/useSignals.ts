import { useQuery } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useRef, useSyncExternalStore } from "react";
import type { Signal, Tier } from "../realtime/frames";
import { SignalList } from "../realtime/signal-list";
import { useSession } from "./context";
import { fetchLatest } from "./latest";
import { nextPoll } from "./polling";
import { useWebSocket as useSocket } from "./useWebSocket";

export interface UseSignalsOptions {
  /** Signals kept, newest first. */
  limit?: number;
  premiumOnly?: boolean;
  /** Milliseconds. */
  pollInterval?: number;
  /** Whether to poll at all. */
  autoPoll?: boolean;
  /** Whether to listen to the socket. */
  useWebSocket?: boolean;
}

export interface UseSignals {
  signals: readonly Signal[];
  /** Nothing is there yet, and the first answer is awaited. */
  isLoading: boolean;
  error: Error | null;
  refresh: () => Promise<void>;
  isPolling: boolean;
  isWebSocketConnected: boolean;
  isWebSocketConnecting: boolean;
  /** When something last came, by whichever way. */
  lastUpdate: Date | null;
}

/**
 * The user's signals: live from the socket while it is open, polled while it is down, with one fetch to catch up at each change
 * between the two. Each signal is there once, in the order of the log, and the list changes at most once per animation frame.
 */
export function useSignals({
  limit = 100,
  premiumOnly = false,
  pollInterval = 15_000,
  autoPoll = true,
  useWebSocket = true,
}: UseSignalsOptions = {}): UseSignals {
  const { api, client } = useSession();
  const socket = useSocket();
  const isConnected = useWebSocket && socket.isConnected;
  const list = useMemo(() => new SignalList(limit), [limit]);
  const signals = useSyncExternalStore(list.subscribe, list.getSnapshot);
  const place = useRef<Place>({ cursor: null, whole: false, tier: null });

  const rule = { autoPoll, pollInterval, useWebSocket, isConnected };
  const query = useQuery({
    queryKey: ["signals", "latest", { limit, premiumOnly }],
    queryFn: async ({ signal }) => {
      const page = await fetchLatest(api, { limit, premiumOnly }, place.current.cursor, signal);
      place.current = { ...place.current, cursor: page.cursor, whole: true };
      return page.signals;
    },
    structuralSharing: false,
    refetchInterval: (query) => nextPoll({ ...rule, error: query.state.error }),
    refetchIntervalInBackground: false,
  });
  const { data, refetch } = query;

  useEffect(() => {
    if (data !== undefined) list.add(data);
  }, [data, list]);

  const refresh = useCallback(async () => {
    await refetch();
  }, [refetch]);

  useEffect(() => {
    if (!useWebSocket) return;
    const forget = () => {
      place.current.cursor = null;
    };
    return client.onFrame((frame) => {
      if (frame.type === "new_signal") {
        if (!premiumOnly || frame.data.type === "PREMIUM") list.add([frame.data]);
        if (place.current.whole) place.current.cursor = frame.cursor;
      } else if (frame.type === "connected") {
        if (place.current.tier !== frame.user_tier) forget(); // another tier looks back on other signals
        if (frame.user_tier === "starter") list.retain(isStandard);
        place.current = { ...place.current, whole: false, tier: frame.user_tier };
      } else if (frame.type === "tier_changed") {
        forget();
        if (frame.user_tier === "starter") list.retain(isStandard);
        place.current = { ...place.current, whole: false, tier: frame.user_tier };
        void refetch();
      } else if (frame.type === "resync_required") {
        forget();
        void refetch();
      }
    });
  }, [client, list, premiumOnly, refetch, useWebSocket]);

  const wasConnected = useRef(isConnected);
  useEffect(() => {
    if (wasConnected.current !== isConnected) void refetch();
    wasConnected.current = isConnected;
  }, [isConnected, refetch]);

  const newest = Math.max(list.addedAt, query.dataUpdatedAt);
  return {
    signals,
    isLoading: query.isPending && signals.length === 0,
    error: query.error,
    refresh,
    isPolling: nextPoll({ ...rule, error: query.error }) !== false,
    isWebSocketConnected: isConnected,
    isWebSocketConnecting: useWebSocket && socket.isConnecting,
    lastUpdate: newest === 0 ? null : new Date(newest),
  };
}

/** How far this list is whole. */
interface Place {
  /** What follows it is missing; null when that is unknown. */
  cursor: string | null;
  /** Nothing lies between what was fetched and what the socket brings, so that the socket's cursors count. */
  whole: boolean;
  tier: Tier | null;
}

function isStandard(signal: Signal): boolean {
  return signal.type === "STANDARD";
}
