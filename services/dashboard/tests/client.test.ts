// @vitest-environment node
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { RealtimeClient, type RealtimeOptions } from "../src/realtime/client";
import { SignedOut, type Token } from "../src/realtime/token";
import { connected, FakeSocket, newSignal, pong, signal } from "./support";

let sockets: FakeSocket[] = [];
let tokens: (() => Promise<Token>)[] = [];

function client(options: Partial<RealtimeOptions> = {}): RealtimeClient {
  return new RealtimeClient({
    url: "ws://test/ws/signals",
    token: () => (tokens.shift() ?? (async () => ({ token: "t", expiresIn: null })))(),
    createSocket: (url, protocols) => {
      const socket = new FakeSocket(url, protocols);
      sockets.push(socket);
      return socket;
    },
    random: () => 0,
    ...options,
  });
}

const settle = () => vi.advanceTimersByTimeAsync(0);

function last(): FakeSocket {
  const socket = sockets.at(-1);
  if (socket === undefined) throw new Error("no socket was made");
  return socket;
}

async function opened(options: Partial<RealtimeOptions> = {}): Promise<RealtimeClient> {
  const made = client(options);
  made.start();
  await settle();
  last().says(connected());
  return made;
}

beforeEach(() => {
  vi.useFakeTimers();
  sockets = [];
  tokens = [];
});
afterEach(() => vi.useRealTimers());

describe("connecting", () => {
  it("shows the token as a subprotocol and is open only once the server says so", async () => {
    const made = client();
    expect(made.getSnapshot().state).toBe("idle");
    made.start();
    expect(made.getSnapshot().state).toBe("connecting");
    await settle();
    expect(last().protocols).toEqual(["tiercast.v1", "bearer.t"]);
    expect(last().url).toBe("ws://test/ws/signals");
    last().says(connected());
    expect(made.getSnapshot()).toMatchObject({ state: "open", tier: "pro", problem: null });
  });

  it("fetches a token before each connect", async () => {
    tokens = ["first", "second"].map((token) => async () => ({ token, expiresIn: null }));
    await opened();
    last().ends(1006);
    await vi.advanceTimersByTimeAsync(500);
    expect(sockets.map((socket) => socket.protocols[1])).toEqual(["bearer.first", "bearer.second"]);
  });

  it("stops when there is no session, and backs off when the token cannot be fetched", async () => {
    tokens = [() => Promise.reject(new SignedOut())];
    const out = client();
    out.start();
    await settle();
    expect(out.getSnapshot()).toMatchObject({ state: "closed", problem: { code: "signed_out" } });
    tokens = [() => Promise.reject(new TypeError("network"))];
    out.start();
    await settle();
    expect(out.getSnapshot().state).toBe("backing-off");
  });

  it("gives up on a server that never says connected", async () => {
    const made = client();
    made.start();
    await settle();
    await vi.advanceTimersByTimeAsync(15_000);
    expect(last().closed).toBe(true);
    expect(made.getSnapshot()).toMatchObject({ state: "backing-off", attempt: 1 });
  });

  it("ignores what an earlier socket still says", async () => {
    const made = await opened();
    const first = last();
    const listen = first.onmessage;
    first.ends(1006);
    await vi.advanceTimersByTimeAsync(500);
    last().says(connected({ user_tier: "elite" }));
    listen?.({
      data: JSON.stringify({
        type: "tier_changed",
        user_tier: "starter",
        previous_tier: "pro",
        reason: "",
        cursor: "x",
      }),
    } as MessageEvent);
    expect(made.getSnapshot().tier).toBe("elite");
  });
});

