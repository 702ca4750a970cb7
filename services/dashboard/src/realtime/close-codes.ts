/** Close codes of `/ws/signals`, as docs/protocol.md lists them. */

const REASONS: Record<number, string> = {
  4001: "This server is being restarted",
  4002: "This connection was too slow",
  4003: "The token has expired",
  4004: "This connection did not answer",
  4005: "The feed was recreated",
  4500: "The token is invalid or was revoked",
  4501: "The server did not understand this page",
  4502: "Too many connections: close another tab or device, then try again",
  4503: "No token was sent in time",
};

/** Whether coming back unchanged can help: from 4500 on, something must change first. */
export function mayReconnect(code: number): boolean {
  return code < 4500 || code > 4999;
}

/** What a person is told about a close. */
export function closeReason(code: number): string {
  return REASONS[code] ?? "The connection was lost";
}
