"""The Stripe webhook, and the tiers that follow from what it is told."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from itertools import count, permutations

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from sqlalchemy import text
from sqlmodel import select

from tests.support import stripe
from tests.support.tiers import ADMIN, api_client, assert_sound, replay
from tiercast_shared.contracts.tiers import Tier
from tiercast_shared.eventlog.database import Database
from tiercast_tiers.billing_writer import DAY, BillingWriter
from tiercast_tiers.store import TierStore
from tiercast_tiers.stripe_events import read_event
from tiercast_tiers.tables import BillingEventRow, TierLogEntry

PATH = "/api/v1/webhooks/stripe"
OTHER_SECRET = "whsec_the_one_before"
PRICES = {price: Tier(tier) for price, tier in stripe.PRICES.items()}
SETTINGS = {
    "stripe_webhook_secrets": (SecretStr(stripe.SECRET), SecretStr(OTHER_SECRET)),
    "stripe_prices": PRICES,
    "grace_days": 7.0,
}
CREATED, UPDATED, DELETED = (f"customer.subscription.{what}" for what in ("created", "updated", "deleted"))
CHECKOUT, FAILED, PAID = "checkout.session.completed", "invoice.payment_failed", "invoice.paid"


@pytest.fixture
async def client(database: Database, registry: CollectorRegistry) -> AsyncIterator[httpx.AsyncClient]:
    async with api_client(database, registry, **SETTINGS) as client:
        yield client


@pytest.fixture
async def front(sqlite_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """For what is answered before any database is asked."""
    async with Database.open(sqlite_url) as database, api_client(database, **SETTINGS) as client:
        yield client


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


async def send(client: httpx.AsyncClient, told: stripe.Json, secret: str = stripe.SECRET) -> httpx.Response:
    body = stripe.body_of(told)
    return await client.post(PATH, content=body, headers={"Stripe-Signature": stripe.signature(body, secret)})


async def applied(client: httpx.AsyncClient, *told: stripe.Json) -> None:
    for each in told:
        answer = await send(client, each)
        assert (answer.status_code, answer.json()["status"]) == (200, "applied"), answer.text


def now() -> int:
    return int(time.time())


def pro_subscription(user: str = "alice") -> list[stripe.Json]:
    return [
        stripe.event(CHECKOUT, stripe.checkout(user), created=now() - 100),
        stripe.event(CREATED, stripe.subscription(), created=now() - 100),
    ]


async def entries(database: Database) -> Sequence[TierLogEntry]:
    return (await TierStore(database).entries_after(0, 1000))[1]


async def tier(database: Database, user: str = "alice") -> Tier:
    return (await TierStore(database).user(user)).tier


class Calendar:
    """A clock to be moved."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


async def test_a_checkout_and_its_subscription_give_the_tier_of_the_price(client, database, registry):
    await applied(client, *pro_subscription())
    assert await tier(database) is Tier.PRO
    (change,) = await entries(database)
    assert (change.actor, change.reason) == ("stripe", f"{CREATED} evt_customer_subscription_created_{now_of(change)}")
    history = (await client.get("/api/v1/users/alice/tier/history", headers=ADMIN)).json()["changes"]
    assert [(item["tier"], item["actor"]) for item in history] == [("pro", "stripe")]
    assert registry.get_sample_value("tiercast_tiers_billing_events_total", {"outcome": "applied"}) == 2


def now_of(change: TierLogEntry) -> str:
    """The time in the event's id, at which the reason ends."""
    return str(change.reason).rsplit("_", 1)[1]


async def test_plans_go_up_and_down_and_end(client, database):
    await applied(client, *pro_subscription())
    steps = [(UPDATED, "price_elite", "active"), (UPDATED, "price_pro", "active"), (DELETED, "price_pro", "canceled")]
    seen = []
    for later, (kind, price, status) in enumerate(steps):
        told = stripe.event(kind, stripe.subscription(price, status), created=now() - 50 + later)
        await applied(client, told)
        seen.append(await tier(database))
    assert seen == [Tier.ELITE, Tier.PRO, Tier.STARTER]
    log = await entries(database)
    assert_sound(log)
    assert replay(log)["alice"].tier is Tier.STARTER