describe("coming back", () => {
  it("resumes from the last cursor it has seen", async () => {
    await opened();
    last().says(newSignal(signal(), { cursor: "a+b/c" }));
    last().ends(1006);
    await vi.advanceTimersByTimeAsync(500);
    expect(last().url).toBe("ws://test/ws/signals?cursor=a%2Bb%2Fc");
  });

  it("waits longer after each failure and starts over once a connection has held", async () => {
    const made = client({ random: () => 1 });
    made.start();
    for (const wait of [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]) {
      await settle();
      last().ends(1006);
      expect(made.getSnapshot().retryAt).toBe(Date.now() + wait);
      await vi.advanceTimersByTimeAsync(wait - 1);
      expect(made.getSnapshot().state).toBe("backing-off");
      await vi.advanceTimersByTimeAsync(1);
      expect(made.getSnapshot().state).toBe("connecting");
    }
    await settle();
    last().says(connected());
    last().says(pong);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(made.getSnapshot().attempt).toBe(0);
    last().ends(1006);
    expect(made.getSnapshot().retryAt).toBe(Date.now() + 1000);
  });

  it("does not wait once the browser is online again or the tab awake", async () => {
    const made = await opened();
    last().ends(1006);
    made.wake();
    expect(made.getSnapshot().state).toBe("connecting");
    await settle();
    expect(sockets).toHaveLength(2);
  });

  it("waits as long as a draining server asks, waking or not, and only once", async () => {
    const made = await opened();
    last().says({ type: "reconnect", retry_after_ms: 7_000, cursor: "c9" });
    last().ends(4001);
    expect(made.getSnapshot().retryAt).toBe(Date.now() + 7_000);
    made.wake();
    expect(made.getSnapshot().state).toBe("backing-off");
    await vi.advanceTimersByTimeAsync(7_000);
    expect(last().url).toContain("cursor=c9");
    last().ends(1006);
    expect(made.getSnapshot().retryAt).toBe(Date.now() + 500);
  });

  it.each([4001, 4002, 4003, 4004, 4005, 1000, 1006, 1011])("comes back after %i", async (code) => {
    const made = await opened();
    last().ends(code);
    expect(made.getSnapshot().state).toBe("backing-off");
  });

  it.each([4500, 4501, 4502, 4503, 4999])("stops after %i and says why", async (code) => {
    const made = await opened();
    last().says({ type: "error", code: "told", message: "the token was revoked" });
    last().ends(code, "the token was revoked");
    expect(made.getSnapshot()).toMatchObject({ state: "closed", retryAt: null });
    expect(made.getSnapshot().problem).toMatchObject({ code: String(code) });
    expect(made.getSnapshot().problem?.text.toLowerCase()).toContain("the token was revoked");
    await vi.advanceTimersByTimeAsync(3_600_000);
    made.wake();
    expect(sockets).toHaveLength(1);
  });

  it("stops when told to and starts again when told to", async () => {
    const made = await opened();
    made.stop();
    expect(last().closed).toBe(true);
    expect(made.getSnapshot()).toMatchObject({ state: "closed", problem: null });
    made.stop();
    made.start();
    await settle();
    expect(sockets).toHaveLength(2);
  });

  it("forgets an attempt whose token comes after it was stopped", async () => {
    let fetched = 0;
    const made = client({ token: async () => ({ token: `t${(fetched += 1)}`, expiresIn: 100 }) });
    made.start();
    made.stop();
    await settle();
    expect(sockets).toHaveLength(0);
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect(fetched).toBe(1);
  });
});

describe("watching", () => {
  it("measures the round trip", async () => {
    const made = await opened();
    expect(last().sent).toEqual([{ type: "ping" }]);
    await vi.advanceTimersByTimeAsync(40);
    last().says(pong);
    expect(made.getSnapshot().latencyMs).toBe(40);
  });

  it("gives up on a connection that does not answer a ping", async () => {
    const made = await opened();
    last().says(pong);
    await vi.advanceTimersByTimeAsync(25_000);
    expect(last().sent).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(9_999);
    expect(made.getSnapshot().state).toBe("open");
    await vi.advanceTimersByTimeAsync(1);
    expect(made.getSnapshot().state).toBe("backing-off");
    expect(last().closed).toBe(true);
  });

  it("goes on asking for as long as it is answered", async () => {
    await opened();
    const pings = () => last().sent.filter((message) => message.type === "ping").length;
    for (let minute = 0; minute < 5; minute += 1) {
      last().says(pong);
      await vi.advanceTimersByTimeAsync(25_000);
      expect(pings()).toBe(minute + 2);
    }
  });

  it("takes any frame for a sign of life", async () => {
    const made = await opened();
    await vi.advanceTimersByTimeAsync(9_000);
    last().says(newSignal(signal()));
    await vi.advanceTimersByTimeAsync(9_000);
    expect(made.getSnapshot().state).toBe("open");
  });

  it("looks after a connection at once when the tab wakes", async () => {
    const made = await opened();
    last().says(pong);
    made.wake();
    expect(last().sent).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(made.getSnapshot().state).toBe("backing-off");
  });
});

