import { act, cleanup, renderHook } from "@testing-library/react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { useEntry } from "../src/hooks/useEntry";
import { sessionToken } from "../src/realtime/api";
import { kept } from "../src/session";
import { jwt } from "./support";

type Answer = () => Promise<Response>;

const granted: Answer = async () => Response.json({ token: "short", expires_in: 900 });
const refused = (code: string, detail: string): Answer => {
  return async () => Response.json({ code, detail }, { status: 401 });
};
const noSession = refused("missing_session", "there is no session cookie, or none is accepted here");
const away: Answer = () => Promise.reject(new TypeError("network"));

let answer: Answer = noSession;
let asked: { path: unknown; options: RequestInit | undefined }[] = [];

const pass = (ms: number) => act(() => vi.advanceTimersByTimeAsync(ms));
const entered = async (handedOver: string | null = null) => {
  const hook = renderHook(() => useEntry(handedOver));
  await pass(1);
  return hook;
};

beforeEach(() => {
  vi.useFakeTimers();
  answer = noSession;
  asked = [];
  kept.clear();
  vi.stubGlobal("fetch", (path: unknown, options?: RequestInit) => {
    asked.push({ path, options });
    return answer();
  });
});
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

it("signs in by the session cookie of the host application", async () => {
  answer = granted;
  const { result } = await entered();
  expect(asked).toEqual([{ path: "/api/v1/auth/token", options: { credentials: "same-origin" } }]);
  expect(result.current.entry).toEqual({ as: "user", source: sessionToken });
  expect(await sessionToken()).toEqual({ token: "short", expiresIn: 900 });
});

it("prefers a token that was handed over, and keeps it for this tab", async () => {
  const token = jwt({ sub: "linked" });
  const { result } = await entered(token);
  expect(result.current.entry.as).toBe("user");
  expect(asked).toEqual([]);
  expect((await entered()).result.current.entry.as).toBe("user");
});

it("knows nobody without a session, and says what is wrong with a bad one", async () => {
  expect((await entered()).result.current.entry).toEqual({ as: "nobody", reason: null });
  answer = refused("invalid_token", "the session has expired");
  expect((await entered()).result.current.entry).toEqual({ as: "nobody", reason: "the session has expired" });
});

it("does not take a server that is away for being signed out, and asks again", async () => {
  answer = away;
  const { result } = await entered();
  expect(result.current.entry).toMatchObject({ as: "unknown", problem: "The server cannot be reached" });
  await pass(3_000);
  expect(result.current.entry).toMatchObject({ as: "unknown", problem: "The server cannot be reached" });
  expect(asked).toHaveLength(2);
  answer = granted;
  await pass(3_000);
  expect(result.current.entry.as).toBe("user");
});

it("notices who signed in elsewhere and comes back to this tab", async () => {
  const { result } = await entered();
  expect(await act(() => result.current.look())).toBe(false);
  answer = granted;
  document.dispatchEvent(new Event("visibilitychange"));
  await pass(1);
  expect(result.current.entry.as).toBe("user");
});

it("forgets the token of whom it is told to leave, and keeps the reason in mind", async () => {
  const { result } = await entered(jwt({ sub: "late" }));
  act(() => result.current.leave("The token has expired"));
  expect(kept.get()).toBeNull();
  await pass(1);
  expect(result.current.entry).toEqual({ as: "nobody", reason: "The token has expired" });
});

it("signs in even where the browser may remember nothing", async () => {
  vi.spyOn(window, "sessionStorage", "get").mockImplementation(() => {
    throw new DOMException("The operation is insecure", "SecurityError");
  });
  expect((await entered(jwt({ sub: "linked" }))).result.current.entry.as).toBe("user");
});
