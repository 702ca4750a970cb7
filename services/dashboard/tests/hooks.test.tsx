import { act, cleanup, renderHook } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { useHeld } from "../src/hooks/useHeld";
import { nextPoll } from "../src/hooks/polling";
import { type UseSignalsOptions, useSignals } from "../src/hooks/useSignals";
import { useWebSocket } from "../src/hooks/useWebSocket";
import { ApiError } from "../src/realtime/api";
import type { Signal, Tier } from "../src/realtime/frames";
import { SignedOut } from "../src/realtime/token";
import { connected, type FakeSocket, newSignal, pong, signal } from "./support";
import { newVisit } from "./visit";

/** What the server has, newest first; a cursor is the id of the last signal it covers. */
let log: Signal[] = [];
let asked: URL[] = [];
let refusal: { status: number; headers?: Record<string, string> } | null = null;
let sockets: FakeSocket[] = [];

async function server(path: string | URL | Request): Promise<Response> {
  const url = new URL(String(path), "http://test");
  asked.push(url);
  if (refusal !== null) {
    const headers = refusal.headers ?? {};
    return new Response(JSON.stringify({ detail: "not now" }), { status: refusal.status, headers });
  }
  const limit = Number(url.searchParams.get("limit"));
  const wanted = log.filter((each) => url.searchParams.get("premium_only") === "false" || each.type === "PREMIUM");
  const after = url.searchParams.get("after");
  const from = after === null ? -1 : wanted.findIndex((each) => each.id === after || `cursor-${each.id}` === after);
  const all = from < 0 ? wanted.slice(0, limit) : wanted.slice(0, from);
  const page = from < 0 ? all : all.slice(Math.max(0, all.length - limit));
  const more = String(page.length < all.length);
  const headers = { "X-Tiercast-Cursor": page[0]?.id ?? after ?? "start", "X-Tiercast-More": more };
  return new Response(JSON.stringify(page), { headers });
}

function rendered(options: UseSignalsOptions = {}) {
  const visit = newVisit();
  sockets = visit.sockets;
  let renders = 0;
  const hook = renderHook(
    () => {
      renders += 1;
      return { ...useSignals(options), socket: useWebSocket() };
    },
    { wrapper: visit.wrapper },
  );
  return { ...hook, client: visit.client, renders: () => renders };
}

const pass = (ms: number) => act(() => vi.advanceTimersByTimeAsync(ms));
const says = (frame: Record<string, unknown>) =>
  act(async () => {
    sockets.at(-1)?.says(frame);
    await vi.advanceTimersByTimeAsync(20);
  });
const ends = (code: number) =>
  act(async () => {
    sockets.at(-1)?.ends(code);
    await vi.advanceTimersByTimeAsync(20);
  });

beforeEach(() => {
  vi.useFakeTimers({
    toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date", "requestAnimationFrame"],
  });
  vi.stubGlobal("fetch", server);
  log = [signal(), signal(), signal()].reverse();
  asked = [];
  refusal = null;
  sockets = [];
});
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

describe("the rule of polling", () => {
  const rule = { autoPoll: true, pollInterval: 10_000, useWebSocket: true, isConnected: false };
  it.each([
    [{ ...rule, isConnected: true }, false],
    [rule, 20_000],
    [{ ...rule, pollInterval: 30_000 }, 60_000],
    [{ ...rule, pollInterval: 45_000 }, 60_000],
    [{ ...rule, useWebSocket: false, isConnected: true }, 10_000],
    [{ ...rule, autoPoll: false }, false],
    [{ ...rule, error: new ApiError(429, "too many", "rate_limited", 33) }, 33_000],
    [{ ...rule, error: new ApiError(503, "away", "", 1) }, 20_000],
    [{ ...rule, error: new ApiError(401, "the token has expired") }, false],
    [{ ...rule, error: new SignedOut() }, false],
  ])("%o → %s", (given, expected) => expect(nextPoll(given)).toBe(expected));
});

