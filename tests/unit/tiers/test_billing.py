"""What subscriptions entitle to, whatever the order in which their events arrive."""

from collections.abc import Sequence
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import stripe
from tiercast_shared.contracts.tiers import Tier
from tiercast_shared.errors import Rejected
from tiercast_tiers.billing import BillingEvent, highest, linked_user, subscription_state
from tiercast_tiers.stripe_events import read_event, why_ignored

GRACE = 100.0
NOW = 10_000.0
TIER_OF = {"price_pro": Tier.PRO, "price_elite": Tier.ELITE}.get


def read(kind: str, about: stripe.Json, created: int = 1, event_id: str | None = None) -> BillingEvent:
    return read_event(stripe.body_of(stripe.event(kind, about, created=created, event_id=event_id)).encode())


def subscribed(created: int, price: str = "price_pro", status: str = "active") -> BillingEvent:
    return read("customer.subscription.updated", stripe.subscription(price, status), created)


def past_due(created: int) -> BillingEvent:
    return subscribed(created, status="past_due")


def failed(created: int) -> BillingEvent:
    return read("invoice.payment_failed", stripe.invoice(), created)


def paid(created: int) -> BillingEvent:
    return read("invoice.paid", stripe.invoice(), created)


def deleted(created: int) -> BillingEvent:
    return read("customer.subscription.deleted", stripe.subscription(status="canceled"), created)


def tier(events: Sequence[BillingEvent], now: float = NOW) -> Tier:
    return subscription_state(events).tier(TIER_OF, now, GRACE)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], Tier.STARTER),
        ([subscribed(1)], Tier.PRO),
        ([subscribed(1), subscribed(2, "price_elite")], Tier.ELITE),
        ([subscribed(1, "price_elite"), subscribed(2)], Tier.PRO),
        ([subscribed(1, "price_unknown")], Tier.STARTER),
        ([subscribed(1, status="trialing")], Tier.PRO),
        ([subscribed(1, status="incomplete")], Tier.STARTER),
        ([subscribed(1), subscribed(2, status="unpaid")], Tier.STARTER),
        ([subscribed(1), subscribed(2, status="paused")], Tier.STARTER),
        ([subscribed(1), deleted(2)], Tier.STARTER),
        ([subscribed(3), deleted(2)], Tier.STARTER),
        ([subscribed(2), deleted(2)], Tier.STARTER),
        ([paid(1)], Tier.STARTER),
        ([subscribed(1), failed(9_950)], Tier.PRO),
        ([subscribed(1), failed(9_900)], Tier.STARTER),
        ([subscribed(1), failed(9_800), failed(9_990)], Tier.STARTER),
        ([subscribed(1), failed(9_800), paid(9_850)], Tier.PRO),
        ([subscribed(1), failed(9_800), paid(9_800)], Tier.PRO),
        ([subscribed(1), failed(9_800), paid(9_850), failed(9_990)], Tier.PRO),
        ([subscribed(1), subscribed(9_800, status="past_due")], Tier.STARTER),
        ([subscribed(1), subscribed(9_990, status="past_due")], Tier.PRO),
        ([subscribed(1), failed(9_700), subscribed(9_990, status="past_due")], Tier.STARTER),
        ([subscribed(1), failed(9_700), subscribed(9_800)], Tier.PRO),
        ([subscribed(1), failed(9_700), past_due(9_700), failed(9_800), paid(9_880)], Tier.STARTER),
        ([subscribed(1), failed(9_700), past_due(9_700), failed(9_800), paid(9_950)], Tier.PRO),
        ([subscribed(1), failed(9_700), past_due(9_700), paid(9_800), subscribed(9_801)], Tier.PRO),
    ],
)
def test_what_has_happened_decides_the_tier(events: list[BillingEvent], expected: Tier):
    assert tier(events) is expected


@st.composite
def histories(draw: st.DrawFn) -> list[BillingEvent]:
    kinds = st.sampled_from(["created", "updated", "deleted", "payment_failed", "paid"])
    events = []
    for number, kind in enumerate(draw(st.lists(kinds, min_size=1, max_size=8))):
        created = draw(st.integers(9_800, 9_806))
        if kind in {"paid", "payment_failed"}:
            about, full = stripe.invoice(), f"invoice.{kind}"
        else:
            price = draw(st.sampled_from(["price_pro", "price_elite", "price_unknown"]))
            status = draw(st.sampled_from(["active", "trialing", "past_due", "unpaid", "canceled"]))
            about, full = stripe.subscription(price, status), f"customer.subscription.{kind}"
        events.append(read(full, about, created, f"evt_{number}"))
    return events


@given(histories(), st.randoms())
def test_every_order_of_arrival_ends_in_the_same_state(events, random):
    shuffled = [*events]
    random.shuffle(shuffled)
    assert subscription_state(shuffled) == subscription_state(events)


def changed(event_id: str, status: str, before: stripe.Json, price: str = "price_pro") -> BillingEvent:
    """An update within one second, and what it says to have replaced."""
    told = stripe.event(
        "customer.subscription.updated", stripe.subscription(price, status), created=5, event_id=event_id, before=before
    )
    return read_event(stripe.body_of(told).encode())


def items(price: str) -> stripe.Json:
    return {"data": [{"id": "si_1", "price": {"id": price}}]}


