import type { Tier } from "../realtime/frames";
import { Star } from "./icons";

const NAMES: Record<Tier, string> = { starter: "Starter", pro: "Pro", elite: "Elite" };

export function tierName(tier: Tier): string {
  return NAMES[tier];
}

/** The tier of this moment; it changes on the live connection, without a reload. */
export function TierBadge({ tier }: { tier: Tier | null }) {
  if (tier === null) return null;
  return (
    <span key={tier} className={`tier tier-${tier}`} data-testid="tier">
      {tier !== "starter" && <Star />}
      <span className="sr-only">Your tier: </span>
      {NAMES[tier]}
    </span>
  );
}
