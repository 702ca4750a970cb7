"""Compares what was promised with what was received. Pure: it reads a `History` and nothing else."""

from bisect import bisect_left, bisect_right, insort
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise

import orjson

from tests.faults.history import CANARY, ENTITLED, ClientRecord, Frame, History, Outcome, Submitted

FEEDS = {"starter": "standard", "pro": "all", "elite": "all"}
PREMIUM_BYTES = (CANARY.encode(), b'"PREMIUM"')
SAME_AS_SENT = ("action", "entry_price", "confidence", "reasoning")
SAMPLES = 10

Place = tuple[str, int]
"""A feed and a `seq` in it."""


@dataclass
class Findings:
    """Every violation, in words; `deliveries` and the like say out of how many."""

    lost: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    out_of_order: list[str] = field(default_factory=list)
    leaked: list[str] = field(default_factory=list)
    silent_gaps: list[str] = field(default_factory=list)
    forked: list[str] = field(default_factory=list)
    """The same place held another signal, or the same signal another body, for another client."""
    accepted: int = 0
    indeterminate: int = 0
    owed: int = 0
    """Deliveries that were due."""
    delivered: int = 0
    """`new_signal` frames received."""
    frames: int = 0
    frames_to_starters: int = 0
    repeated_as_told: int = 0
    """Deliveries marked `replay` to who resumed from a cursor that had stood still: they had come before."""
    told_missing: int = 0
    """Deliveries that were due and did not come, of which the client was told (`resync_required`)."""

    @property
    def violations(self) -> dict[str, list[str]]:
        kinds = ("lost", "unexpected", "duplicated", "out_of_order", "leaked", "silent_gaps", "forked")
        return {kind: getattr(self, kind) for kind in kinds}

    def assert_clean(self) -> None:
        """Fail with the first few violations of each kind, in words."""
        found = {kind: (len(all_), all_[:SAMPLES]) for kind, all_ in self.violations.items() if all_}
        assert not found, "\n".join(
            f"{kind}: {count}\n  " + "\n  ".join(samples) for kind, (count, samples) in found.items()
        )


def check(history: History, *, grace: float = 0.0) -> Findings:
    """Find every violation.

    Args:
        history: what was seen.
        grace: seconds after an answered downgrade in which premium bytes may still arrive, for users who had them.
    """
    findings = Findings(
        accepted=len(history.with_outcome(Outcome.OK)),
        indeterminate=len(history.with_outcome(Outcome.INDETERMINATE)),
    )
    _check_places(history, findings)
    for client in history.clients:
        _check_stream(client, findings)
        _check_content(history, client, findings)
        _check_leaks(history, client, grace, findings)
        _check_lost(history, client, findings)
    return findings


def signals(client: ClientRecord) -> Iterator[tuple[str, Frame]]:
    """Every `new_signal` of a client with the feed it came on."""
    for session in client.sessions:
        feed = ""
        for frame in session.frames():
            if frame["type"] in {"connected", "tier_changed"}:
                feed = FEEDS[frame["user_tier"]]
            elif frame["type"] == "new_signal":
                yield feed, frame


def _check_places(history: History, findings: Findings) -> None:
    """One place holds one signal, and one signal has one body, for all clients; times follow the places."""
    places: dict[Place, str] = {}
    bodies: dict[str, bytes] = {}
    times: dict[Place, float] = {}
    for client in history.clients:
        for feed, frame in signals(client):
            place, key, body = (feed, frame["seq"]), frame["data"]["hash"], orjson.dumps(frame["data"])
            if places.setdefault(place, key) != key:
                findings.forked.append(f"{place} is {places[place]} and, for {client.name}, {key}")
            if bodies.setdefault(key, body) != body:
                findings.forked.append(f"{key} has another body for {client.name}")
            times[place] = frame["data"]["server_timestamp"]
    for feed in set(FEEDS.values()):
        ordered = sorted((seq, time) for (name, seq), time in times.items() if name == feed)
        for (before, earlier), (seq, later) in pairwise(ordered):
            if later <= earlier:
                findings.out_of_order.append(f"{feed} {seq} is not later than {before}: {later} <= {earlier}")


@dataclass
class Stream:
    """Where a client is in its feed, and what it had where."""

    feed: str = ""
    last: int | None = None
    """The last `seq`; None where any may follow."""
    latest: float = 0.0
    """The time of the last signal."""

    def change(self, feed: str, *, continues: bool) -> None:
        """A frame says which feed follows; it goes on where it was if that is the same one, and nothing is said to be missed."""
        self.last = self.last if continues and feed == self.feed else None
        self.feed = feed


