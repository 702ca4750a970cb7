import { useContext, useEffect, useId, useState } from "react";
import { useNow } from "../hooks/useNow";
import { useWebSocket } from "../hooks/useWebSocket";
import { age, milliseconds } from "./format";
import { KnownSignals } from "./known-signals";
import { Late, Live, Offline, Waiting } from "./icons";
import { type Standing, standing } from "./standing";

const ICONS = { Live, Connecting: Waiting, Offline, Late };

interface Props {
  isPolling: boolean;
  /** Milliseconds between two polls while the socket is down. */
  pollEvery: number;
}

/** How signals reach this page, in one word; the rest on hover and on keyboard focus. */
export function WebSocketStatus({ isPolling, pollEvery }: Props) {
  const [shown, setShown] = useState(false);
  const socket = useWebSocket();
  const label = standing(socket);
  const panel = useId();
  const hide = () => setShown(false);
  const show = () => setShown(true);
  const late = label === "Live" && socket.stale;
  const look = late ? "Late" : label;
  const Icon = ICONS[look];
  useEffect(() => {
    if (!shown) return;
    const escape = (event: KeyboardEvent) => {
      if (event.key === "Escape") setShown(false);
    };
    document.addEventListener("keydown", escape);
    return () => document.removeEventListener("keydown", escape);
  }, [shown]);
  return (
    <div className="status" onMouseEnter={show} onMouseLeave={hide}>
      <button
        type="button"
        className={`pill status-${look}`}
        aria-describedby={panel}
        aria-label={`Connection: ${label}${late ? ", but no news from the source" : ""}`}
        onFocus={show}
        onBlur={hide}
        data-testid="status"
      >
        <Icon />
        <span>{label}</span>
      </button>
      <div className="popover" id={panel} role="tooltip" hidden={!shown}>
        <Details pollEvery={isPolling ? pollEvery : null} label={label} running={shown} />
      </div>
    </div>
  );
}

function Details({ pollEvery, label, running }: { pollEvery: number | null; label: Standing; running: boolean }) {
  const { client, latencyMs, retryAt, state, problem, stale } = useWebSocket();
  const now = useNow(250, running);
  const newest = useContext(KnownSignals)[0];
  const lastSignalAt = client.lastSignalAt ?? (newest === undefined ? null : newest.server_timestamp * 1000);
  const transport =
    label === "Live" ? "WebSocket" : pollEvery === null ? "None" : `Polling every ${Math.round(pollEvery / 1000)} s`;
  const rows: [string, string][] = [
    ["Transport", transport],
    ["Latency", label === "Live" ? `${milliseconds(latencyMs)} round trip` : "–"],
    ["Last signal", lastSignalAt === null ? "None yet" : ago((now - lastSignalAt) / 1000)],
  ];
  if (retryAt !== null) rows.push(["Reconnecting", `In ${Math.max(0, Math.ceil((retryAt - now) / 1000))} s`]);
  else if (state === "connecting") rows.push(["Reconnecting", "Now"]);
  if (problem !== null) rows.push(["Reason", problem.text]);
  if (stale) rows.push(["Source", "Silent: the newest signals may be missing"]);
  return (
    <dl className="facts">
      {rows.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function ago(seconds: number): string {
  const text = age(seconds);
  return text === "now" ? "Just now" : `${text} ago`;
}
