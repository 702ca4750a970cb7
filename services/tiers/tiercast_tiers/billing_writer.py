"""Turns what the payment provider tells into tiers: an event, or the end of a grace period, and its changes in one transaction."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from tiercast_shared.contracts.tiers import Tier
from tiercast_shared.errors import Unavailable
from tiercast_shared.eventlog.database import ConnectionLost, Database
from tiercast_shared.eventlog.head import lock_head
from tiercast_shared.observability import get_logger
from tiercast_tiers.billing import (
    CHECKOUT,
    BillingEvent,
    SubscriptionState,
    highest,
    linked_user,
    subscription_state,
)
from tiercast_tiers.domain import Origin, SetTier, TierSet
from tiercast_tiers.tables import BillingCustomer, BillingEventRow, BillingSubscription, BillingUser, TierLogHead
from tiercast_tiers.writer import Announce, Appended, append

ACTOR = "stripe"

SWEEP_SECONDS = 60.0
"""Between two looks for grace periods that have ended."""

DAY = 86_400.0

log = get_logger()


class Applied(StrEnum):
    """What became of an event."""

    APPLIED = "applied"
    DUPLICATE = "duplicate"


class BillingWriter:
    """Applies events under the lock of the log's head, so that replicas take turns. `prices` says what each price pays for."""

    def __init__(
        self,
        database: Database,
        announce: Announce,
        prices: Mapping[str, Tier],
        grace_days: float,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._announce = announce
        self._prices = prices
        self._grace = grace_days * DAY
        self._clock = clock

    async def apply(self, event: BillingEvent, correlation_id: str) -> Applied:
        """Apply an event. One that was there already changes nothing, unless what prices pay for has changed since.

        Raises:
            StorageUnavailable: the database is away; applying it again is safe.
        """
        try:
            return await self._apply(event, correlation_id)
        except ConnectionLost:  # most often a pooled connection that the server had closed long ago
            return await self._apply(event, correlation_id)

    async def _apply(self, event: BillingEvent, correlation_id: str) -> Applied:
        now = self._clock()
        async with self._database.writing() as session:
            await lock_head(session, TierLogHead)
            known = await session.get(BillingEventRow, event.id) is not None
            if not known:
                session.add(_row(event, now))
                await session.flush()
            users = await (_link(session, event) if event.type == CHECKOUT else _refold(session, event))
            reason = f"{event.type} {event.id}"
            appended = await self._settle(session, users, reason, Origin(ACTOR, correlation_id, now))
        self._tell(appended, reason)
        return Applied.DUPLICATE if known else Applied.APPLIED

    async def run(self) -> None:
        """Let grace periods end, until cancelled. Every replica may do so: whoever is second finds nothing left."""
        while True:
            try:
                await self.sweep()
            except Unavailable as error:
                log.warning("grace periods cannot be looked at", reason=error.message, once_in=30)
            await asyncio.sleep(SWEEP_SECONDS)

    async def sweep(self) -> int:
        """Let the grace periods end that are over; returns how many.

        Raises:
            StorageUnavailable: the database is away.
        """
        now = self._clock()
        over = select(BillingSubscription).where(
            col(BillingSubscription.unpaid_since) <= now - self._grace, col(BillingSubscription.lapsed).is_(False)
        )
        async with self._database.reading() as session:
            if (await session.exec(over.limit(1))).first() is None:
                return 0
        async with self._database.writing() as session:
            await lock_head(session, TierLogHead)
            ended = (await session.exec(over)).all()
            for subscription in ended:
                subscription.lapsed = True
            await session.flush()
            customers = {row.customer for row in ended if row.customer is not None}
            users = await _users_of(session, customers)
            reason = "grace period after invoice.payment_failed ended"
            appended = await self._settle(session, users, reason, Origin(ACTOR, "grace-period", now))
        self._tell(appended, reason)
        return len(ended)

    async def _settle(self, session: AsyncSession, users: Iterable[str], reason: str, origin: Origin) -> Appended:
        """Give the tier that their subscriptions now entitle them to to those of `users` for whom it has changed."""
        changes = []
        for user_id in sorted(users):
            tier = highest(
                state.tier(self._prices.get, origin.received_at, self._grace)
                for state in await _subscriptions_of(session, user_id)
            )
            given = await session.get(BillingUser, user_id)
            if tier != (Tier.STARTER if given is None else given.tier):
                await session.merge(BillingUser(user_id=user_id, tier=tier.value))
                changes.append(SetTier(user_id, tier, reason, origin))
        return await append(session, changes, origin.received_at)

    def _tell(self, appended: Appended, reason: str) -> None:
        appended.announce(self._announce)
        for outcome in appended.outcomes:
            if isinstance(outcome, TierSet) and outcome.changed:
                log.info(
                    "tier changed",
                    user_id=outcome.user_id,
                    previous_tier=outcome.previous_tier,
                    tier=outcome.state.tier,
                    version=outcome.state.version,
                    reason=reason,
                    actor=ACTOR,
                )


async def _link(session: AsyncSession, event: BillingEvent) -> set[str]:
    """Note whose the event's customer is; returns who has won or lost a customer."""
    checkouts = await session.exec(
        select(BillingEventRow).where(BillingEventRow.customer == event.customer, BillingEventRow.type == CHECKOUT)
    )
    user = linked_user(_event(row) for row in checkouts)
    assert event.customer is not None, "a checkout that is applied has both"
    assert user is not None
    link = await session.get(BillingCustomer, event.customer)
    before = set() if link is None else {link.user_id}
    await session.merge(BillingCustomer(customer=event.customer, user_id=user))
    return {*before, user}


async def _refold(session: AsyncSession, event: BillingEvent) -> set[str]:
    """Make the state of the event's subscription anew; returns whose it is."""
    assert event.subscription is not None, "what is no checkout is about a subscription"
    rows = await session.exec(select(BillingEventRow).where(BillingEventRow.subscription == event.subscription))
    state = subscription_state(_event(row) for row in rows)
    await session.merge(
        BillingSubscription(
            subscription=event.subscription,
            customer=state.customer,
            status=state.status,
            prices=",".join(state.prices),
            unpaid_since=state.unpaid_since,
            lapsed=False,
        )
    )
    await session.flush()
    if state.customer is None:
        return set()
    users = await _users_of(session, {state.customer})
    if not users:
        log.info("a subscription of a customer without a checkout", customer=state.customer, event_id=event.id)
    return users


async def _users_of(session: AsyncSession, customers: Iterable[str]) -> set[str]:
    rows = await session.exec(select(BillingCustomer.user_id).where(col(BillingCustomer.customer).in_(customers)))
    return set(rows)


async def _subscriptions_of(session: AsyncSession, user_id: str) -> list[SubscriptionState]:
    rows = await session.exec(
        select(BillingSubscription)
        .join(BillingCustomer, col(BillingCustomer.customer) == col(BillingSubscription.customer))
        .where(BillingCustomer.user_id == user_id)
    )
    return [SubscriptionState(row.customer, row.status, _split(row.prices), row.unpaid_since) for row in rows]


def _row(event: BillingEvent, now: float) -> BillingEventRow:
    return BillingEventRow(
        id=event.id,
        type=event.type,
        created=event.created,
        received_at=now,
        customer=event.customer,
        subscription=event.subscription,
        user_id=event.user_id,
        status=event.status,
        prices=",".join(event.prices),
        status_before=event.status_before,
        prices_before=None if event.prices_before is None else ",".join(event.prices_before),
    )


def _event(row: BillingEventRow) -> BillingEvent:
    return BillingEvent(
        id=row.id,
        type=row.type,
        created=row.created,
        customer=row.customer,
        subscription=row.subscription,
        user_id=row.user_id,
        status=row.status,
        prices=_split(row.prices),
        status_before=row.status_before,
        prices_before=None if row.prices_before is None else _split(row.prices_before),
    )


def _split(prices: str) -> tuple[str, ...]:
    return tuple(filter(None, prices.split(",")))
