// @vitest-environment node
import { describe, expect, it, vi } from "vitest";
import { backoff } from "../src/realtime/backoff";
import { parseFrame } from "../src/realtime/frames";
import { SignalList } from "../src/realtime/signal-list";
import { IllegalTransition, type State, transition } from "../src/realtime/states";
import { claimsOf, fixedToken, reused, type Token } from "../src/realtime/token";
import { connected, jwt, newSignal, pong, signal } from "./support";

const EXAMPLES = import.meta.glob<string>("../../../shared/examples/frames/*.json", {
  query: "?raw",
  import: "default",
  eager: true,
});

describe("states", () => {
  const legal = [
    "idle>connecting",
    "connecting>open",
    "connecting>backing-off",
    "connecting>closed",
    "open>backing-off",
  ];
  legal.push("open>closed", "backing-off>connecting", "backing-off>closed", "closed>connecting");
  const states: State[] = ["idle", "connecting", "open", "backing-off", "closed"];
  it.each(states.flatMap((from) => states.map((to) => [from, to] as const)))("%s → %s", (from, to) => {
    if (legal.includes(`${from}>${to}`)) expect(transition(from, to)).toBe(to);
    else expect(() => transition(from, to)).toThrow(IllegalTransition);
  });
});

describe("backoff", () => {
  it("stays within its bounds and reaches both", () => {
    for (let attempt = 0; attempt < 2000; attempt += 1) {
      const ceiling = Math.min(30_000, 1000 * 2 ** attempt);
      expect(backoff(attempt, () => 0)).toBe(500);
      expect(backoff(attempt, () => 1)).toBe(ceiling);
      const wait = backoff(attempt);
      expect(wait).toBeGreaterThanOrEqual(500);
      expect(wait).toBeLessThanOrEqual(ceiling);
    }
  });
});

describe("frames", () => {
  const server = Object.entries(EXAMPLES).filter(([path]) => !path.includes("/client-"));
  it("has the examples that every other reader has", () => expect(server.length).toBeGreaterThan(10));
  it.each(server)("understands %s", (_path, text) => {
    expect(parseFrame(text)).toMatchObject({ type: JSON.parse(text).type });
  });

  const good = newSignal(signal());
  it.each([
    ["no JSON", "{"],
    ["binary", new ArrayBuffer(3)],
    ["no object", "7"],
    ["no type", "{}"],
    ["an unknown type", JSON.stringify({ ...pong, type: "pung" })],
    ["a missing field", JSON.stringify({ ...connected(), cursor: undefined })],
    ["an unknown tier", JSON.stringify(connected({ user_tier: "platinum" }))],
    ["a price of 0", JSON.stringify({ ...good, data: { ...good.data, entry_price: 0 } })],
    ["a confidence of 101", JSON.stringify({ ...good, data: { ...good.data, confidence: 101 } })],
    ["another action", JSON.stringify({ ...good, data: { ...good.data, action: "HOLD" } })],
    ["markup for an id", JSON.stringify({ ...good, data: { ...good.data, id: "<img>" } })],
  ])("refuses %s", (_what, frame) => expect(parseFrame(frame)).toBeNull());

  it("ignores fields it does not know", () => {
    expect(parseFrame(JSON.stringify({ ...good, data: { ...good.data, novel: 1 }, novel: 2 }))).toMatchObject({
      type: "new_signal",
    });
  });
});

describe("tokens", () => {
  it("are read for what they say of themselves", async () => {
    const exp = Math.floor(Date.now() / 1000) + 100;
    const token = jwt({ sub: "zoë", exp, scope: "ops other" });
    expect(claimsOf(token)).toMatchObject({ exp, scope: "ops other" });
    expect((await fixedToken(token)()).expiresIn).toBeGreaterThan(90);
  });
  it("are fetched once for requests, until four fifths of their life are over or fetching fails", async () => {
    vi.useFakeTimers();
    const answers: (() => Promise<Token>)[] = [
      () => Promise.reject(new TypeError("network")),
      async () => ({ token: "a", expiresIn: 100 }),
      async () => ({ token: "b", expiresIn: null }),
    ];
    const source = reused(() => (answers.shift() as () => Promise<Token>)());
    const [first, second] = [source(), source()];
    await expect(first).rejects.toThrow("network");
    await expect(second).rejects.toThrow("network");
    expect((await source()).token).toBe("a");
    vi.advanceTimersByTime(79_999);
    expect((await source()).token).toBe("a");
    vi.advanceTimersByTime(1);
    expect((await source()).token).toBe("b");
    vi.advanceTimersByTime(3_600_000);
    expect((await source()).token).toBe("b");
    vi.useRealTimers();
  });
  it.each(["", "abc", "a.b.c", "a.bnVsbA.c", `..`])("refuses %j", (text) => expect(claimsOf(text)).toBeNull());
});

describe("the list of signals", () => {
  const frames: (() => void)[] = [];
  const list = (limit: number) => new SignalList(limit, (then) => frames.push(then));
  const draw = () => {
    for (const frame of frames.splice(0)) frame();
  };

  it("keeps each once, newest first by time and then id, whatever the order of arrival", () => {
    const [a, b, c] = [
      signal({ server_timestamp: 1 }),
      signal({ server_timestamp: 2 }),
      signal({ server_timestamp: 2 }),
    ];
    const made = list(10);
    made.add([b, a]);
    made.add([c, b, a]);
    draw();
    made.add([a, c]);
    draw();
    expect(made.getSnapshot()).toEqual([c, b, a]);
  });

  it("tells once per frame however much arrives", () => {
    const made = list(500);
    let told = 0;
    made.subscribe(() => {
      told += 1;
    });
    for (let number = 0; number < 200; number += 1) made.add([signal()]);
    expect(told).toBe(0);
    draw();
    expect(told).toBe(1);
    expect(made.getSnapshot()).toHaveLength(200);
  });

  it("is bounded, in what it shows and in what waits for a frame that never comes", () => {
    const made = list(50);
    let newest = signal();
    for (let number = 0; number < 1000; number += 1) {
      newest = signal();
      made.add([newest]);
    }
    expect(made.getSnapshot().length).toBe(50);
    draw();
    expect(made.getSnapshot()).toHaveLength(50);
    expect(made.getSnapshot()[0]).toBe(newest);
  });

  it("forgets what may no longer be shown", () => {
    const made = list(10);
    const [mine, theirs] = [signal(), signal({ type: "PREMIUM", confidence: 90 })];
    made.add([mine, theirs]);
    made.retain((each) => each.type === "STANDARD");
    draw();
    expect(made.getSnapshot()).toEqual([mine]);
  });
});
