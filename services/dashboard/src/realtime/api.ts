/** The REST side: signals, proofs and the sign-in of the host application. Answers are checked like frames. */

import * as v from "valibot";
import { type Signal, signalSchema } from "./frames";
import { SignedOut, type Token, type TokenSource } from "./token";

/** The server refused, or could not be reached (status 0). */
export class ApiError extends Error {
  readonly status: number;
  /** The problem's name, as docs/protocol.md lists them; empty when it has none. */
  readonly code: string;
  /** When it may be asked again, in seconds; null when it did not say. */
  readonly retryAfter: number | null;

  constructor(status: number, message: string, code = "", retryAfter: number | null = null) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

export interface LatestQuery {
  limit: number;
  premiumOnly: boolean;
  /** A cursor: what follows it, instead of the newest. */
  after?: string | undefined;
}

export interface LatestPage {
  signals: Signal[];
  cursor: string | null;
  /** More follow this page. */
  more: boolean;
}

const proofSchema = v.object({
  feed: v.picklist(["standard", "all"]),
  seq: v.number(),
  hashed_text: v.string(),
  body: v.string(),
  chain: v.object({ before: v.string(), after: v.string() }),
  data: signalSchema,
});
export type Proof = v.InferOutput<typeof proofSchema>;

/** Answers that mean: not until the user does something. */
const SIGNED_OUT = [401, 403, 404, 405];
const tokenSchema = v.object({ token: v.string(), expires_in: v.number() });

const problemSchema = v.object({ detail: v.optional(v.string(), ""), code: v.optional(v.string(), "") });

export class Api {
  readonly #token: TokenSource;

  constructor(token: TokenSource) {
    this.#token = token;
  }

  async latest({ limit, premiumOnly, after }: LatestQuery, signal?: AbortSignal): Promise<LatestPage> {
    const query = new URLSearchParams({ limit: String(limit), premium_only: String(premiumOnly) });
    if (after !== undefined) query.set("after", after);
    const response = await this.#get(`/api/v1/signals/latest?${query}`, signal);
    return {
      signals: checked(v.array(signalSchema), await response.json()),
      cursor: response.headers.get("X-Tiercast-Cursor"),
      more: response.headers.get("X-Tiercast-More") === "true",
    };
  }

  async proof(id: string): Promise<Proof> {
    return checked(proofSchema, await (await this.#get(`/api/v1/signals/${id}/proof`)).json());
  }

  /** Any JSON of this server. */
  async json<Schema extends v.GenericSchema>(path: string, schema: Schema): Promise<v.InferOutput<Schema>> {
    return checked(schema, await (await this.#get(path)).json());
  }

  async #get(path: string, signal?: AbortSignal): Promise<Response> {
    const { token } = await this.#token();
    return get(path, { headers: { Authorization: `Bearer ${token}` }, signal: signal ?? null });
  }
}

/** The host application's session cookie, exchanged for a token. Throws `SignedOut` when there is no session, or a bad one. */
export async function sessionToken(): Promise<Token> {
  try {
    const response = await get("/api/v1/auth/token", { credentials: "same-origin" });
    const { token, expires_in } = checked(tokenSchema, await response.json());
    return { token, expiresIn: expires_in };
  } catch (error) {
    if (!(error instanceof ApiError) || !SIGNED_OUT.includes(error.status)) throw error;
    throw new SignedOut(error.code === "missing_session" ? null : error.message);
  }
}

async function get(path: string, options: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, "The server cannot be reached");
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

async function refusal(response: Response): Promise<ApiError> {
  const problem = v.safeParse(problemSchema, await response.json().catch(() => null));
  const { detail, code } = problem.success ? problem.output : { detail: "", code: "" };
  const retryAfter = Number(response.headers.get("Retry-After") ?? Number.NaN);
  return new ApiError(
    response.status,
    detail || `The server answered ${response.status}`,
    code,
    Number.isNaN(retryAfter) ? null : retryAfter,
  );
}

function checked<Schema extends v.GenericSchema>(schema: Schema, value: unknown): v.InferOutput<Schema> {
  const result = v.safeParse(schema, value);
  if (!result.success) throw new ApiError(200, "The server's answer was not understood");
  return result.output;
}
