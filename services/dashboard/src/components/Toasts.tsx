import { useCallback, useEffect, useRef, useState } from "react";
import { useWebSocket } from "../hooks/useWebSocket";
import type { ServerFrame } from "../realtime/frames";
import { Cross } from "./icons";
import { tierName } from "./TierBadge";

const SHOWN_MS = 8_000;

interface Toast {
  /** One of a kind is shown at a time. */
  kind: "tier" | "stale" | "reconnect";
  text: string;
  tone: "good" | "warning" | "neutral";
  /** It stays until what it says is over. */
  lasting: boolean;
}

/** What just happened to the connection, in words; also for screen readers. */
export function Toasts() {
  const { client, stale } = useWebSocket();
  const [toasts, setToasts] = useState<readonly Toast[]>([]);
  const timers = useRef(new Map<string, ReturnType<typeof setTimeout>>());

  const dismiss = useCallback((kind: Toast["kind"]) => {
    clearTimeout(timers.current.get(kind));
    setToasts((before) => before.filter((toast) => toast.kind !== kind));
  }, []);

  useEffect(() => {
    const running = timers.current;
    const forget = client.onFrame((frame) => {
      if (frame.type === "connected") dismiss("reconnect");
      const toast = toastOf(frame);
      if (toast === null) return;
      dismiss(toast.kind);
      setToasts((before) => [...before, toast]);
      if (!toast.lasting)
        running.set(
          toast.kind,
          setTimeout(() => dismiss(toast.kind), SHOWN_MS),
        );
    });
    return () => {
      forget();
      for (const timer of running.values()) clearTimeout(timer);
    };
  }, [client, dismiss]);

  // silence is over when the source is heard again, and nobody can tell while there is no connection
  const shown = stale ? toasts : toasts.filter((toast) => toast.kind !== "stale");
  return (
    <div className="toasts" role="status" aria-live="polite">
      {shown.map((toast) => (
        <div key={toast.kind} className={`toast toast-${toast.tone}`} data-testid={`toast-${toast.kind}`}>
          <span>{toast.text}</span>
          <button type="button" className="quiet square" aria-label="Dismiss" onClick={() => dismiss(toast.kind)}>
            <Cross />
          </button>
        </div>
      ))}
    </div>
  );
}

function toastOf(frame: ServerFrame): Toast | null {
  if (frame.type === "tier_changed") {
    const { user_tier: tier, previous_tier: before } = frame;
    const better = before === "starter" || tier === "elite";
    const then =
      frame.reason === "unverified"
        ? "Your tier cannot be verified right now; what you miss meanwhile will be sent afterwards."
        : tier === "starter"
          ? "Premium signals are no longer part of it."
          : "Premium signals arrive from now on.";
    return {
      kind: "tier",
      text: `You are on ${tierName(tier)} now. ${then}`,
      tone: better ? "good" : "neutral",
      lasting: false,
    };
  }
  if (frame.type === "stale") {
    return {
      kind: "stale",
      text: "No news from the source of signals. The newest may be missing.",
      tone: "warning",
      lasting: true,
    };
  }
  if (frame.type === "reconnect") {
    return {
      kind: "reconnect",
      text: "This server is being restarted. Moving to another one.",
      tone: "neutral",
      lasting: false,
    };
  }
  return null;
}
