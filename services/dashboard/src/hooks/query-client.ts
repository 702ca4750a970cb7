import { QueryClient } from "@tanstack/react-query";

/** Polling is its own retry, and the socket says when there is news: nothing else asks. */
export function newQueryClient(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: { retry: false, refetchOnWindowFocus: false, refetchOnReconnect: false, networkMode: "always" },
    },
  });
}