describe("the token on a live socket", () => {
  const auths = () => last().sent.filter((message) => message.type === "auth");

  it("is renewed at four fifths of its life", async () => {
    tokens = [
      async () => ({ token: "old", expiresIn: 100 }),
      () => Promise.reject(new TypeError("network")),
      async () => ({ token: "new", expiresIn: 100 }),
    ];
    await opened();
    const alive = setInterval(() => last().says(pong), 5_000);
    await vi.advanceTimersByTimeAsync(80_000);
    expect(auths()).toEqual([]);
    await vi.advanceTimersByTimeAsync(30_000);
    expect(auths()).toEqual([{ type: "auth", token: "new" }]);
    expect(sockets).toHaveLength(1);
    clearInterval(alive);
  });

  it("is not shown again when it is still the same, and shown once it is another", async () => {
    const same = async () => ({ token: "t", expiresIn: 50 });
    tokens = [same, same, async () => ({ token: "new", expiresIn: null })];
    await opened();
    const alive = setInterval(() => last().says(pong), 5_000);
    await vi.advanceTimersByTimeAsync(79_000);
    expect(auths()).toEqual([]);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(auths()).toEqual([{ type: "auth", token: "new" }]);
    clearInterval(alive);
  });

  it("is renewed at once when the server says that it ends soon, but not again and again", async () => {
    let fetched = 0;
    const made = await opened({ token: async () => ({ token: `t${(fetched += 1)}`, expiresIn: null }) });
    const told = () => last().says({ type: "error", code: "token_expiring", message: "the token is about to expire" });
    const alive = setInterval(() => last().says(pong), 5_000);
    await vi.advanceTimersByTimeAsync(29_000);
    told();
    told();
    await vi.advanceTimersByTimeAsync(999);
    expect(auths()).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(auths()).toEqual([{ type: "auth", token: "t2" }]);
    await vi.advanceTimersByTimeAsync(29_000);
    expect(fetched).toBe(2);
    clearInterval(alive);
    last().ends(1006);
    expect(made.getSnapshot().problem?.text).toBe("The connection was lost");
  });

  it("is not renewed for a connection that is over", async () => {
    let fetched = 0;
    const made = await opened({ token: async () => ({ token: `t${(fetched += 1)}`, expiresIn: 100 }) });
    made.stop();
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect(fetched).toBe(1);
  });
});

describe("saying something", () => {
  it("waits for a connection, bounded, the oldest dropped first", async () => {
    const made = client();
    for (let number = 0; number < 150; number += 1) made.send({ type: "subscribe", symbols: [`S${number}`] });
    expect(made.waiting).toBe(100);
    made.start();
    await settle();
    expect(last().sent).toEqual([]);
    last().says(connected());
    const said = last().sent.filter((message) => message.type === "subscribe");
    expect(said).toHaveLength(100);
    expect(said[0]?.symbols).toEqual(["S50"]);
    made.send({ type: "unsubscribe", symbols: ["S50"] });
    expect(last().sent.at(-1)).toEqual({ type: "unsubscribe", symbols: ["S50"] });
  });
});

describe("frames", () => {
  it("tells of upstream's silence and of a change of tier", async () => {
    const made = await opened();
    last().says({ type: "stale", server_timestamp: 1 });
    expect(made.getSnapshot().stale).toBe(true);
    last().says({ type: "fresh", server_timestamp: 2 });
    expect(made.getSnapshot().stale).toBe(false);
    last().says({ type: "tier_changed", user_tier: "starter", previous_tier: "pro", reason: "x", cursor: "c" });
    expect(made.getSnapshot().tier).toBe("starter");
  });

  it("counts what is no frame and goes on", async () => {
    const made = await opened();
    const seen = vi.fn();
    made.onFrame(seen);
    for (const bad of ["", "{", "[]", '{"type":"new_signal"}', '{"type":"from_the_future"}']) last().says(bad);
    expect(made.badFrames).toBe(5);
    expect(seen).not.toHaveBeenCalled();
    expect(made.getSnapshot().state).toBe("open");
    last().says(newSignal(signal()));
    expect(seen).toHaveBeenCalledOnce();
    expect(made.lastSignalAt).toBe(Date.now());
  });

  it("changes its snapshot only when something changed, so that a listener may compare", async () => {
    const made = await opened();
    const before = made.getSnapshot();
    last().says(newSignal(signal()));
    expect(made.getSnapshot()).toBe(before);
  });
});