def _check_stream(client: ClientRecord, findings: Findings) -> None:
    """Within a feed each `seq` follows the last, over reconnects too, unless the client was told otherwise.

    While premium signals are withheld because a tier cannot be verified, the cursor of all frames stands still. Who resumes from
    such a cursor is sent everything since, marked `replay`: exactly what came under that very cursor may come again so.
    """
    stream = Stream()
    seen: Counter[str] = Counter()
    times: list[float] = []
    places: dict[str, Stream] = {}
    """Where the client was when it was first told a cursor."""
    under: dict[str, set[str]] = defaultdict(set)
    """What it was sent while that cursor stood still."""
    for session in client.sessions:
        told, again = None, set(under[session.cursor]) if session.cursor else set()
        if again and session.raw:
            stream = replace(places[session.cursor or ""])
        for frame in session.frames():
            kind = frame["type"]
            findings.frames += 1
            if kind in {"connected", "tier_changed"}:
                stream.change(FEEDS[frame["user_tier"]], continues=kind == "connected" and frame["recovered"] is True)
            elif kind == "resync_required":
                stream.last = None
            elif kind == "new_signal":
                findings.delivered += 1
                key = frame["data"]["hash"]
                _check_place(client, stream, frame, times, findings)
                if key in again and frame.get("replay") is True:
                    again.discard(key)
                    findings.repeated_as_told += 1
                else:
                    seen[key] += 1
                    insort(times, frame["data"]["server_timestamp"])
                if frame["cursor"] == told:
                    under[told].add(key)
            if cursor := frame.get("cursor"):
                told = cursor
                places.setdefault(cursor, replace(stream))
    findings.duplicated += [f"{client.name}: {key} came {count} times" for key, count in seen.items() if count > 1]


def _check_place(client: ClientRecord, stream: Stream, frame: Frame, times: list[float], findings: Findings) -> None:
    """See whether a signal follows the last one, and go on from it. `times` are those of all signals that it had, on any feed."""
    seq, time, last = frame["seq"], frame["data"]["server_timestamp"], stream.last
    if last is not None and seq <= last:
        findings.out_of_order.append(f"{client.name}: {stream.feed} {seq} came after {last}")
    if last is not None and seq > last + 1:
        # signals that it had before, on the other feed, are not sent again; times are unique over the log
        had = bisect_left(times, time) - bisect_right(times, stream.latest)
        if seq - last - 1 > had:
            findings.silent_gaps.append(f"{client.name}: {stream.feed} {last} is followed by {seq}, {had} were had")
    stream.last, stream.latest = seq, time


def _check_content(history: History, client: ClientRecord, findings: Findings) -> None:
    """What came is what a producer sent and was not refused."""
    for _, frame in signals(client):
        data = frame["data"]
        submitted = history.submissions.get(data["hash"])
        if submitted is None:
            findings.unexpected.append(f"{client.name}: {data['hash']} was never submitted")
        elif submitted.outcome is Outcome.FAIL:
            findings.unexpected.append(f"{client.name}: {data['hash']} was refused ({submitted.told})")
        elif not _same(submitted, data):
            findings.unexpected.append(f"{client.name}: {data['hash']} is not what was sent: {data}")


def _same(submitted: Submitted, data: Frame) -> bool:
    sent = submitted.content
    kind = "PREMIUM" if submitted.premium else "STANDARD"
    return data["type"] == kind and all(data[name] == sent.get(name) for name in SAME_AS_SENT)


def _check_leaks(history: History, client: ClientRecord, grace: float, findings: Findings) -> None:
    """No premium byte while the connection says it is a STARTER's, nor when the tiers API's answers do not explain it."""
    for session in client.sessions:
        starter = True
        for raw, at in zip(session.raw, session.arrivals, strict=True):
            premium = any(text in raw for text in PREMIUM_BYTES)
            frame = orjson.loads(raw)
            if frame["type"] in {"connected", "tier_changed"}:
                starter = frame["user_tier"] not in ENTITLED
            findings.frames_to_starters += starter
            if premium and starter:
                findings.leaked.append(f"{client.name}: premium on a STARTER connection: {raw!r}")
            elif premium and not history.may_see_premium(client.user, at, grace):
                findings.leaked.append(f"{client.name}: premium without an entitlement: {raw!r}")
    for answer in client.fetched:
        if any(text in answer.raw for text in PREMIUM_BYTES) and not history.may_see_premium(
            client.user, answer.at, grace
        ):
            findings.leaked.append(f"{client.name}: premium in an HTTP answer without an entitlement")


def _check_lost(history: History, client: ClientRecord, findings: Findings) -> None:
    """Every accepted submission that is due to the client has come, or the client was told that it will not."""
    owed = [each for each in history.submissions.values() if each.outcome is Outcome.OK and history.owed(client, each)]
    findings.owed += len(owed)
    missing = [each for each in owed if each.key not in client.received]
    told = max((at for at in _resyncs(client)), default=float("-inf"))
    for each in missing:
        if told >= each.began:
            findings.told_missing += 1
        else:
            findings.lost.append(f"{client.name}: {each.key} accepted at {each.began:.2f} ({each.told}) never came")


def _resyncs(client: ClientRecord) -> Iterator[float]:
    for session in client.sessions:
        for raw, at in zip(session.raw, session.arrivals, strict=True):
            if b'"resync_required"' in raw and orjson.loads(raw)["type"] == "resync_required":
                yield at
