"""What a producer submits, and what it is answered.

Ingest reads submissions with its own strict reader, because the hash covers the text of numbers; `SignalSubmission` says the same
in a schema.
"""

from typing import Annotated, Literal

from pydantic import Field

from tiercast_shared.contracts.base import Contract
from tiercast_shared.contracts.signals import Confidence, Price

Name = Annotated[str, Field(min_length=1, max_length=100)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")]
Moment = Annotated[str, Field(max_length=40, description="ISO 8601; without a zone it is UTC.")]


class SignalSubmission(Contract):
    """One signal. `sha256` (or `verification_hash`) is taken over the first nine fields as the protocol document says."""

    signal_id: str = Field(
        min_length=1,
        max_length=200,
        description="The producer's own name for it: the idempotency key, with the producer.",
    )
    symbol: str = Field(pattern=r"^[A-Za-z0-9./_:^=-]{1,20}$", description="Sent to clients in upper case.")
    action: Literal["BUY", "SELL"]
    entry_price: Price
    target_price: Price | None = None
    stop_price: Price | None = None
    confidence: Confidence
    strategy: Name | None = Field(None, description="Counts as `weighted_consensus_v6` when left out.")
    timestamp: Moment
    sha256: Sha256 | None = None
    verification_hash: Sha256 | None = Field(None, description="Another name for `sha256`; one of them is required.")
    take_profit: Price | None = Field(None, description="Another name for `target_price`.")
    stop_loss: Price | None = Field(None, description="Another name for `stop_price`.")
    asset_type: Name | None = Field(None, description="Counts as `stock` when left out.")
    data_source: Name | None = Field(None, description="Counts as `weighted_consensus` when left out.")
    reasoning: str | None = Field(None, max_length=10_000)
    regime: str | None = Field(None, max_length=100)
    consensus_agreement: float | None = Field(None, allow_inf_nan=False)
    sources_count: int | None = Field(None, ge=0, le=1_000_000)
    valid_until: Moment | None = None


class SubmissionAnswer(Contract):
    """The signal is in the log: since now (`success`, 201) or since an earlier submission (`duplicate`, 200)."""

    status: Literal["success", "duplicate"]
    signal_id: str
    external_signal_id: str = Field(description="The signal's `id` for clients.")


class FieldProblem(Contract):
    """One wrong field of a submission."""

    field: str
    message: str


class BatchItem(Contract):
    """What became of one signal of a batch; `http_status` is what it would have been answered alone."""

    index: int = Field(ge=0, description="Place in the batch, from 0.")
    status: Literal["success", "duplicate", "rejected", "unavailable"] = Field(
        description="`unavailable`: not stored now, send it again."
    )
    http_status: int
    signal_id: str | None = None
    external_signal_id: str | None = None
    code: str | None = None
    detail: str | None = None
    errors: list[FieldProblem] | None = None


class BatchAnswer(Contract):
    """What became of a batch, in the order it was sent."""

    results: list[BatchItem]
    accepted: int
    duplicates: int
    rejected: int
    unavailable: int