async def test_an_event_counts_once(client, database):
    told = pro_subscription()
    await applied(client, *told)
    for each in told:
        answer = await send(client, each)
        assert (answer.status_code, answer.json()["status"]) == (200, "duplicate")
    assert len(await entries(database)) == 1


async def test_an_event_that_comes_many_times_at_once_counts_once(client, database):
    await applied(client, pro_subscription()[0])
    answers = await asyncio.gather(*(send(client, pro_subscription()[1]) for _ in range(10)))
    statuses = sorted(answer.json()["status"] for answer in answers)
    assert statuses == ["applied"] + ["duplicate"] * 9
    assert len(await entries(database)) == 1


async def test_a_stale_event_changes_nothing(client, database):
    await applied(client, pro_subscription()[0])
    await applied(client, stripe.event(DELETED, stripe.subscription(status="canceled"), created=now() - 10))
    await applied(client, stripe.event(UPDATED, stripe.subscription(), created=now() - 20))
    assert await tier(database) is Tier.STARTER
    assert await entries(database) == []


HISTORY = [
    (CHECKOUT, lambda user, sub: stripe.checkout(user, name=sub, customer=f"cus_{sub}"), 0),
    (CREATED, lambda _, sub: stripe.subscription(status="incomplete", name=sub, customer=f"cus_{sub}"), 0),
    (UPDATED, lambda _, sub: stripe.subscription(name=sub, customer=f"cus_{sub}"), 1),
    (PAID, lambda _, sub: stripe.invoice(name=sub, customer=f"cus_{sub}"), 1),
    (FAILED, lambda _, sub: stripe.invoice(name=sub, customer=f"cus_{sub}"), 30),
    (UPDATED, lambda _, sub: stripe.subscription(status="past_due", name=sub, customer=f"cus_{sub}"), 30),
    (PAID, lambda _, sub: stripe.invoice(name=sub, customer=f"cus_{sub}"), 32),
    (UPDATED, lambda _, sub: stripe.subscription("price_elite", name=sub, customer=f"cus_{sub}"), 33),
]
"""A customer's life, with the day of each event."""

USERS = count()


async def live_through(billing: BillingWriter, order: Sequence[int], start: float) -> str:
    """Apply the history's events in some order, as a user nobody has heard of; returns the user."""
    number = next(USERS)
    user, sub = f"user-{number}", f"sub_{number}"
    for index in order:
        kind, about, day = HISTORY[index]
        told = stripe.event(kind, about(user, sub), created=int(start + day * DAY), event_id=f"evt_{number}_{index}")
        await billing.apply(read_event(stripe.body_of(told).encode()), "c")
    return user


