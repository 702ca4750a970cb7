"""The signal log's hash chains, as ingest answers about them."""

from typing import Annotated

from pydantic import Field

from tiercast_shared.contracts.base import Contract, Epoch, Seq, UnixSeconds
from tiercast_shared.contracts.signals import Feed, Signal

LinkHex = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="A link of a hash chain, hexadecimal.")]
Floor = Annotated[Seq, Field(description="The log holds only what follows this position; 0 while nothing is archived.")]


class LedgerHead(Contract):
    """Answer of `GET /api/v1/ledger/head`: the end of both chains."""

    epoch: Epoch
    seq: Seq
    chain: LinkHex
    standard_seq: Seq
    standard_chain: LinkHex
    floor: Floor


class ChainVerdict(Contract):
    """Whether one chain holds; both null when it does."""

    broken_at: Seq | None = Field(default=None, description="First position of the log at which it does not.")
    problem: str | None = None


class LedgerVerification(Contract):
    """Answer of `GET /api/v1/ledger/verify`: what is true of entries `first` to `last`."""

    epoch: Epoch
    floor: Floor
    first: Seq
    last: Seq
    entries: int = Field(description="Entries found between them.")
    standard_entries: int
    next: Seq | None = Field(description="Where to go on; null when all that was asked for is verified.")
    all: ChainVerdict
    standard: ChainVerdict


class ChainNeighbours(Contract):
    """A chain's links before and after one entry: `after` = SHA-256(`before` ‖ SHA-256(body))."""

    before: LinkHex
    after: LinkHex


class SignalProof(Contract):
    """Answer of `GET /api/v1/log/{id}`: one entry, with all that proves its place."""

    epoch: Epoch
    seq: Seq
    standard_seq: Seq | None = Field(description="Position in the standard feed; null for a premium signal.")
    feed: Feed
    symbol: str
    received_at: UnixSeconds
    committed_at: UnixSeconds
    hashed_text: str = Field(description="What the producer's SHA-256 (`data.hash`) was taken over.")
    all: ChainNeighbours
    standard: ChainNeighbours | None = Field(description="Null for a premium signal.")
    data: Signal
