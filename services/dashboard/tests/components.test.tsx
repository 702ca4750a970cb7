import { act, cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Breakdown } from "../src/components/Breakdown";
import { ConnectionBanner } from "../src/components/ConnectionBanner";
import { KnownSignals } from "../src/components/known-signals";
import { OpsVerdict } from "../src/components/OpsVerdict";
import { TabTitle } from "../src/components/TabTitle";
import { TierBadge } from "../src/components/TierBadge";
import { Toasts } from "../src/components/Toasts";
import { WebSocketStatus } from "../src/components/WebSocketStatus";
import { useWebSocket } from "../src/hooks/useWebSocket";
import type { OpsSummary } from "../src/realtime/ops-summary";
import { connected, newSignal, pong, signal } from "./support";
import { newVisit } from "./visit";

type Visit = ReturnType<typeof newVisit>;

let left: string[] = [];

function Page() {
  return (
    <KnownSignals value={[]}>
      <WebSocketStatus isPolling pollEvery={30_000} />
      <TierBadge tier={useWebSocket().tier} />
      <ConnectionBanner pollEvery={30_000} unreachable={false} onLeave={(reason) => left.push(reason)} />
      <Toasts />
      <TabTitle />
    </KnownSignals>
  );
}

const pass = (ms: number) => act(() => vi.advanceTimersByTimeAsync(ms));

async function shown(): Promise<Visit & { says: (frame: object) => void; ends: (code: number, why?: string) => void }> {
  const visit = newVisit();
  render(<Page />, { wrapper: visit.wrapper });
  await pass(1);
  return {
    ...visit,
    says: (frame) => act(() => visit.sockets.at(-1)?.says(frame as Record<string, unknown>)),
    ends: (code, why) => act(() => visit.sockets.at(-1)?.ends(code, why)),
  };
}

const status = () => screen.getByTestId("status");
const details = () => screen.getByRole("tooltip", { hidden: true });

beforeEach(() => {
  vi.useFakeTimers();
  left = [];
});
afterEach(() => {
  cleanup();
  vi.useRealTimers();
});

describe("the connection's word", () => {
  it("is Connecting, Live or Offline, for eyes and for screen readers", async () => {
    const { says, ends } = await shown();
    expect(status().textContent).toBe("Connecting");
    says(connected());
    expect(status().textContent).toBe("Live");
    expect(status().getAttribute("aria-label")).toBe("Connection: Live");
    says({ type: "stale", server_timestamp: 1 });
    expect(status().textContent).toBe("Live");
    expect(status().getAttribute("aria-label")).toBe("Connection: Live, but no news from the source");
    ends(1006);
    expect(status().textContent).toBe("Offline");
    await pass(500);
    expect(status().textContent).toBe("Offline"); // while it tries again: no flicker
  });

  it("tells the rest on hover and on focus, and Escape hides it", async () => {
    await shown();
    expect(details().hidden).toBe(true);
    expect(status().getAttribute("aria-describedby")).toBe(details().id);
    act(() => status().focus());
    expect(details().hidden).toBe(false);
    fireEvent.keyDown(document.body, { key: "Escape" });
    expect(details().hidden).toBe(true);
    fireEvent.mouseEnter(status().parentElement as HTMLElement);
    expect(details().hidden).toBe(false);
    fireEvent.mouseLeave(status().parentElement as HTMLElement);
    expect(details().hidden).toBe(true);
  });

  it("knows transport, latency, last signal and the next attempt", async () => {
    const { says, ends } = await shown();
    says(connected());
    await pass(40);
    says(pong);
    says(newSignal(signal()));
    act(() => status().focus());
    await pass(3_100);
    expect(details().textContent).toContain("TransportWebSocket");
    expect(details().textContent).toContain("Latency40 ms round trip");
    expect(details().textContent).toContain("Last signal3 s ago");
    says({ type: "reconnect", retry_after_ms: 7_000, cursor: "c" });
    ends(4001);
    await pass(1_000);
    expect(details().textContent).toContain("TransportPolling every 30 s");
    expect(details().textContent).toMatch(/ReconnectingIn [67] s/);
    expect(details().textContent).toContain("ReasonThis server is being restarted");
    await pass(4_000);
    expect(details().textContent).toMatch(/ReconnectingIn [23] s/);
  });
});

describe("the banner", () => {
  it("says what being offline means, once a first try has failed, and tries at once when told to", async () => {
    const { sockets, says, ends } = await shown();
    says(connected());
    ends(1006);
    expect(screen.queryByTestId("offline")).toBeNull();
    await pass(500);
    ends(1006);
    expect(screen.getByTestId("offline").textContent).toContain("New signals are fetched every 30 s instead");
    fireEvent.click(screen.getByRole("button", { name: "Reconnect now" }));
    await pass(1);
    expect(sockets).toHaveLength(3);
    says(connected());
    expect(screen.queryByTestId("offline")).toBeNull();
  });

  it("offers to sign in again when the token is the trouble, and to try again when it is not", async () => {
    const { sockets, ends } = await shown();
    ends(4502, "5 connections are open");
    expect(screen.getByRole("alert").textContent).toContain("close another tab");
    fireEvent.click(screen.getByRole("button", { name: "Try again" }));
    await pass(1);
    expect(sockets).toHaveLength(2);
    ends(4500, "the token was revoked");
    fireEvent.click(screen.getByRole("button", { name: "Sign in again" }));
    expect(left).toEqual(["The token was revoked"]);
  });
});