@pytest.mark.parametrize("ids", [("evt_a", "evt_b", "evt_c"), ("evt_c", "evt_b", "evt_a"), ("evt_b", "evt_c", "evt_a")])
@pytest.mark.parametrize(
    ("chain", "status", "prices"),
    [
        ([("unpaid", {"status": "active"})], "unpaid", "price_pro"),
        ([("active", {"metadata": {}}), ("unpaid", {"status": "active"})], "unpaid", "price_pro"),
        ([("past_due", {"status": "active"}), ("active", {"status": "past_due"})], "active", "price_pro"),
        (
            [("past_due", {"status": "active"}), ("active", {"status": "past_due"}), ("unpaid", {"status": "active"})],
            "unpaid",
            "price_pro",
        ),
        (
            [
                ("active", {"items": items("price_pro")}, "price_elite"),
                ("active", {"items": items("price_elite")}, "price_x"),
            ],
            "active",
            "price_x",
        ),
        ([("unpaid", {"status": "past_due"}), ("canceled", {"status": "unpaid"})], "canceled", "price_pro"),
    ],
)
def test_changes_within_one_second_follow_from_what_each_says_to_have_replaced(
    ids: Sequence[str], chain: list[tuple[str, stripe.Json, str]], status: str, prices: str
):
    events = [changed(event_id, *link) for event_id, link in zip(ids, chain, strict=False)]
    for order in permutations([subscribed(4), *events]):
        state = subscription_state(order)
        assert (state.status, state.prices) == (status, (prices,))


@pytest.mark.parametrize(
    "before", [None, {}, {"status": 7}, {"items": []}, {"items": {"data": [{}]}}, {"status": None}]
)
def test_what_an_event_says_to_have_replaced_is_never_a_reason_to_refuse_it(before: object):
    told = stripe.event("customer.subscription.updated", stripe.subscription(), created=1)
    told["data"]["previous_attributes"] = before
    read_as = read_event(stripe.body_of(told).encode())
    assert (read_as.status, read_as.status_before, read_as.prices_before) == ("active", None, None)


def test_the_last_checkout_of_a_customer_says_whose_it_is():
    checkouts = [read("checkout.session.completed", stripe.checkout(user), at) for user, at in [("a", 2), ("b", 1)]]
    assert linked_user(checkouts) == "a"
    assert linked_user(reversed(checkouts)) == "a"
    assert linked_user([]) is None


def test_the_best_of_several_subscriptions_counts():
    assert highest([Tier.PRO, Tier.ELITE, Tier.STARTER]) is Tier.ELITE
    assert highest([]) is Tier.STARTER


@pytest.mark.parametrize("old", [True, False])
def test_an_invoice_names_its_subscription_in_old_and_new_versions_of_the_api(old: bool):
    event = read("invoice.paid", stripe.invoice(name="sub_7", old=old))
    assert (event.subscription, event.customer, why_ignored(event)) == ("sub_7", "cus_1", None)


@pytest.mark.parametrize(
    ("kind", "about", "why"),
    [
        ("charge.succeeded", {}, "not needed"),
        ("invoice.paid", stripe.invoice(name=None), "no subscription"),
        ("checkout.session.completed", stripe.checkout(None), "names no user"),
        ("checkout.session.completed", stripe.checkout("a\nb"), "names no user"),
        ("checkout.session.completed", stripe.checkout("a" * 256), "names no user"),
        ("checkout.session.completed", stripe.checkout(None, metadata={"user_id": 7}), "names no user"),
        ("checkout.session.completed", stripe.checkout("a", customer=None), "no customer"),
    ],
)
def test_what_says_nothing_about_a_tier_is_ignored_with_a_reason(kind: str, about: stripe.Json, why: str):
    assert why in str(why_ignored(read(kind, about)))


def test_the_user_may_be_named_in_the_metadata():
    named = read("checkout.session.completed", stripe.checkout(None, metadata={"user_id": "auth0|alice"}))
    assert (named.user_id, why_ignored(named)) == ("auth0|alice", None)


@pytest.mark.parametrize(
    ("kind", "about", "field"),
    [
        ("customer.subscription.updated", {"id": "sub_1", "customer": "cus_1", "status": "active"}, "items"),
        ("customer.subscription.updated", {**stripe.subscription(), "id": "x" * 256}, "id"),
        ("customer.subscription.updated", stripe.subscription("a,b"), "items.data.0.price"),
        ("invoice.paid", {"customer": 7}, "customer"),
    ],
)
def test_what_an_event_lacks_is_named(kind: str, about: stripe.Json, field: str):
    with pytest.raises(Rejected) as refused:
        read(kind, about)
    assert [each.field for each in refused.value.fields] == [field]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
KINDS = st.sampled_from(["checkout.session.completed", "customer.subscription.updated", "invoice.paid", "x"])
NAMES = st.sampled_from(
    ["id", "customer", "subscription", "status", "items", "metadata", "client_reference_id", "parent"]
)


@given(KINDS, st.dictionaries(NAMES, JSON))
def test_whatever_is_signed_is_read_or_refused(kind, about):
    told = stripe.event(kind, about, created=1)
    try:
        answer = read_event(stripe.body_of(told).encode()).type
    except Rejected as refused:
        answer = str(refused.status)
    assert answer in {kind, "422"}


@given(st.binary() | JSON.map(lambda value: stripe.body_of(value).encode()))
def test_no_bytes_break_the_reader(body):
    with pytest.raises(Rejected) as refused:
        read_event(body)
    assert refused.value.status == 422
