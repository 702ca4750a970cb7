/** Close codes of `/ws/signals`, as docs/protocol.md lists them. */

/** A close code of our own, as a browser reports a connection that was lost. */
export const LOST = 1006;
const INVALID_TOKEN = 4500;

const REASONS: Record<number, string> = {
  4001: "This server is being restarted",
  4002: "This connection was too slow",
  4003: "The token has expired",
  4004: "This connection did not answer",
  4005: "The feed was recreated",
  [INVALID_TOKEN]: "The token is invalid or was revoked",
  4501: "The server did not understand this page",
  4502: "Too many connections: close another tab or device, then try again",
  4503: "No token was sent in time",
};

/** Whether coming back unchanged can help: from 4500 on, something must change first. */
export function mayReconnect(code: number): boolean {
  return code < 4500 || code > 4999;
}

/** What a person is told about a close: ours, the server's `reason`, or both where each says something. */
export function closeReason(code: number, reason = ""): string {
  const known = REASONS[code];
  if (reason === "") return known ?? "The connection was lost";
  if (known === undefined || code === INVALID_TOKEN) return reason.charAt(0).toUpperCase() + reason.slice(1);
  return mayReconnect(code) ? known : `${known} (${reason})`;
}
