"""Events as Stripe documents and sends them (https://docs.stripe.com/api/events), signed as Stripe signs them."""

import json
from collections.abc import Mapping
from typing import Any

from stripe import WebhookSignature

SECRET = "whsec_of_the_test"
PRICES = {"price_pro": "pro", "price_elite": "elite"}

Json = dict[str, Any]


def signature(body: str, secret: str = SECRET, timestamp: int | None = None) -> str:
    """The value of `Stripe-Signature`."""
    return str(WebhookSignature.generate_signature_header(body, secret, timestamp))


def event(
    kind: str,
    about: Mapping[str, Any],
    *,
    created: int,
    event_id: str | None = None,
    before: Mapping[str, Any] | None = None,
) -> Json:
    """An event of type `kind` about an object; `before` is what it says to have replaced."""
    replaced = {"previous_attributes": {**before}} if before else {}
    return {
        "id": event_id or f"evt_{kind.replace('.', '_')}_{created}",
        "object": "event",
        "api_version": "2025-09-30.clover",
        "created": created,
        "data": {"object": {**about}, **replaced},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
    }


def subscription(
    price: str = "price_pro", status: str = "active", *, name: str = "sub_1", customer: str = "cus_1"
) -> Json:
    """A subscription with one item."""
    return {
        "id": name,
        "object": "subscription",
        "billing_cycle_anchor": 1_795_000_000,
        "cancel_at_period_end": False,
        "collection_method": "charge_automatically",
        "currency": "usd",
        "customer": customer,
        "items": {
            "object": "list",
            "data": [
                {
                    "id": f"si_{name}",
                    "object": "subscription_item",
                    "current_period_end": 1_797_678_400,
                    "current_period_start": 1_795_000_000,
                    "price": {
                        "id": price,
                        "object": "price",
                        "currency": "usd",
                        "product": "prod_1",
                        "recurring": {"interval": "month", "interval_count": 1},
                        "type": "recurring",
                        "unit_amount": 2900,
                    },
                    "quantity": 1,
                    "subscription": name,
                }
            ],
            "has_more": False,
            "total_count": 1,
            "url": f"/v1/subscription_items?subscription={name}",
        },
        "latest_invoice": "in_1",
        "livemode": False,
        "metadata": {},
        "status": status,
    }


def checkout(user: str | None, *, customer: str | None = "cus_1", name: str = "sub_1", **more: Any) -> Json:
    """A completed checkout of a subscription."""
    return {
        "id": "cs_test_1",
        "object": "checkout.session",
        "amount_total": 2900,
        "client_reference_id": user,
        "customer": customer,
        "metadata": {},
        "mode": "subscription",
        "payment_status": "paid",
        "status": "complete",
        "subscription": name,
        **more,
    }


def invoice(*, name: str | None = "sub_1", customer: str = "cus_1", old: bool = False) -> Json:
    """An invoice of a subscription, as API versions since 2025-03-31 have it, or those before (`old`)."""
    about: Json = {"id": "in_1", "object": "invoice", "amount_due": 2900, "attempt_count": 1, "customer": customer}
    if old:
        return about | {"subscription": name}
    details: Json = {"metadata": {}, "subscription": name}
    parent = {"quote_details": None, "subscription_details": details, "type": "subscription_details"} if name else None
    return about | {"parent": parent}


def body_of(told: Mapping[str, Any]) -> str:
    """The body of a webhook request."""
    return json.dumps(told, indent=2)
