"""Decides what becomes of each submission of a batch, given where the log ends and what it already holds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tiercast_ingest.domain.identifiers import new_identifier
from tiercast_ingest.domain.reasons import CONFLICT
from tiercast_ingest.domain.signal import render, signal_type, smallest_feed
from tiercast_ingest.domain.submission import SubmittedSignal
from tiercast_shared.contracts.signals import SignalType
from tiercast_shared.errors import Rejected
from tiercast_shared.eventlog.chain import link

Key = tuple[str, str]
"""Producer, and what that producer calls the signal: compared byte for byte."""


@dataclass(frozen=True, slots=True)
class Submission:
    """A submission on its way into the log."""

    producer: str
    signal: SubmittedSignal
    correlation_id: str
    received_at: float
    wire_id: str = field(default_factory=new_identifier)
    """Given before the transaction, so that a repeated transaction knows its own work."""

    @property
    def key(self) -> Key:
        """What identifies it, over every transport."""
        return self.producer, self.signal.content.signal_id


class Known(NamedTuple):
    """A signal that is in the log."""

    wire_id: str
    fingerprint: bytes
    seq: int


class Stored(NamedTuple):
    """The submission is in the log, now or (`duplicate`) since an earlier time."""

    wire_id: str
    seq: int
    kind: SignalType
    duplicate: bool


class LogEnd(NamedTuple):
    """The last position and link of both chains, and the last signal's time."""

    seq: int
    chain: bytes
    standard_seq: int
    standard_chain: bytes
    server_timestamp: float


class Entry(NamedTuple):
    """A new entry of the log: its columns, in their order."""

    seq: int
    body: bytes
    chain: bytes
    correlation_id: str
    received_at: float
    committed_at: float
    standard_seq: int | None
    standard_chain: bytes | None
    id: str
    feed: str
    symbol: str
    producer: str
    signal_id: str
    fingerprint: bytes
    hashed_text: str


class Settlement:
    """Settles the submissions of one batch, in order. `end` and `entries` are what is to be written."""

    def __init__(self, end: LogEnd, known: Mapping[Key, Known], now: float) -> None:
        self.end = end
        self.entries: list[Entry] = []
        self._known = dict(known)
        self._now = now
        self._rounded_now = round(now, 6)

    def settle(self, submission: Submission) -> Stored | Rejected:
        """Number a new submission; recognise one that is in the log, or earlier in the batch, with the same or another content."""
        key, content = submission.key, submission.signal.content
        kind, fingerprint = signal_type(content.confidence), content.fingerprint()
        known = self._known.get(key)
        if known is None:
            entry = self._append(submission, kind, fingerprint)
            self._known[key] = Known(entry.id, fingerprint, entry.seq)
            return Stored(entry.id, entry.seq, kind, duplicate=False)
        if known.fingerprint == fingerprint:
            return Stored(known.wire_id, known.seq, kind, duplicate=known.wire_id != submission.wire_id)
        return Rejected(
            409, CONFLICT, f"signal_id: signal {known.wire_id} has this signal_id already, with another content"
        )

    def _append(self, submission: Submission, kind: SignalType, fingerprint: bytes) -> Entry:
        end, content = self.end, submission.signal.content
        server_timestamp = self._rounded_now
        if server_timestamp <= end.server_timestamp:
            server_timestamp = round(end.server_timestamp + 1e-6, 6)
        body = render(submission.signal, wire_id=submission.wire_id, kind=kind, server_timestamp=server_timestamp)
        standard = kind is SignalType.STANDARD
        self.end = LogEnd(
            seq=end.seq + 1,
            chain=link(end.chain, body),
            standard_seq=end.standard_seq + standard,
            standard_chain=link(end.standard_chain, body) if standard else end.standard_chain,
            server_timestamp=server_timestamp,
        )
        entry = Entry(
            seq=self.end.seq,
            body=body,
            chain=self.end.chain,
            correlation_id=submission.correlation_id,
            received_at=submission.received_at,
            committed_at=self._now,
            standard_seq=self.end.standard_seq if standard else None,
            standard_chain=self.end.standard_chain if standard else None,
            id=submission.wire_id,
            feed=smallest_feed(kind).value,
            symbol=content.symbol,
            producer=submission.producer,
            signal_id=content.signal_id,
            fingerprint=fingerprint,
            hashed_text=submission.signal.hashed_text,
        )
        self.entries.append(entry)
        return entry
