"""`POST /api/v1/webhooks/stripe`: what Stripe tells of subscriptions (https://docs.stripe.com/webhooks)."""

from collections.abc import Collection, Sequence
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, SecretStr
from stripe import SignatureVerificationError, WebhookSignature

from tiercast_shared.correlation import correlation_id
from tiercast_shared.errors import Rejected
from tiercast_shared.observability import get_logger
from tiercast_shared.web import Problem, read_body
from tiercast_tiers.billing import ENTITLED, BillingEvent
from tiercast_tiers.billing_writer import BillingWriter
from tiercast_tiers.metrics import TiersMetrics
from tiercast_tiers.stripe_events import read_event, why_ignored

BODY_LIMIT = 1024 * 1024
TOLERANCE_SECONDS = 300
"""How old a signature may be: a request that somebody recorded cannot be sent again later."""

SIGNATURE = "Stripe-Signature"

log = get_logger()


class WebhookAnswer(BaseModel):
    """What became of an event. Stripe repeats what is not answered with 2xx, so that what is not needed is answered so, too."""

    status: Literal["applied", "duplicate", "ignored"]
    detail: str | None = None


def webhook_router(
    billing: BillingWriter, metrics: TiersMetrics, secrets: Sequence[SecretStr], prices: Collection[str]
) -> APIRouter:
    """The route; `secrets` are those whose signature counts, `prices` those that pay for a tier."""
    router = APIRouter(prefix="/api/v1/webhooks", tags=["billing"])

    @router.post(
        "/stripe",
        responses={
            400: {"model": Problem, "description": "The signature is missing, wrong or too old"},
            413: {"model": Problem},
            422: {"model": Problem, "description": "It is signed, but no event"},
            503: {"model": Problem, "description": "It cannot be stored now: Stripe repeats it"},
        },
        openapi_extra={
            "parameters": [{"name": SIGNATURE, "in": "header", "required": True, "schema": {"type": "string"}}],
            "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
        },
    )
    async def receive(request: Request) -> WebhookAnswer:
        """Apply an event to the tier of the user whom it is about."""
        body = await read_body(request, BODY_LIMIT)
        check_signature(body, request.headers.get(SIGNATURE), secrets)
        event = read_event(body)
        answer = await _apply(event, request)
        metrics.billing_event(answer.status)
        log.info("stripe event", event_id=event.id, event_type=event.type, status=answer.status, detail=answer.detail)
        return answer

    async def _apply(event: BillingEvent, request: Request) -> WebhookAnswer:
        if (reason := why_ignored(event)) is not None:
            return WebhookAnswer(status="ignored", detail=reason)
        applied = await billing.apply(event, correlation_id(request))
        return WebhookAnswer(status=applied.value, detail=_unknown_prices(event, prices))

    return router


def check_signature(body: bytes, header: str | None, secrets: Sequence[SecretStr]) -> None:
    """Pass what is signed with one of `secrets`, and was so at most 300 s ago.

    Raises:
        Rejected: 400.
    """
    if not header:
        raise Rejected(400, "missing_signature", f"header {SIGNATURE} is missing")
    problem = ""
    for secret in secrets:
        try:
            WebhookSignature.verify_header(body.decode(), header, secret.get_secret_value(), TOLERANCE_SECONDS)
        except (
            SignatureVerificationError,
            UnicodeError,
            TypeError,
        ) as error:  # TypeError: a signature that is not ASCII
            problem = str(error)
        else:
            return
    log.warning("a request to the Stripe webhook is not signed by Stripe: is STRIPE_WEBHOOK_SECRET right?", once_in=30)
    raise Rejected(400, "wrong_signature", f"header {SIGNATURE}: {problem}")


def _unknown_prices(event: BillingEvent, prices: Collection[str]) -> str | None:
    unknown = [price for price in event.prices if price not in prices]
    if not unknown or event.status not in ENTITLED:
        return None
    log.error(
        "a price pays for no tier: put it into TIERS_STRIPE_PRICES, then have Stripe send the event again",
        prices=unknown,
        event_id=event.id,
    )
    return f"TIERS_STRIPE_PRICES has no {', '.join(unknown)}"
