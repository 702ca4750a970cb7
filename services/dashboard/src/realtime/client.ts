/**
 * The live connection, without any framework: it connects, resumes, watches, backs off and stops, and tells its listeners.
 *
 * idle → connecting → open ⇄ backing-off, and closed when coming back would not help. `open` means that the server has said
 * `connected`: a token that is refused never gets there.
 */

import { backoff } from "./backoff";
import { closeReason, mayReconnect } from "./close-codes";
import { type ClientMessage, parseFrame, type ServerFrame, type Tier } from "./frames";
import { Outbox } from "./outbox";
import { type State, transition } from "./states";
import { Listeners } from "./subscribable";
import { Timers } from "./timers";
import { SignedOut, type TokenSource } from "./token";

export const SUBPROTOCOL = "tiercast.v1";
/** From the first attempt to `connected`. */
const OPEN_WITHIN_MS = 15_000;
/** The server answers a ping at once; a connection that says nothing for so long after one is dead. */
const PONG_WITHIN_MS = 10_000;
const LONGEST_PING_INTERVAL_MS = 25_000;
/** A connection that held for so long makes earlier failures forgotten. */
const STABLE_AFTER_MS = 10_000;
const REFRESH_RETRY_MS = 30_000;
const OUTBOX_CAPACITY = 100;
/** A close code of our own, as a browser reports a connection that was lost. */
const LOST = 1006;

export interface Problem {
  code: string;
  text: string;
}

export interface Snapshot {
  readonly state: State;
  /** Failures in a row. */
  readonly attempt: number;
  /** When the next attempt is due (milliseconds since 1970); null when none is. */
  readonly retryAt: number | null;
  readonly tier: Tier | null;
  /** Round trip of the last ping, in milliseconds. */
  readonly latencyMs: number | null;
  /** Whether the server has heard nothing from upstream. */
  readonly stale: boolean;
  /** Why it is closed, or what went wrong last. */
  readonly problem: Problem | null;
}

export interface Socket {
  readonly readyState: number;
  onmessage: ((event: MessageEvent) => void) | null;
  onclose: ((event: CloseEvent) => void) | null;
  send(data: string): void;
  close(): void;
}

export interface RealtimeOptions {
  /** `ws://…/ws/signals` */
  url: string;
  token: TokenSource;
  createSocket?: (url: string, protocols: string[]) => Socket;
  random?: () => number;
}

type TimerName = "open" | "retry" | "ping" | "pong" | "stable" | "refresh";

const INITIAL: Snapshot = {
  state: "idle",
  attempt: 0,
  retryAt: null,
  tier: null,
  latencyMs: null,
  stale: false,
  problem: null,
};

export class RealtimeClient {
  /** When the last signal came (milliseconds since 1970). Not in the snapshot: it changes with each of them. */
  lastSignalAt: number | null = null;
  /** Frames that were none. */
  badFrames = 0;
  /** Told of every frame that was understood. */
  readonly onFrame: (listener: (frame: ServerFrame) => void) => () => void;
  /** Told of every change of the snapshot. */
  readonly subscribe: (listener: () => void) => () => void;

  readonly #options: Required<RealtimeOptions>;
  readonly #changes = new Listeners();
  readonly #frames = new Listeners<[ServerFrame]>();
  readonly #timers = new Timers<TimerName>();
  readonly #outbox = new Outbox<ClientMessage>(OUTBOX_CAPACITY);
  #snapshot = INITIAL;
  #socket: Socket | null = null;
  /** Counts attempts: what belongs to an earlier one is ignored. */
  #generation = 0;
  #token = "";
  #cursor: string | null = null;
  #pingSentAt: number | null = null;
  /** The server's wish, from its last `reconnect`. */
  #retryAfterMs: number | null = null;
  #lastError: Problem | null = null;

