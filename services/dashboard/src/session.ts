/** Signing in: a token in the address's fragment, one kept for this tab, or the host application's session. */

import type { Session } from "./hooks/context";
import { Api } from "./realtime/api";
import { RealtimeClient } from "./realtime/client";
import { reused, type TokenSource } from "./realtime/token";
import { inThisTab } from "./storage";

/** The token behind `#token=`, which is taken out of the address and of the history at once; null if there is none. */
export function takeFragmentToken(page: Window): string | null {
  const { hash, pathname, search } = page.location;
  const token = new URLSearchParams(hash.slice(1)).get("token");
  if (token !== null) page.history.replaceState(null, "", pathname + search);
  return token;
}

/** The token of this tab; it survives a reload and ends with the tab. */
export const kept = inThisTab("tiercast.token");

export function newSession(token: TokenSource): Session {
  const scheme = window.location.protocol === "https:" ? "wss" : "ws";
  return {
    client: new RealtimeClient({ url: `${scheme}://${window.location.host}/ws/signals`, token }),
    api: new Api(reused(token)),
  };
}