describe("toasts", () => {
  it("tell of a change of tier, and the badge changes with it", async () => {
    const { says } = await shown();
    says(connected({ user_tier: "starter" }));
    expect(screen.getByTestId("tier").textContent).toContain("Starter");
    says({ type: "tier_changed", user_tier: "pro", previous_tier: "starter", reason: "paid", cursor: "c" });
    expect(screen.getByTestId("tier").textContent).toContain("Pro");
    expect(screen.getByTestId("toast-tier").textContent).toContain("You are on Pro now. Premium signals arrive");
    await pass(8_000);
    expect(screen.queryByTestId("toast-tier")).toBeNull();
    says({ type: "tier_changed", user_tier: "starter", previous_tier: "pro", reason: "unverified", cursor: "c" });
    expect(screen.getByTestId("toast-tier").textContent).toContain("cannot be verified");
  });

  it("tell of a silent source until it is heard again, and of a restart until another server answers", async () => {
    const { says, ends } = await shown();
    says(connected());
    says({ type: "stale", server_timestamp: 1 });
    await pass(9_000);
    expect(screen.getByTestId("toast-stale").textContent).toContain("The newest may be missing");
    says({ type: "fresh", server_timestamp: 2 });
    expect(screen.queryByTestId("toast-stale")).toBeNull();
    says({ type: "stale", server_timestamp: 3 });
    ends(1006);
    expect(screen.queryByTestId("toast-stale")).toBeNull();
    await pass(500);
    says(connected());
    says({ type: "reconnect", retry_after_ms: 100, cursor: "c" });
    expect(screen.getByTestId("toast-reconnect").textContent).toContain("Moving to another one");
    ends(4001);
    await pass(100);
    says(connected());
    expect(screen.queryByTestId("toast-reconnect")).toBeNull();
    says({ type: "reconnect", retry_after_ms: 100, cursor: "c" });
    fireEvent.click(screen.getByRole("button", { name: "Dismiss" }));
    expect(screen.queryByTestId("toast-reconnect")).toBeNull();
  });
});

describe("the operators' verdict", () => {
  const log = { epoch: "e", head: 10, applied: 10, missing: 0 };
  const well: OpsSummary = {
    ...{ replica: "a", at: 1, connections: {}, users: 0, signals_per_second: 0, hops: {} },
    ...{ logs: { signals: log, tiers: log }, stale: false, silent_seconds: 0.2, dead_letters: 0 },
  };
  const behind = { ...well, logs: { signals: { ...log, missing: 3 }, tiers: log } };
  it.each<[string, OpsSummary, OpsSummary | null, string]>([
    ["all is well", well, null, "Everything is in order"],
    ["a lag is there once", behind, well, "Everything is in order"],
    ["a lag stays", behind, behind, "lags behind the log of signals by 3"],
    ["ingest is silent", { ...well, stale: true }, well, "Ingest is silent"],
    ["dead letters wait", { ...well, dead_letters: 2 }, well, "2 dead letters wait: tiercast-ingest dead list"],
    ["ingest cannot be asked", { ...well, dead_letters: null }, well, "cannot be asked for its dead letters"],
  ])("when %s", (_when, summary, before, text) => {
    render(<OpsVerdict summary={summary} before={before} />);
    expect(screen.getByRole("region", { name: "Verdict" }).textContent).toContain(text);
  });
});

it("says that it broke, instead of showing nothing", () => {
  vi.spyOn(console, "error").mockImplementation(() => undefined); // React's own report
  const Wrong = () => {
    throw new Error("a mistake");
  };
  render(
    <Breakdown>
      <Wrong />
    </Breakdown>,
  );
  expect(screen.getByRole("alert").textContent).toContain("This page broke");
  expect(screen.getByRole("button", { name: "Load it anew" })).toBeTruthy();
});

describe("the tab's title", () => {
  it("counts what comes while nobody looks, and says when nothing comes live", async () => {
    const { says, ends } = await shown();
    says(connected());
    says(newSignal(signal()));
    expect(document.title).toBe("Tiercast");
    const hidden = vi.spyOn(document, "hidden", "get").mockReturnValue(true);
    says(newSignal(signal()));
    says(newSignal(signal()));
    expect(document.title).toBe("(2) Tiercast");
    ends(1006);
    expect(document.title).toBe("(2) Offline · Tiercast");
    hidden.mockReturnValue(false);
    act(() => {
      document.dispatchEvent(new Event("visibilitychange"));
    });
    expect(document.title).toBe("Offline · Tiercast");
  });
});
