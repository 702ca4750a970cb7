"""What a checking process saw with its own eyes: what producers were told, what tiers were set, what every client received.

Nothing here was asked of the services afterwards. Times are `time.monotonic()` of this process.
"""

import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import orjson

PREMIUM_FROM = 85.0
CANARY = "premium-canary-"
"""Stands in the text of every premium signal: these bytes must never reach a STARTER."""

ENTITLED = frozenset({"pro", "elite"})

Frame = dict[str, Any]


class Outcome(StrEnum):
    """What a producer knows of its submission."""

    OK = "ok"
    """2xx, or the broker's ack: it must appear, once."""
    FAIL = "fail"
    """Refused for good, or never sent: it must not appear."""
    INDETERMINATE = "indeterminate"
    """Timed out, connection lost, 5xx: it may appear once or not at all."""


@dataclass(slots=True)
class Submitted:
    """A submission; what makes it the same signal everywhere is the SHA-256 that its producer gave it."""

    key: str
    content: dict[str, object]
    began: float
    outcome: Outcome = Outcome.INDETERMINATE
    settled: float | None = None
    attempts: int = 0
    told: str = ""
    """The last answer, in words."""

    @property
    def premium(self) -> bool:
        confidence = self.content["confidence"]
        assert isinstance(confidence, int | float)
        return confidence >= PREMIUM_FROM


@dataclass(slots=True)
class TierSetting:
    """A change of tier asked of the tiers API; `answered` is None when no answer came, and then it may or may not hold."""

    user: str
    tier: str
    asked: float
    answered: float | None = None


@dataclass(slots=True)
class Session:
    """One connection of a client: what it asked for and every frame it received, as bytes."""

    gateway: int
    cursor: str | None
    opened: float
    raw: list[bytes] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)
    close_code: int | None = None
    """1006 when the connection ended without a close frame; None while it is open or when it never opened."""
    closed: float | None = None
    refused: str | None = None
    """Why it never opened."""

    def frames(self) -> list[Frame]:
        """All frames, decoded."""
        return [orjson.loads(raw) for raw in self.raw]


@dataclass(slots=True)
class Fetched:
    """An answer of `/api/v1/signals/latest`."""

    at: float
    raw: bytes


@dataclass(slots=True)
class ClientRecord:
    """All that one client saw."""

    name: str
    user: str
    sessions: list[Session] = field(default_factory=list)
    fetched: list[Fetched] = field(default_factory=list)
    received: set[str] = field(default_factory=set)
    """Keys of all signals it has, by whatever way."""
    connected_at: float | None = None
    """When it was first told `connected`: from here on it resumes, so everything later is due to it."""


class History:
    """The record of one trial."""

    def __init__(self) -> None:
        self.submissions: dict[str, Submitted] = {}
        self.tiers: list[TierSetting] = []
        self.clients: list[ClientRecord] = []

    def dump(self, path: Path) -> None:
        """Write all of it down, one JSON object a line, for whoever looks into a violation."""
        with path.open("w") as file:
            for submitted in self.submissions.values():
                file.write(json.dumps({"submitted": asdict(submitted)}) + "\n")
            for setting in self.tiers:
                file.write(json.dumps({"tier": asdict(setting)}) + "\n")
            for client in self.clients:
                for session in client.sessions:
                    told = {name: value for name, value in asdict(session).items() if name not in {"raw", "arrivals"}}
                    file.write(json.dumps({"client": client.name, "session": told}) + "\n")
                    for at, frame in zip(session.arrivals, session.frames(), strict=True):
                        file.write(json.dumps({"client": client.name, "at": at, "frame": frame}) + "\n")

    def with_outcome(self, outcome: Outcome) -> list[Submitted]:
        """The submissions that ended so."""
        return [each for each in self.submissions.values() if each.outcome is outcome]

    def client(self, name: str, user: str) -> ClientRecord:
        """A new client's record."""
        record = ClientRecord(name, user)
        self.clients.append(record)
        return record

    def may_see_premium(self, user: str, at: float, grace: float) -> bool:
        """Whether a premium byte that reaches `user` at `at` can be explained.

        It can if a setting above STARTER had been asked for, and the downgrade after it, if there was one, was not yet
        answered, or answered less than `grace` seconds ago.
        """
        may, until = False, float("inf")
        for setting in self.tiers:
            if setting.user != user or setting.asked > at:
                continue
            if setting.tier in ENTITLED:
                may, until = True, float("inf")
            elif setting.answered is not None:
                until = setting.answered + grace
        return may and at <= until

    def owed_premium(self, user: str, since: float) -> bool:
        """Whether premium signals submitted at `since` are due to `user`: entitled, for certain, from then to the end."""
        entitled = False
        for setting in self.tiers:
            if setting.user != user:
                continue
            if setting.tier not in ENTITLED:
                if setting.asked >= since:
                    return False
                entitled = False
            elif setting.answered is not None and setting.answered <= since:
                entitled = True
        return entitled

    def owed(self, client: ClientRecord, submitted: Submitted) -> bool:
        """Whether this accepted submission must reach this client."""
        if client.connected_at is None or submitted.began <= client.connected_at:
            return False
        return not submitted.premium or self.owed_premium(client.user, submitted.began)

    def missing(self, client: ClientRecord) -> list[Submitted]:
        """Accepted submissions that are due to the client and that it does not have."""
        return [
            each
            for each in self.submissions.values()
            if each.outcome is Outcome.OK and each.key not in client.received and self.owed(client, each)
        ]
