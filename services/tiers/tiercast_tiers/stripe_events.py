"""Reads Stripe's events (https://docs.stripe.com/api/events): what is needed of them, and nothing else is checked."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, TypeAdapter, ValidationError

from tiercast_shared.contracts.tiers import UserId
from tiercast_shared.web import invalid_body
from tiercast_tiers.billing import CHECKOUT, RANKS, BillingEvent


def _id_of(value: object) -> object:
    return value.get("id") if isinstance(value, dict) else value  # an object that was expanded


StripeId = Annotated[str, BeforeValidator(_id_of), Field(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$")]
PriceId = Annotated[
    str, BeforeValidator(_id_of), Field(min_length=1, max_length=255, pattern=r"^[\x20-\x2b\x2d-\x7e]+$")
]
"""Anything printable but a comma: the ids of old plans were their owners' words."""
Word = Annotated[str, Field(max_length=100, pattern=r"^[\x20-\x7e]*$")]


class _Data(BaseModel):
    object: dict[str, Any]
    previous_attributes: dict[str, Any] | None = None


class _Event(BaseModel):
    id: StripeId
    type: str
    created: int = Field(ge=0, le=2**53)
    data: _Data


class _Checkout(BaseModel):
    customer: StripeId | None = None
    client_reference_id: str | None = None
    metadata: dict[str, Any] | None = None


class _Item(BaseModel):
    price: PriceId


class _Items(BaseModel):
    data: list[_Item]


class _Subscription(BaseModel):
    id: StripeId
    customer: StripeId
    status: Word
    items: _Items


class _Before(BaseModel):
    """What an update has replaced; only what it has changed is there."""

    status: Word | None = None
    items: _Items | None = None


class _SubscriptionDetails(BaseModel):
    subscription: StripeId | None = None


class _Parent(BaseModel):
    subscription_details: _SubscriptionDetails | None = None


class _Invoice(BaseModel):
    customer: StripeId | None = None
    subscription: StripeId | None = None
    """Until API version 2025-03-31; since then it is in `parent`."""
    parent: _Parent | None = None


def read_event(body: bytes) -> BillingEvent:
    """Read an event, of whatever type; of those that are not needed nothing more is read.

    Raises:
        Rejected: it is no event, or lacks what events of its type have.
    """
    try:
        event = _Event.model_validate_json(body)
        return _read(event, event.data.object, event.data.previous_attributes or {})
    except ValidationError as error:
        raise invalid_body(error.errors(include_url=False, include_input=False, include_context=False)) from None


def _read(event: _Event, about: dict[str, Any], replaced: dict[str, Any]) -> BillingEvent:
    known: dict[str, Any] = {}
    if event.type == CHECKOUT:
        session = _Checkout.model_validate(about)
        known = {"customer": session.customer, "user_id": _user(session)}
    elif event.type.startswith("customer.subscription.") and event.type in RANKS:
        subscription = _Subscription.model_validate(about)
        prices = tuple(item.price for item in subscription.items.data)
        known = {"customer": subscription.customer, "subscription": subscription.id}
        known |= {"status": subscription.status, "prices": prices, **_before(replaced)}
    elif event.type in RANKS:
        invoice = _Invoice.model_validate(about)
        details = invoice.parent.subscription_details if invoice.parent else None
        subscription_id = invoice.subscription or (details.subscription if details else None)
        known = {"customer": invoice.customer, "subscription": subscription_id}
    return BillingEvent(id=event.id, type=event.type, created=event.created, **known)


def _before(replaced: dict[str, Any]) -> dict[str, Any]:
    """It only helps to order events of one second, so that nothing is refused for it."""
    try:
        before = _Before.model_validate(replaced)
    except ValidationError:
        return {}
    prices = None if before.items is None else tuple(item.price for item in before.items.data)
    return {"status_before": before.status, "prices_before": prices}


def _user(session: _Checkout) -> str | None:
    named = session.client_reference_id or (session.metadata or {}).get("user_id")
    try:
        return TypeAdapter[str](UserId).validate_python(named, strict=True)
    except ValidationError:
        return None


def why_ignored(event: BillingEvent) -> str | None:
    """Why an event says nothing about anybody's tier; None if it does."""
    if event.type == CHECKOUT:
        if event.user_id is None:
            return "the checkout names no user in client_reference_id or metadata.user_id"
        return "the checkout has no customer" if event.customer is None else None
    if event.type not in RANKS:
        return f"events of type {event.type[:100]!r} are not needed"
    return "the invoice is for no subscription" if event.subscription is None else None
