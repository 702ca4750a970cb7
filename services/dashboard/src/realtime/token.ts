/** Where tokens come from. */

/** A token, and how many seconds it is good for; null when nobody knows. */
export interface Token {
  token: string;
  expiresIn: number | null;
}

export type TokenSource = () => Promise<Token>;

/** There is no token to be had until the user does something; `reason` is what the server has against the session. */
export class SignedOut extends Error {
  readonly reason: string | null;

  constructor(reason: string | null = null) {
    super(reason === null ? "You are signed out" : `You are signed out: ${reason}`);
    this.name = "SignedOut";
    this.reason = reason;
  }
}

export interface Claims {
  sub: string | null;
  exp: number | null;
  scope: string;
}

/** What a JWT says of itself, unchecked (only the server can check it); null for what is no JWT. */
export function claimsOf(token: string): Claims | null {
  const [, payload, signature] = token.split(".");
  if (!payload || !signature) return null;
  try {
    const base64 = payload.replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    const claims: unknown = JSON.parse(new TextDecoder().decode(bytes));
    if (typeof claims !== "object" || claims === null) return null;
    const { sub, exp, scope } = claims as Record<string, unknown>;
    return {
      sub: typeof sub === "string" ? sub : null,
      exp: typeof exp === "number" ? exp : null,
      scope: typeof scope === "string" ? scope : "",
    };
  } catch {
    return null;
  }
}

/** What `source` gave last, again for four fifths of its life: a request needs no token of its own. */
export function reused(source: TokenSource): TokenSource {
  let last: { given: Promise<Token>; until: number } | null = null;
  return () => {
    if (last !== null && Date.now() < last.until) return last.given;
    const current = { given: source(), until: Number.POSITIVE_INFINITY };
    last = current;
    current.given.then(
      ({ expiresIn }) => {
        if (expiresIn !== null) current.until = Date.now() + expiresIn * 800;
      },
      () => {
        if (last === current) last = null;
      },
    );
    return current.given;
  };
}

/** A token that was handed to the page and cannot be renewed by it. */
export function fixedToken(token: string): TokenSource {
  const exp = claimsOf(token)?.exp ?? null;
  return () => Promise.resolve({ token, expiresIn: exp === null ? null : exp - Date.now() / 1000 });
}
