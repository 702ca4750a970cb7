/**
 * The live connection, without any framework: it connects, resumes, watches, backs off and stops, and tells its listeners.
 *
 * idle → connecting → open ⇄ backing-off, and closed when coming back would not help. `open` means that the server has said
 * `connected`: a token that is refused never gets there.
 */

import { backoff } from "./backoff";
import { closeReason, LOST, mayReconnect } from "./close-codes";
import { Credential } from "./credential";
import { type ClientMessage, parseFrame, type ServerFrame, type Tier } from "./frames";
import { Heartbeat } from "./heartbeat";
import { Outbox } from "./outbox";
import { INITIAL, type Problem, type Snapshot } from "./snapshot";
import { browserSocket, type CreateSocket, type Socket, SUBPROTOCOL } from "./socket";
import { type State, transition } from "./states";
import { Listeners } from "./subscribable";
import { Timers } from "./timers";
import { SignedOut, type TokenSource } from "./token";

/** From the first attempt to `connected`. */
const OPEN_WITHIN_MS = 15_000;
/** A connection that held for so long makes earlier failures forgotten. */
const STABLE_AFTER_MS = 10_000;
const OUTBOX_CAPACITY = 100;

export interface RealtimeOptions {
  /** `ws://…/ws/signals` */
  url: string;
  token: TokenSource;
  createSocket?: CreateSocket;
  random?: () => number;
}

export class RealtimeClient {
  /** When the last signal came (milliseconds since 1970). Not in the snapshot: it changes with each of them. */
  lastSignalAt: number | null = null;
  /** Frames that were none. */
  badFrames = 0;
  /** Told of every frame that was understood. */
  readonly onFrame: (listener: (frame: ServerFrame) => void) => () => void;
  /** Told of every change of the snapshot. */
  readonly subscribe: (listener: () => void) => () => void;

  readonly #url: string;
  readonly #createSocket: CreateSocket;
  readonly #random: () => number;
  readonly #changes = new Listeners();
  readonly #frames = new Listeners<[ServerFrame]>();
  readonly #timers = new Timers<"open" | "retry" | "stable">();
  readonly #outbox = new Outbox<ClientMessage>(OUTBOX_CAPACITY);
  readonly #credential: Credential;
  readonly #heartbeat: Heartbeat;
  #snapshot = INITIAL;
  #socket: Socket | null = null;
  /** Counts attempts: what belongs to an earlier one is ignored. */
  #generation = 0;
  #cursor: string | null = null;
  /** The server's wish, from its last `reconnect`. */
  #retryAfterMs: number | null = null;

  constructor({ url, token, createSocket = browserSocket, random = Math.random }: RealtimeOptions) {
    this.#url = url;
    this.#createSocket = createSocket;
    this.#random = random;
    this.#credential = new Credential(token, (newer) => this.send({ type: "auth", token: newer }));
    this.#heartbeat = new Heartbeat({
      ping: () => this.#transmit({ type: "ping" }),
      answered: (latencyMs) => this.#set({ latencyMs }),
      silent: () => this.#lost(LOST, "The connection fell silent"),
    });
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
    else if (state === "open") this.#heartbeat.check();
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
    const generation = this.#generation;
    this.#become("connecting", { retryAt: null });
    this.#timers.set("open", OPEN_WITHIN_MS, () => this.#lost(LOST, "The server does not answer"));
    try {
      const token = await this.#credential.fetch();
      if (generation === this.#generation) this.#open(token, generation);
    } catch (error) {
      if (generation !== this.#generation) return;
      if (error instanceof SignedOut) this.#close({ code: "signed_out", text: error.message });
      else this.#lost(LOST, "No token could be fetched");
    }
  }

  #open(token: string, generation: number): void {
    const query = this.#cursor === null ? "" : `?cursor=${encodeURIComponent(this.#cursor)}`;
    const socket = this.#createSocket(this.#url + query, [SUBPROTOCOL, `bearer.${token}`]);
    this.#socket = socket;
    socket.onmessage = (event) => {
      if (generation === this.#generation) this.#received(event.data);
    };
    socket.onclose = (event) => {
      if (generation === this.#generation) this.#lost(event.code, event.reason);
    };
  }

  #lost(code: number, reason: string): void {
    const problem = { code: String(code), text: closeReason(code, reason) };
    if (!mayReconnect(code)) {
      this.#close(problem);
      return;
    }
    const { attempt } = this.#snapshot;
    const wait = this.#retryAfterMs ?? backoff(attempt, this.#random);
    this.#release();
    const retryAt = Date.now() + wait;
    this.#become("backing-off", { attempt: attempt + 1, retryAt, latencyMs: null, stale: false, problem });
    this.#timers.set("retry", wait, () => void this.#connect());
  }

  #close(problem: Problem | null): void {
    this.#release();
    this.#become("closed", { retryAt: null, latencyMs: null, stale: false, problem });
  }

  #release(): void {
    this.#generation += 1;
    this.#timers.clearAll();
    this.#heartbeat.stop();
    this.#credential.stop();
    const socket = this.#socket;
    this.#socket = null;
    if (socket !== null) {
      socket.onmessage = socket.onclose = null;
      socket.close();
    }
  }

  // -- what the server says ----------------------------------------------------------------------

  #received(text: unknown): void {
    this.#heartbeat.heard();
    const frame = parseFrame(text);
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
        this.#heartbeat.ponged();
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
      case "error": // a close that follows says why by itself
        if (frame.code === "token_expiring") this.#credential.expiring();
        break;
    }
  }

  #opened(tier: Tier, heartbeatSeconds: number): void {
    if (this.#snapshot.state !== "connecting") return;
    this.#timers.clear("open");
    this.#become("open", { tier, stale: false, problem: null });
    this.#timers.set("stable", STABLE_AFTER_MS, () => this.#set({ attempt: 0 }));
    this.#heartbeat.start(heartbeatSeconds);
    for (const message of this.#outbox.take()) this.#transmit(message);
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