  constructor(options: RealtimeOptions) {
    this.#options = {
      createSocket: (url, protocols) => new WebSocket(url, protocols),
      random: Math.random,
      ...options,
    };
    this.subscribe = this.#changes.add;
    this.onFrame = this.#frames.add;
  }

  getSnapshot = (): Snapshot => this.#snapshot;

  /** Where it would resume. */
  get cursor(): string | null {
    return this.#cursor;
  }

  /** Messages that wait for a connection. */
  get waiting(): number {
    return this.#outbox.size;
  }

  /** Connect, unless it is connected or at it. Also after it was closed, once something has changed. */
  start(): void {
    const { state } = this.#snapshot;
    if (state === "idle" || state === "closed") {
      this.#set({ attempt: 0, problem: null });
      void this.#connect();
    } else if (state === "backing-off") {
      void this.#connect();
    }
  }

  /** Close for good, until `start`. */
  stop(): void {
    const { state } = this.#snapshot;
    if (state !== "idle" && state !== "closed") this.#close(null);
  }

  /** The browser is back online, or the tab awake: come back at once, or see whether the connection still lives. */
  wake(): void {
    const { state } = this.#snapshot;
    if (state === "backing-off" && this.#retryAfterMs === null) void this.#connect();
    else if (state === "open") this.#ping();
  }

  /** Say something now, or when there is a connection; at most 100 messages wait, and the oldest give way. */
  send(message: ClientMessage): void {
    if (this.#snapshot.state === "open") this.#transmit(message);
    else this.#outbox.add(message);
  }

  // -- connecting --------------------------------------------------------------------------------

  async #connect(): Promise<void> {
    this.#timers.clearAll();
    this.#generation += 1;
    this.#retryAfterMs = null;
    this.#lastError = null;
    const generation = this.#generation;
    this.#become("connecting", { retryAt: null });
    this.#timers.set("open", OPEN_WITHIN_MS, () => this.#lost(LOST, "The server does not answer"));
    try {
      const token = await this.#options.token();
      if (generation !== this.#generation) return;
      this.#token = token.token;
      this.#open(generation);
      this.#refreshLater(token.expiresIn);
    } catch (error) {
      if (generation !== this.#generation) return;
      if (error instanceof SignedOut) this.#close({ code: "signed_out", text: error.message });
      else this.#lost(LOST, "No token could be fetched");
    }
  }

  #open(generation: number): void {
    const query = this.#cursor === null ? "" : `?cursor=${encodeURIComponent(this.#cursor)}`;
    const socket = this.#options.createSocket(this.#options.url + query, [SUBPROTOCOL, `bearer.${this.#token}`]);
    this.#socket = socket;
    socket.onmessage = (event) => {
      if (generation === this.#generation) this.#received(event.data);
    };
    socket.onclose = (event) => {
      if (generation === this.#generation) this.#lost(event.code, event.reason);
    };
  }

  #lost(code: number, reason = ""): void {
    const problem = this.#lastError ?? { code: String(code), text: closeReason(code) };
    if (!mayReconnect(code)) {
      this.#close({ code: String(code), text: reason ? `${closeReason(code)} (${reason})` : problem.text });
      return;
    }
    const { attempt } = this.#snapshot;
    const wait = this.#retryAfterMs ?? backoff(attempt, this.#options.random);
    this.#release();
    this.#become("backing-off", { attempt: attempt + 1, retryAt: Date.now() + wait, latencyMs: null, problem });
    this.#timers.set("retry", wait, () => void this.#connect());
  }

  #close(problem: Problem | null): void {
    this.#release();
    this.#become("closed", { retryAt: null, latencyMs: null, problem });
  }

  #release(): void {
    this.#generation += 1;
    this.#timers.clearAll();
    this.#pingSentAt = null;
    const socket = this.#socket;
    this.#socket = null;
    if (socket !== null) {
      socket.onmessage = socket.onclose = null;
      socket.close();
    }
  }

  // -- what the server says ----------------------------------------------------------------------

  #received(text: unknown): void {
    const frame = parseFrame(text);
    this.#timers.clear("pong"); // whatever it was, it was a sign of life
    if (frame === null) {
      this.badFrames += 1;
      return;
    }
    if ("cursor" in frame) this.#cursor = frame.cursor;
    this.#apply(frame);
    this.#frames.tell(frame);
  }

  #apply(frame: ServerFrame): void {
    switch (frame.type) {
      case "connected":
        this.#opened(frame.user_tier, frame.heartbeat_seconds);
        break;
      case "new_signal":
        this.lastSignalAt = Date.now();
        break;
      case "pong":
        if (this.#pingSentAt !== null) this.#set({ latencyMs: Date.now() - this.#pingSentAt });
        this.#pingSentAt = null;
        break;
      case "tier_changed":
        this.#set({ tier: frame.user_tier });
        break;
      case "stale":
      case "fresh":
        this.#set({ stale: frame.type === "stale" });
        break;
      case "reconnect":
        this.#retryAfterMs = frame.retry_after_ms;
        break;
      case "error":
        this.#lastError = { code: frame.code, text: frame.message };
        break;
    }
  }

  #opened(tier: Tier, heartbeatSeconds: number): void {
    if (this.#snapshot.state !== "connecting") return;
    this.#timers.clear("open");
    this.#become("open", { tier, stale: false, problem: null });
    this.#timers.set("stable", STABLE_AFTER_MS, () => this.#set({ attempt: 0 }));
    this.#pingEvery(Math.min(heartbeatSeconds * 1000, LONGEST_PING_INTERVAL_MS));
    this.#ping();
    for (const message of this.#outbox.take()) this.#transmit(message);
  }

  // -- signs of life, and the token --------------------------------------------------------------

  #pingEvery(ms: number): void {
    this.#timers.set("ping", ms, () => {
      this.#ping();
      this.#pingEvery(ms);
    });
  }

  #ping(): void {
    if (this.#timers.has("pong")) return;
    this.#pingSentAt = Date.now();
    this.#timers.set("pong", PONG_WITHIN_MS, () => this.#lost(LOST, "The connection fell silent"));
    this.#transmit({ type: "ping" });
  }

  #refreshLater(expiresIn: number | null): void {
    if (expiresIn !== null) this.#timers.set("refresh", expiresIn * 800, () => void this.#refresh());
  }

  /** Fetch a newer token at four fifths of its life and show it on the live socket. */
  async #refresh(): Promise<void> {
    const generation = this.#generation;
    try {
      const { token, expiresIn } = await this.#options.token();
      if (generation !== this.#generation || token === this.#token) return; // the same again: it cannot be renewed
      this.#token = token;
      this.send({ type: "auth", token });
      this.#refreshLater(expiresIn);
    } catch {
      if (generation === this.#generation) this.#timers.set("refresh", REFRESH_RETRY_MS, () => void this.#refresh());
    }
  }

  #transmit(message: ClientMessage): void {
    this.#socket?.send(JSON.stringify(message));
  }

  // -- state -------------------------------------------------------------------------------------

  #become(state: State, rest: Partial<Snapshot>): void {
    this.#set({ ...rest, state: transition(this.#snapshot.state, state) });
  }

  #set(part: Partial<Snapshot>): void {
    this.#snapshot = { ...this.#snapshot, ...part };
    this.#changes.tell();
  }
}
