"""What changes do to users and to the log. No I/O: the caller reads, and writes back what `Settlement` collected."""

from dataclasses import dataclass, field, replace

import orjson

from tiercast_shared.contracts.base import Contract
from tiercast_shared.contracts.tiers import SessionRevoked, Tier, TierChanged
from tiercast_shared.eventlog.chain import link

REVOKED = "sessions revoked"

TIER_CHANGED = "tier.changed"
SESSION_REVOKED = "session.revoked"


@dataclass(frozen=True, slots=True)
class Origin:
    """Who asked for a change, and when (Unix seconds)."""

    actor: str
    correlation_id: str
    received_at: float


@dataclass(frozen=True, slots=True)
class SetTier:
    """Give a user a tier."""

    user_id: str
    tier: Tier
    reason: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class RevokeSessions:
    """Make void the tokens that a user holds now."""

    user_id: str
    origin: Origin
    reason: str = REVOKED


Change = SetTier | RevokeSessions


@dataclass(frozen=True, slots=True)
class UserState:
    """A user at one position of the log; the defaults are those of a user nobody has heard of."""

    tier: Tier = Tier.STARTER
    version: int = 0
    changed_at: float | None = None
    tokens_valid_after: float | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A new entry of the log, numbered, rendered and chained."""

    seq: int
    body: bytes
    chain: bytes
    type: str
    user_id: str
    origin: Origin
    committed_at: float
    tier: Tier | None = None
    previous_tier: Tier | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class TierSet:
    """What came of `SetTier`. Nothing changed if the user had that tier already."""

    user_id: str
    previous_tier: Tier
    state: UserState
    changed: bool


@dataclass(frozen=True, slots=True)
class SessionsRevoked:
    """What came of `RevokeSessions`; `seq` is the entry's."""

    user_id: str
    seq: int
    tokens_valid_after: float


Outcome = TierSet | SessionsRevoked


@dataclass(slots=True)
class Settlement:
    """Settles changes one after another, from the head of the log on; each sees what those before it did."""

    epoch: str
    seq: int
    chain: bytes
    users: dict[str, UserState]
    """The users concerned, as they are at `seq`; who is missing is a starter."""
    now: float
    entries: list[Entry] = field(default_factory=list)

    def settle(self, change: Change) -> Outcome:
        """Apply one change."""
        user = self.users.get(change.user_id, UserState())
        if isinstance(change, RevokeSessions):
            return self._revoke(change, user)
        return self._set(change, user)

    def _set(self, change: SetTier, user: UserState) -> TierSet:
        if change.tier is user.tier:
            return TierSet(change.user_id, user.tier, user, changed=False)
        seq = self.seq + 1
        event = TierChanged(
            epoch=self.epoch,
            seq=seq,
            user_id=change.user_id,
            tier=change.tier,
            previous_tier=user.tier,
            version=seq,
            reason=change.reason,
            changed_at=self.now,
        )
        self._append(event, TIER_CHANGED, change, tier=change.tier, previous_tier=user.tier, reason=change.reason)
        state = replace(user, tier=change.tier, version=seq, changed_at=self.now)
        self.users[change.user_id] = state
        return TierSet(change.user_id, user.tier, state, changed=True)

    def _revoke(self, change: RevokeSessions, user: UserState) -> SessionsRevoked:
        # a clock that runs behind another replica's must not make revoked tokens valid again
        after = max(self.now, user.tokens_valid_after or 0.0)
        seq = self.seq + 1
        event = SessionRevoked(epoch=self.epoch, seq=seq, user_id=change.user_id, tokens_valid_after=after)
        self._append(event, SESSION_REVOKED, change, reason=change.reason)
        self.users[change.user_id] = replace(user, tokens_valid_after=after)
        return SessionsRevoked(change.user_id, seq, after)

    def _append(
        self,
        event: Contract,
        kind: str,
        change: Change,
        *,
        tier: Tier | None = None,
        previous_tier: Tier | None = None,
        reason: str | None = None,
    ) -> None:
        body = orjson.dumps(event.model_dump(by_alias=True))
        self.seq += 1
        self.chain = link(self.chain, body)
        entry = Entry(
            seq=self.seq,
            body=body,
            chain=self.chain,
            type=kind,
            user_id=change.user_id,
            origin=change.origin,
            committed_at=self.now,
            tier=tier,
            previous_tier=previous_tier,
            reason=reason,
        )
        self.entries.append(entry)
