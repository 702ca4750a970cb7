"""What subscriptions entitle a user to. No I/O.

Events of a subscription come in any order and more than once. They are kept, and its state is always made from all of them in the
order in which they happened, so every order of arrival ends in the same state.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, permutations

from tiercast_shared.contracts.tiers import Tier

CHECKOUT = "checkout.session.completed"
DELETED = "customer.subscription.deleted"
PAYMENT_FAILED = "invoice.payment_failed"
PAID = "invoice.paid"

RANKS = {
    "customer.subscription.created": 0,
    "customer.subscription.updated": 1,
    "customer.subscription.paused": 1,
    "customer.subscription.resumed": 1,
    PAYMENT_FAILED: 2,
    PAID: 3,
    DELETED: 4,
}
"""Order of a subscription's events within one second, which is as exactly as Stripe tells the time. See `_in_order`."""

PAST_DUE = "past_due"
ENTITLED = frozenset({"active", "trialing", PAST_DUE})
"""Statuses that entitle; `past_due` does while the grace period lasts."""

CANCELED = "canceled"

MOST_AT_ONCE = 6
"""Events of one second and rank whose orders are compared: 720."""

RISING = tuple(Tier)

TierOf = Callable[[str], Tier | None]
"""The tier that a price pays for; None for a price that is not configured."""


@dataclass(frozen=True, slots=True)
class BillingEvent:
    """What an event says that matters here; `created` is when it happened, Unix seconds."""

    id: str
    type: str
    created: int
    customer: str | None = None
    subscription: str | None = None
    user_id: str | None = None
    status: str | None = None
    prices: tuple[str, ...] = ()
    status_before: str | None = None
    """The status that this event has ended; None if it is not told, or the status stayed."""
    prices_before: tuple[str, ...] | None = None
    """Likewise."""

    def follows(self, status: str | None, prices: tuple[str, ...]) -> bool:
        """Whether it says that this is how the subscription was before."""
        before = self.prices if self.prices_before is None else self.prices_before
        return (self.status_before or self.status, before) == (status, prices)


@dataclass(frozen=True, slots=True)
class SubscriptionState:
    """A subscription after some events; the defaults are those before the first."""

    customer: str | None = None
    status: str | None = None
    prices: tuple[str, ...] = ()
    unpaid_since: int | None = None
    """When the payment first failed that is still owed, Unix seconds."""

    def tier(self, tier_of: TierOf, now: float, grace_seconds: float) -> Tier:
        """What it entitles to at `now`."""
        lapsed = self.unpaid_since is not None and now >= self.unpaid_since + grace_seconds
        if self.status not in ENTITLED or lapsed:
            return Tier.STARTER
        return highest(tier for price in self.prices if (tier := tier_of(price)) is not None)


def subscription_state(events: Iterable[BillingEvent]) -> SubscriptionState:
    """The state of one subscription after all its events, given in any order."""
    state = SubscriptionState()
    in_time = sorted(events, key=lambda event: (_moment(event), event.id))
    for _, at_once in groupby(in_time, key=_moment):
        for event in _in_order(state, list(at_once)):
            if state.status == CANCELED:
                return state  # for good: who subscribes again gets another subscription
            state = _after(state, event)
    return state


def _moment(event: BillingEvent) -> tuple[int, int]:
    return event.created, RANKS[event.type]


def _in_order(state: SubscriptionState, at_once: Sequence[BillingEvent]) -> Sequence[BillingEvent]:
    """Events of one second in the order in which most of them begin where the one before has ended; else in that of their ids."""
    if not 1 < len(at_once) <= MOST_AT_ONCE:
        return at_once

    def links(order: Sequence[BillingEvent]) -> int:
        ends = [(state.status, state.prices), *((event.status, event.prices) for event in order)]
        return sum(event.follows(*end) for event, end in zip(order, ends, strict=False))

    return max(permutations(at_once), key=links)


def _after(state: SubscriptionState, event: BillingEvent) -> SubscriptionState:
    customer = event.customer or state.customer
    if event.type == PAYMENT_FAILED:
        return SubscriptionState(customer, state.status, state.prices, state.unpaid_since or event.created)
    if event.type == PAID:
        # one invoice is paid; if another is still owed, it stays past due, and is given the same time again
        return SubscriptionState(
            customer, state.status, state.prices, event.created if state.status == PAST_DUE else None
        )
    if event.type == DELETED:
        return SubscriptionState(customer, CANCELED, event.prices)
    unpaid_since = (state.unpaid_since or event.created) if event.status == PAST_DUE else None
    return SubscriptionState(customer, event.status, event.prices, unpaid_since)


def linked_user(events: Iterable[BillingEvent]) -> str | None:
    """The user whom the last of a customer's checkouts names."""
    last = max(events, key=lambda event: (event.created, event.id), default=None)
    return None if last is None else last.user_id


def highest(tiers: Iterable[Tier]) -> Tier:
    """The best of some tiers; STARTER of none."""
    return max(tiers, key=RISING.index, default=Tier.STARTER)