describe("useSignals", () => {
  it("answers what it promises, and nothing else", async () => {
    const { wrapper } = newVisit();
    const { result } = renderHook(() => useSignals(), { wrapper });
    expect(Object.keys(result.current).sort()).toEqual(
      [
        ...["signals", "isLoading", "error", "refresh", "isPolling"],
        ...["isWebSocketConnected", "isWebSocketConnecting", "lastUpdate"],
      ].sort(),
    );
    await pass(20);
  });

  it("loads, says how it stands, and hears live signals without asking again", async () => {
    const { result } = rendered();
    expect(result.current).toMatchObject({ signals: [], isLoading: true, error: null, isWebSocketConnecting: true });
    await pass(20);
    expect(result.current.signals).toEqual(log);
    await says(connected());
    expect(result.current).toMatchObject({ isLoading: false, isPolling: false, isWebSocketConnected: true });
    const calls = asked.length;
    expect(calls).toBe(2); // at the start, and once to catch up
    const live = signal();
    await says(newSignal(live));
    expect(result.current.signals).toEqual([live, ...log]);
    expect(result.current.lastUpdate?.getTime()).toBe(Date.now() - 20);
    const alive = setInterval(() => sockets.at(-1)?.says(pong), 5_000);
    await pass(20 * 60_000);
    clearInterval(alive);
    expect(asked.length).toBe(calls);
  });

  it("polls while the socket is down, catches up once at each change, and misses and doubles nothing", async () => {
    const { result } = rendered({ pollInterval: 10_000 });
    await pass(20);
    await says(connected());
    const before = asked.length;
    log = [signal(), ...log];
    await ends(1006);
    expect(asked.length).toBe(before + 1);
    expect(result.current).toMatchObject({ isPolling: true, isWebSocketConnected: false, signals: log });
    log = [signal(), signal()].reverse().concat(log);
    await pass(20_000);
    expect(asked.length).toBe(before + 2);
    expect(result.current.signals).toEqual(log);
    const again = log[0] as Signal;
    await says(connected({ recovered: true }));
    expect(asked.length).toBe(before + 3);
    await says(newSignal(again, { replay: true }));
    expect(result.current.signals).toEqual(log);
    expect(result.current.isPolling).toBe(false);
  });

  it("asks only for what follows", async () => {
    const { result } = rendered({ limit: 2000, useWebSocket: false, pollInterval: 5_000 });
    await pass(20);
    const newest = log[0] as Signal;
    log = [...Array.from({ length: 1500 }, () => signal()).reverse(), ...log];
    await pass(5_000);
    expect(asked.slice(1).map((url) => url.searchParams.get("after"))).toEqual([newest.id, (log[500] as Signal).id]);
    expect(result.current.signals).toEqual(log);
  });

  it("does not poll when told not to, and refreshes when asked", async () => {
    const { result } = rendered({ autoPoll: false, useWebSocket: false });
    await pass(60_000);
    expect(asked.length).toBe(1);
    log = [signal(), ...log];
    await act(() => result.current.refresh());
    await pass(20);
    expect(result.current.signals).toEqual(log);
  });

  it("says what went wrong, waits as long as it is asked to, and recovers", async () => {
    refusal = { status: 429, headers: { "Retry-After": "90" } };
    const { result } = rendered({ useWebSocket: false, pollInterval: 1_000 });
    await pass(20);
    expect(result.current).toMatchObject({ isLoading: false, error: { status: 429, message: "not now" } });
    refusal = null;
    await pass(89_000);
    expect(asked.length).toBe(1);
    await pass(2_000);
    expect(result.current).toMatchObject({ error: null, signals: log });
  });

  it("keeps premium signals only, when told to", async () => {
    const treasure = signal({ type: "PREMIUM", confidence: 90 });
    log = [treasure, ...log];
    const { result } = rendered({ premiumOnly: true });
    await pass(20);
    await says(connected());
    await says(newSignal(signal()));
    const live = signal({ type: "PREMIUM", confidence: 99 });
    await says(newSignal(live));
    expect(result.current.signals).toEqual([live, treasure]);
  });

  it("follows the tier: premium goes with a downgrade and its history comes with an upgrade", async () => {
    const treasure = signal({ type: "PREMIUM", confidence: 90 });
    const { result } = rendered();
    await pass(20);
    await says(connected());
    await says(newSignal(treasure));
    expect(result.current.signals).toContainEqual(treasure);
    const change = { type: "tier_changed", reason: "x", cursor: "c" };
    await says({ ...change, user_tier: "starter", previous_tier: "pro" });
    expect(result.current.socket.tier).toBe("starter");
    expect(result.current.signals).toEqual(log);
    log = [treasure, ...log];
    await says({ ...change, user_tier: "elite", previous_tier: "starter" });
    expect(result.current.signals).toEqual(log);
    expect(asked.at(-1)?.searchParams.get("after")).toBeNull();
  });

  it("fetches anew when told that not everything can be replayed", async () => {
    const { result } = rendered();
    await pass(20);
    await says(connected());
    log = [signal(), ...log];
    await says({ type: "resync_required", reason: "too_slow", cursor: "c" });
    expect(result.current.signals).toEqual(log);
  });

  it("renders once per animation frame at any rate, and keeps a bounded list", async () => {
    const { result, renders } = rendered({ limit: 50 });
    await pass(20);
    await says(connected());
    await pass(100);
    const before = renders();
    await act(async () => {
      for (let number = 0; number < 500; number += 1) sockets.at(-1)?.says(newSignal(signal()));
      await vi.advanceTimersByTimeAsync(20);
    });
    expect(renders() - before).toBe(1);
    expect(result.current.signals).toHaveLength(50);
  });

  it("hears nothing of the socket when told not to listen", async () => {
    const { result } = rendered({ useWebSocket: false });
    await pass(20);
    await says(connected());
    await says(newSignal(signal()));
    expect(result.current).toMatchObject({ signals: log, isWebSocketConnected: false, isPolling: true });
  });

  it("closes the connection when it is unmounted", async () => {
    const { unmount, client } = rendered();
    await pass(20);
    await says(connected());
    unmount();
    expect(client.getSnapshot().state).toBe("closed");
    expect(sockets.at(-1)?.closed).toBe(true);
  });
});

