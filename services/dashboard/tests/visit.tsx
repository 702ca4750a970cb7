import { QueryClientProvider } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { SessionProvider } from "../src/hooks/context";
import { newQueryClient } from "../src/hooks/query-client";
import { Api } from "../src/realtime/api";
import { RealtimeClient } from "../src/realtime/client";
import { fixedToken } from "../src/realtime/token";
import { FakeSocket } from "./support";

/** A signed-in user: what stands above hooks and components, and the sockets that were opened. */
export function newVisit() {
  const sockets: FakeSocket[] = [];
  const token = fixedToken("t");
  const client = new RealtimeClient({
    url: "ws://test/ws/signals",
    token,
    random: () => 0,
    createSocket: (url, protocols) => {
      const socket = new FakeSocket(url, protocols);
      sockets.push(socket);
      return socket;
    },
  });
  const session = { client, api: new Api(token) };
  const queries = newQueryClient();
  const wrapper = ({ children }: { children: ReactNode }) => (
    <QueryClientProvider client={queries}>
      <SessionProvider session={session}>{children}</SessionProvider>
    </QueryClientProvider>
  );
  return { sockets, client, wrapper };
}
