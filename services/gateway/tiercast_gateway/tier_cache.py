"""Users' tiers as this replica knows them. Pure: the clock and everything that arrives are arguments.

What is known is a lease: it may be trusted for 30 s after it was last known to be complete. It is complete when the tiers log is
known to reach no further than what was applied here (by a beacon), or by a lookup at the head that is known, or later. When the
lease is over, nobody is entitled to more than STARTER.

The order at start is: consume changes, look up, apply what came meanwhile. A change that arrives while its user is being looked
up is kept until the answer is there; of the two, the higher version counts.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from tiercast_shared.contracts.tiers import SessionRevoked, Tier, TierChanged, TierLookup, TierState

LEASE_SECONDS = 30.0
MAX_IDLE_USERS = 50_000
"""Users without a connection who are remembered (about 300 bytes each)."""


@dataclass(frozen=True, slots=True)
class KnownTier:
    """What is known of one user."""

    tier: Tier
    version: int
    tokens_valid_after: float
    """Tokens issued before this are void; 0 if none was ever revoked."""
    verified_until: float
    """Lease of this entry alone, from its own lookup; monotonic seconds."""


STRANGER = KnownTier(Tier.STARTER, 0, 0.0, 0.0)

Listener = Callable[[str, KnownTier, KnownTier, str], None]
"""Told of a user, what was known, what is known now, and why. Only for users with a connection."""


class TierCache:
    """Versioned tiers of connected users, and of a bounded number of others."""

    def __init__(
        self,
        clock: Callable[[], float],
        on_change: Listener,
        *,
        lease: float = LEASE_SECONDS,
        max_idle: int = MAX_IDLE_USERS,
        on_applied: Callable[[TierChanged | SessionRevoked], None] = lambda _event: None,
    ) -> None:
        self._clock = clock
        self._on_change = on_change
        self._lease = lease
        self._max_idle = max_idle
        self._on_applied = on_applied
        self._users: dict[str, KnownTier] = {}
        self._idle: OrderedDict[str, None] = OrderedDict()
        self._connected: dict[str, int] = {}
        self._asked: dict[str, list[TierChanged | SessionRevoked]] = {}
        self._verified_until = float("-inf")
        self.epoch = ""
        self.applied = 0
        """Every change up to this position of the tiers log was seen."""
        self.known_head = 0
        self._announced: dict[str, int] = {}
        """How far lives of the log that are not the one followed here were said to reach."""
        self.hits = self.misses = 0

    # -- questions -------------------------------------------------------------------------------

    def get(self, user_id: str) -> KnownTier | None:
        """What is known of a user, if it may be trusted now."""
        known = self._users.get(user_id)
        if known is not None and self._trusted(known):
            self.hits += 1
            if user_id in self._idle:
                self._idle.move_to_end(user_id)
            return known
        self.misses += 1
        return None

    def tier_of(self, user_id: str) -> Tier:
        """The tier that a user may be served by now: STARTER unless more is known and may be trusted."""
        known = self._users.get(user_id)
        return known.tier if known is not None and self._trusted(known) else Tier.STARTER

    def last_known(self, user_id: str) -> Tier | None:
        """What was known of a user last, whether it may be trusted now or not; None if nothing was."""
        known = self._users.get(user_id)
        return known.tier if known is not None else None

    def revoked(self, user_id: str, issued_at: float) -> bool:
        """Whether a token of this user, issued then (Unix seconds), is void."""
        known = self._users.get(user_id)
        return known is not None and known.tokens_valid_after > issued_at

    def trusted(self, user_id: str) -> bool:
        """Whether what is known of a user may be trusted now."""
        known = self._users.get(user_id)
        return known is not None and self._trusted(known)

    def _trusted(self, known: KnownTier) -> bool:
        return max(self._verified_until, known.verified_until) > self._clock()

    @property
    def lease_left(self) -> float:
        """Seconds for which everything known may still be trusted."""
        return self._verified_until - self._clock()

    @property
    def gap(self) -> bool:
        """Whether changes are known to exist that were not seen."""
        return self.known_head > self.applied

    def __len__(self) -> int:
        return len(self._users)

    # -- connections -----------------------------------------------------------------------------

    def connect(self, user_id: str) -> None:
        """A connection of this user is there: remember the user for as long as it is."""
        self._connected[user_id] = self._connected.get(user_id, 0) + 1
        self._idle.pop(user_id, None)

    def disconnect(self, user_id: str) -> None:
        """One of the user's connections is gone."""
        left = self._connected.pop(user_id) - 1
        if left:
            self._connected[user_id] = left
        elif user_id in self._users:
            self._remember_idle(user_id)

    def _remember_idle(self, user_id: str) -> None:
        self._idle[user_id] = None
        self._idle.move_to_end(user_id)
        while len(self._idle) > self._max_idle:
            forgotten, _ = self._idle.popitem(last=False)
            self._users.pop(forgotten, None)

    def forget_idle(self) -> None:
        """Forget who has no connection, as if there was no room for them: they are looked up when they come back.

        Not so whose sessions were revoked: while the tiers service cannot be asked, nothing else would tell.
        """
        self._users = {
            user: known for user, known in self._users.items() if user in self._connected or known.tokens_valid_after
        }
        self._idle = OrderedDict.fromkeys(user for user in self._idle if user in self._users)

    # -- what arrives ----------------------------------------------------------------------------

    def begin(self, epoch: str, head: int) -> None:
        """The log is in this life and reaches to `head`; changes after it will be applied one by one."""
        if epoch != self.epoch:
            self.forget_versions()
        self.epoch = epoch
        self.applied = head
        # a change that came before this was not applied: until it is, a look-up that was made before it proves nothing
        self.known_head = max(self.known_head, head, self._announced.get(epoch, 0))
        self._announced.clear()

    def forget_versions(self) -> None:
        """Positions in the log mean nothing any more: nothing known may be trusted, and whatever is said next counts."""
        self._verified_until = float("-inf")
        self._users = {user: replace(known, version=0, verified_until=0.0) for user, known in self._users.items()}
        self._asked = {user: [] for user in self._asked}
        self.applied = self.known_head = 0

    def announced(self, epoch: str, head: int) -> None:
        """Something of another life of the log was told, before `begin`: that life reaches to `head` at least."""
        self._announced[epoch] = max(self._announced.get(epoch, 0), head)

    def asking(self, user_ids: Iterable[str]) -> None:
        """These users are being looked up: keep what arrives for them."""
        for user_id in user_ids:
            self._asked.setdefault(user_id, [])

    def answered(self, lookup: TierLookup, reason: str = "lookup") -> None:
        """The answer of a lookup: each user's state when the log reached to `lookup.head`."""
        current = lookup.epoch == self.epoch and lookup.head >= self.known_head
        until = self._clock() + self._lease if current else float("-inf")
        for user_id, state in lookup.tiers.items():
            found = _known(state, until)
            for event in self._asked.pop(user_id, ()):
                found = _after(found, event)
            self._put(user_id, found, reason)

    def unanswered(self, user_ids: Iterable[str]) -> None:
        """The lookup failed; what arrived meanwhile is not kept any longer."""
        for user_id in user_ids:
            self._asked.pop(user_id, None)

    def changed(self, event: TierChanged | SessionRevoked) -> bool:
        """An entry of the tiers log.

        What it says of its user counts at once, even if entries before it are missing: it is newer than whatever these say.

        Returns whether it was the next one; else it was seen before, or something is missing and `gap` is true.
        """
        self.known_head = max(self.known_head, event.seq)
        if event.seq <= self.applied:
            return False
        reason = event.reason if isinstance(event, TierChanged) else "revoked"
        if event.user_id in self._asked:
            self._asked[event.user_id].append(event)
        known = self._users.get(event.user_id)
        if known is not None:
            self._put(event.user_id, _after(known, event), reason)
        if event.seq > self.applied + 1:
            return False
        self.applied = event.seq
        self._on_applied(event)
        return True

    def beacon(self, epoch: str, head: int) -> None:
        """The tiers log was said to reach to `head`: if all of it was seen, everything known may be trusted anew."""
        if epoch != self.epoch:
            self.announced(epoch, head)
            return
        self.known_head = max(self.known_head, head)
        if not self.gap:
            self._verified_until = self._clock() + self._lease

    def _put(self, user_id: str, found: KnownTier, reason: str) -> None:
        before = self._users.get(user_id)
        if before is not None and before.version > found.version:
            after = max(before.tokens_valid_after, found.tokens_valid_after)
            found = replace(
                before, verified_until=max(before.verified_until, found.verified_until), tokens_valid_after=after
            )
        elif before is not None:
            after = max(before.tokens_valid_after, found.tokens_valid_after)
            found = replace(
                found, verified_until=max(before.verified_until, found.verified_until), tokens_valid_after=after
            )
        self._users[user_id] = found
        if user_id in self._connected:
            self._on_change(user_id, before or STRANGER, found, reason)
        else:
            self._remember_idle(user_id)


def _known(state: TierState, until: float) -> KnownTier:
    return KnownTier(state.tier, state.version, state.tokens_valid_after or 0.0, until)


def _after(known: KnownTier, event: TierChanged | SessionRevoked) -> KnownTier:
    """What is known with `event` as well, whichever of the two is newer."""
    if isinstance(event, SessionRevoked):
        return replace(known, tokens_valid_after=max(known.tokens_valid_after, event.tokens_valid_after))
    return replace(known, tier=event.tier, version=event.seq) if event.seq > known.version else known
