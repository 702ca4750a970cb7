/** Wakes a client when the browser comes back online or its tab comes to the front; returns what ends that. */

import type { RealtimeClient } from "./client";

export function wakeWith(client: Pick<RealtimeClient, "wake">, page: Window): () => void {
  const woken = () => {
    if (page.document.visibilityState === "visible") client.wake();
  };
  const online = () => client.wake();
  page.addEventListener("online", online);
  page.addEventListener("pageshow", woken);
  page.document.addEventListener("visibilitychange", woken);
  return () => {
    page.removeEventListener("online", online);
    page.removeEventListener("pageshow", woken);
    page.document.removeEventListener("visibilitychange", woken);
  };
}