describe("waking", () => {
  const dropped = async () => {
    rendered();
    await pass(20);
    await says(connected());
    await ends(1006);
  };
  const visibility = (state: DocumentVisibilityState) => {
    vi.spyOn(document, "visibilityState", "get").mockReturnValue(state);
    document.dispatchEvent(new Event("visibilitychange"));
  };

  it("reconnects at once when the browser is online again", async () => {
    await dropped();
    window.dispatchEvent(new Event("online"));
    await pass(1);
    expect(sockets).toHaveLength(2);
  });

  it("reconnects at once when the tab comes to the front, and not when it goes to the back", async () => {
    await dropped();
    visibility("hidden");
    await pass(1);
    expect(sockets).toHaveLength(1);
    visibility("visible");
    await pass(1);
    expect(sockets).toHaveLength(2);
  });

  it("reconnects at once when the page comes back out of the browser's cache", async () => {
    await dropped();
    window.dispatchEvent(new Event("pageshow"));
    await pass(1);
    expect(sockets).toHaveLength(2);
  });
});

describe("useHeld", () => {
  const [a, b, c] = [signal(), signal(), signal()];
  const held = (newest: Signal[], reading: boolean, tier: Tier = "pro") => ({ newest, reading, tier });

  it("stands still while somebody reads and catches up afterwards", () => {
    const { result, rerender } = renderHook(({ newest, reading, tier }) => useHeld(newest, reading, tier), {
      initialProps: held([a], false),
    });
    rerender(held([b, a], true));
    expect(result.current).toEqual([b, a]);
    rerender(held([c, b, a], true));
    expect(result.current).toEqual([b, a]);
    rerender(held([c, b, a], false));
    expect(result.current).toEqual([c, b, a]);
  });

  it("shows nothing that a lower tier may not see, even to who reads", () => {
    const { result, rerender } = renderHook(({ newest, reading, tier }) => useHeld(newest, reading, tier), {
      initialProps: held([b, a], true),
    });
    rerender(held([c, a], true, "starter"));
    expect(result.current).toEqual([c, a]);
  });
});
