import { useSyncExternalStore } from "react";
import type { RealtimeClient } from "../realtime/client";
import type { Snapshot } from "../realtime/snapshot";
import { useSession } from "./context";

export interface UseWebSocket extends Snapshot {
  isConnected: boolean;
  isConnecting: boolean;
  client: RealtimeClient;
}

/** The state of the live connection, and the client itself for what can be done with it. */
export function useWebSocket(): UseWebSocket {
  const { client } = useSession();
  const snapshot = useSyncExternalStore(client.subscribe, client.getSnapshot);
  return {
    ...snapshot,
    isConnected: snapshot.state === "open",
    isConnecting: snapshot.state === "connecting",
    client,
  };
}
