/** The signed-in user's connection and API, for every hook below. */

import { createContext, type ReactNode, useContext, useEffect } from "react";
import type { Api } from "../realtime/api";
import type { RealtimeClient } from "../realtime/client";
import { wakeWith } from "../realtime/network";

export interface Session {
  client: RealtimeClient;
  api: Api;
}

const Current = createContext<Session | null>(null);

/** Keeps the connection up for as long as it is mounted. */
export function SessionProvider({ session, children }: { session: Session; children: ReactNode }) {
  const { client } = session;
  useEffect(() => {
    client.start();
    const sleep = wakeWith(client, window);
    return () => {
      sleep();
      client.stop();
    };
  }, [client]);
  return <Current value={session}>{children}</Current>;
}

export function useSession(): Session {
  const session = useContext(Current);
  if (session === null) throw new Error("there is no SessionProvider above this component");
  return session;
}