@settings(
    max_examples=6, deadline=None, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(order=st.permutations(range(len(HISTORY))))
async def test_every_order_of_arrival_ends_in_the_same_tier(database, order):
    calendar = Calendar()
    billing = BillingWriter(database, lambda _head, _events: None, PRICES, 7, clock=calendar)
    assert await tier(database, await live_through(billing, order, calendar.now - 100 * DAY)) is Tier.ELITE


async def test_all_orders_of_an_unpaid_invoice_end_in_the_same_tier(database):
    calendar = Calendar()
    billing = BillingWriter(database, lambda _head, _events: None, PRICES, 7, clock=calendar)
    orders = [*permutations([0, 2, 4])]
    users = [await live_through(billing, order, calendar.now - 31 * DAY) for order in orders]
    assert {await tier(database, user) for user in users} == {Tier.PRO}, "the grace period lasts"
    calendar.now += 10 * DAY
    assert await billing.sweep() == len(users)
    users += [await live_through(billing, order, calendar.now - 41 * DAY) for order in orders]
    assert {await tier(database, user) for user in users} == {Tier.STARTER}


async def test_a_failed_payment_ends_in_starter_when_the_grace_period_does(database):
    calendar = Calendar()
    billing = BillingWriter(database, lambda _head, _events: None, PRICES, 7, clock=calendar)
    user = await live_through(billing, [0, 1, 2, 3, 4, 5], calendar.now - 30 * DAY)
    for later, expected, ended in [(6.9 * DAY, Tier.PRO, 0), (0.2 * DAY, Tier.STARTER, 1), (DAY, Tier.STARTER, 0)]:
        calendar.now += later
        assert await billing.sweep() == ended
        assert await tier(database, user) is expected
    last = (await entries(database))[-1]
    assert (last.actor, last.reason) == ("stripe", "grace period after invoice.payment_failed ended")
    paid = stripe.event(
        PAID, stripe.invoice(name=f"sub_{user[5:]}", customer=f"cus_sub_{user[5:]}"), created=int(calendar.now)
    )
    await billing.apply(read_event(stripe.body_of(paid).encode()), "c")
    assert await tier(database, user) is Tier.PRO


async def test_of_two_replicas_one_ends_a_grace_period(database):
    calendar = Calendar()
    replicas = [BillingWriter(database, lambda _head, _events: None, PRICES, 7, clock=calendar) for _ in range(4)]
    user = await live_through(replicas[0], [0, 2, 4], calendar.now - 30 * DAY)
    calendar.now += 8 * DAY
    assert sorted(await asyncio.gather(*(replica.sweep() for replica in replicas))) == [0, 0, 0, 1]
    assert [entry.tier for entry in await entries(database) if entry.user_id == user] == ["pro", "starter"]


async def test_a_grace_period_ends_although_nobody_ran_when_it_did(database_url, database):
    """What is known of it is in the database, so another process, started later, ends it."""
    calendar = Calendar()
    first = BillingWriter(database, lambda _head, _events: None, PRICES, 7, clock=calendar)
    user = await live_through(first, [0, 2, 4], calendar.now - 30 * DAY)
    calendar.now += 8 * DAY
    announced = []
    async with Database.open(database_url) as later:
        second = BillingWriter(later, lambda _head, events: announced.extend(events), PRICES, 7, clock=calendar)
        sweeping = asyncio.create_task(second.run())
        async with asyncio.timeout(30):
            while await tier(database, user) is not Tier.STARTER:  # noqa: ASYNC110 - only the database knows
                await asyncio.sleep(0.02)
        sweeping.cancel()
        await asyncio.wait([sweeping])
    assert [event.type for event in announced] == ["tier.changed"]


async def test_a_tier_set_by_hand_stays_until_billing_says_something_else(client, database):
    await applied(client, *pro_subscription())
    await client.put("/api/v1/users/alice/tier", json={"tier": "elite"}, headers=ADMIN)
    await applied(client, stripe.event(UPDATED, stripe.subscription(), created=now() - 10))
    assert await tier(database) is Tier.ELITE
    await applied(client, stripe.event(DELETED, stripe.subscription(status="canceled"), created=now()))
    assert await tier(database) is Tier.STARTER


async def test_a_customer_who_comes_to_another_user_takes_the_tier_along(client, database):
    await applied(client, *pro_subscription())
    moved = stripe.event(CHECKOUT, stripe.checkout("bob"), created=now(), event_id="evt_moved")
    await applied(client, moved)
    assert (await tier(database), await tier(database, "bob")) == (Tier.STARTER, Tier.PRO)


async def test_an_unknown_price_is_answered_and_counts_once_it_is_known(client, database):
    told = stripe.event(CREATED, stripe.subscription("price_new"), created=now())
    await applied(client, pro_subscription()[0])
    answer = await send(client, told)
    assert (answer.status_code, answer.json()["detail"]) == (200, "TIERS_STRIPE_PRICES has no price_new")
    assert await tier(database) is Tier.STARTER
    async with api_client(database, **{**SETTINGS, "stripe_prices": {**PRICES, "price_new": Tier.ELITE}}) as later:
        assert (await send(later, told)).json() == {"status": "duplicate", "detail": None}
    assert await tier(database) is Tier.ELITE


async def test_a_subscription_of_a_customer_nobody_knows_waits_for_the_checkout(client, database):
    checkout, created = pro_subscription()
    await applied(client, created)
    assert await entries(database) == []
    await applied(client, checkout)
    assert await tier(database) is Tier.PRO


@pytest.mark.parametrize(("kind", "about"), [("charge.succeeded", {"id": "ch_1"}), (CHECKOUT, stripe.checkout(None))])
async def test_what_is_not_needed_is_answered_with_2xx_and_not_kept(client, database, kind, about):
    answer = await send(client, stripe.event(kind, about, created=now()))
    assert (answer.status_code, answer.json()["status"]) == (200, "ignored")
    assert answer.json()["detail"]
    async with database.reading() as session:
        assert (await session.exec(select(BillingEventRow))).all() == []


async def test_while_secrets_are_changed_both_count(front):
    for secret, status in [(stripe.SECRET, 200), (OTHER_SECRET, 200), ("whsec_wrong", 400)]:
        told = stripe.event("charge.succeeded", {}, created=now())
        assert (await send(front, told, secret)).status_code == status


def wrong_signatures(body: str) -> list[str | None]:
    return [
        None,
        "",
        "t=1",
        "v1=abc",
        "t=x,v1=abc",
        f"t={'9' * 5000},v1=abc",
        "é",
        f"t={now()},v1=é",
        stripe.signature(body, timestamp=now() - 301),
        stripe.signature(body + " "),
        stripe.signature(body).replace("v1=", "v0="),
    ]


async def test_what_stripe_has_not_signed_is_refused(client, database):
    body = stripe.body_of(pro_subscription()[1])
    for header in wrong_signatures(body):
        headers = {} if header is None else {"Stripe-Signature": header.encode("latin-1")}
        answer = await client.post(PATH, content=body, headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json"), header
        assert answer.json()["code"] == ("wrong_signature" if header else "missing_signature")
    async with database.reading() as session:
        assert (await session.exec(select(BillingEventRow))).all() == []


async def test_a_large_body_is_refused_before_it_is_read(front):
    assert (await front.post(PATH, content=b"x" * (1024 * 1024 + 1))).status_code == 413


async def test_what_is_signed_and_no_event_is_named(front):
    for told, field in [({"id": "evt_1"}, "type"), ([], "body")]:
        answer = await send(front, told)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == field


async def test_while_the_database_is_away_stripe_is_to_come_again(client, database):
    async with database.writing() as session:
        await session.exec(text("ALTER TABLE tier_log_head RENAME TO elsewhere"))
    answer = await send(client, pro_subscription()[1])
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert int(answer.headers["Retry-After"]) >= 1
    async with database.writing() as session:
        await session.exec(text("ALTER TABLE elsewhere RENAME TO tier_log_head"))
    await applied(client, *pro_subscription())


async def test_event_and_change_are_kept_both_or_not_at_all(client, database):
    await applied(client, pro_subscription()[0])
    async with database.writing() as session:
        await session.exec(text("ALTER TABLE tier_log RENAME TO elsewhere"))
    assert (await send(client, pro_subscription()[1])).status_code == 503
    async with database.reading() as session:
        assert len((await session.exec(select(BillingEventRow))).all()) == 1
    async with database.writing() as session:
        await session.exec(text("ALTER TABLE elsewhere RENAME TO tier_log"))
    await applied(client, pro_subscription()[1])
    assert await tier(database) is Tier.PRO


async def test_without_a_secret_there_is_no_webhook(sqlite_url):
    async with Database.open(sqlite_url) as database, api_client(database) as client:
        assert (await send(client, pro_subscription()[1])).status_code == 404
