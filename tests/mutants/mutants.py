"""Safeguards, each with the change that removes it and the tests that must notice: it shows that the tests can see."""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
GATEWAY = "services/gateway/tiercast_gateway/"
INGEST = "services/ingest/tiercast_ingest/"
SHARED = "shared/tiercast_shared/"
UNIT = "tests/unit/gateway/"


@dataclass(frozen=True, slots=True)
class Mutant:
    """`old`, which occurs exactly once in `file`, becomes `new`; one of `tests`, the fastest first, must fail."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def applied_to(self, text: str) -> str:
        """The text without the safeguard.

        Raises:
            ValueError: the place is not there any more, or not the only one.
        """
        if text.count(self.old) != 1:
            raise ValueError(f"{self.name}: {self.old!r} occurs {text.count(self.old)} times in {self.file}")
        return text.replace(self.old, self.new)


MUTANTS = (
    Mutant(
        "version check: an older tier replaces a newer one",
        GATEWAY + "tier_cache.py",
        "if before is not None and before.version > found.version:",
        "if before is not None and found.version < 0:",
        (UNIT + "test_tier_cache.py",),
    ),
    Mutant(
        "version check: a change older than the look-up is applied over it",
        GATEWAY + "tier_cache.py",
        "if event.seq > known.version else known",
        "if event.seq > 0 else known",
        (UNIT + "test_tier_cache.py",),
    ),
    Mutant(
        "write-time entitlement: a live connection keeps its feed",
        GATEWAY + "tier_moves.py",
        "self._hub.change(connection, feed=feed, symbols=connection.symbols)",
        "pass",
        (UNIT + "test_sessions.py",),
    ),
    Mutant(
        "write-time entitlement: a page asked for before a downgrade is sent",
        GATEWAY + "backfill.py",
        "if connection.feed is feed:",
        "if connection.feed in Feed:",
        (UNIT + "test_backfill_disorder.py", UNIT + "test_backfill.py"),
    ),
    Mutant(
        "lease: what is known of tiers is trusted for ever",
        GATEWAY + "tier_cache.py",
        "return max(self._verified_until, known.verified_until) > self._clock()",
        "return True",
        (UNIT + "test_tier_cache.py",),
    ),
    Mutant(
        "beacon: nobody learns that the last signal was lost",
        GATEWAY + "upstream.py",
        "        self._feed.learn_head(beacon.head)\n",
        "",
        (UNIT + "test_refill.py",),
    ),
    Mutant(
        "beacon: tiers are trusted although changes are missing",
        GATEWAY + "tier_cache.py",
        "        if not self.gap:\n            self._verified_until",
        "        if True:\n            self._verified_until",
        (UNIT + "test_tier_cache.py",),
    ),
    Mutant(
        "probe: the replica does not ask itself whether it is alive",
        GATEWAY + "consumers.py",
        'group.create_task(probe(self._url, queue, name=f"{queue} probe", on_blocked=self._heard))',
        "pass",
        ("tests/integration/gateway/test_consumers.py",),
    ),
    Mutant(
        "gap refill: a signal that is missing is not fetched",
        GATEWAY + "upstream.py",
        "self._feed.offer(entry)\n        if self._feed.gap:",
        "self._feed.offer(entry)\n        if False:",
        (UNIT + "test_refill.py",),
    ),
    Mutant(
        "gap refill: a signal after a gap is applied",
        GATEWAY + "feed.py",
        "if not self.started or entry.position > self.head + 1:",
        "if not self.started:",
        (UNIT + "test_feed.py",),
    ),
    Mutant(
        "gap refill: a change of tier after a gap closes it",
        GATEWAY + "tier_cache.py",
        "if event.seq > self.applied + 1:",
        "if event.seq <= self.applied:",
        (UNIT + "test_tier_cache.py",),
    ),
    Mutant(
        "head lock: two writers number at once",
        SHARED + "eventlog/head.py",
        ".with_for_update()",
        "",
        ("tests/integration/ingest/test_signal_log.py",),
    ),
    Mutant(
        "dedup: a submission that is known is stored again",
        INGEST + "domain/settlement.py",
        "known = self._known.get(submission.key)",
        "known = self._known.get(())",
        ("tests/unit/ingest/test_settlement_of_signals.py",),
    ),
    Mutant(
        "dedup: a signal that comes again is applied again",
        GATEWAY + "feed.py",
        "if entry.position <= self.head:",
        "if entry.position <= 0:",
        (UNIT + "test_feed.py",),
    ),
    Mutant(
        "content conflict: another content under the same name passes for a copy",
        INGEST + "domain/settlement.py",
        "if known.fingerprint == fingerprint:",
        "if known is not None:",
        ("tests/unit/ingest/test_settlement_of_signals.py",),
    ),
    Mutant(
        "publisher lease: it can be taken while another holds it",
        SHARED + "eventlog/lease.py",
        "            .where(free)\n",
        "",
        ("tests/integration/eventlog/test_lease.py",),
    ),
    Mutant(
        "publisher lease: who lost it moves the cursor",
        SHARED + "eventlog/lease.py",
        "update(row).where(mine).values(published=published)",
        "update(row).values(published=published)",
        ("tests/integration/eventlog/test_lease.py",),
    ),
    Mutant(
        "publisher lease: who was stopped goes on publishing",
        SHARED + "eventlog/publisher.py",
        "if self._monotonic() > self._held_until:",
        "if self._monotonic() < 0:",
        ("tests/unit/shared/eventlog/test_publisher.py",),
    ),
    Mutant(
        "confirms: the cursor moves before the broker has confirmed",
        SHARED + "eventlog/publisher.py",
        "        await outlet.publish([self._stamp(event, at) for event in events])\n        self._cursor = events[-1].seq\n",
        "        self._cursor = self._saved = events[-1].seq\n"
        "        await self._lease.save(self._cursor, self._saved)\n"
        "        await outlet.publish([self._stamp(event, at) for event in events])\n",
        ("tests/unit/shared/eventlog/test_publisher.py",),
    ),
    Mutant(
        "cursor check: a cursor of another life of the log is taken",
        GATEWAY + "missed.py",
        "if place.epoch_tag != epoch_tag(self._feed.epoch):",
        "if not place.epoch_tag:",
        (UNIT + "test_sessions.py", UNIT + "test_api.py"),
    ),
    Mutant(
        "cursor check: a cursor from before the archive is taken",
        GATEWAY + "missed.py",
        "if position < page.floor:",
        "if position < 0:",
        (UNIT + "test_backfill.py", UNIT + "test_backfill_disorder.py"),
    ),
    Mutant(
        "overrun: nobody is told that the ring has moved past them",
        GATEWAY + "hub.py",
        "        if connection.position < ring.floor:\n            connection.position = self.head",
        "        if connection.position < 0:\n            connection.position = self.head",
        (UNIT + "test_hub.py",),
    ),
    Mutant(
        "high-water mark: a full transport is written to",
        GATEWAY + "hub.py",
        "        if connection.wire.congested:\n            connection.flow = Flow.PAUSED\n            return\n",
        "",
        (UNIT + "test_hub.py", "tests/simulation/gateway/test_hub_schedules.py"),
    ),
    Mutant(
        "high-water mark: submissions are taken however long the backlog is",
        INGEST + "admission.py",
        "        if closed:\n            raise",
        "        if False:\n            raise",
        ("tests/unit/ingest/test_admission.py",),
    ),
    Mutant(
        "unverified made good: what was withheld stays lost",
        GATEWAY + "delivery.py",
        "if withheld_from is None or connection.feed is Feed.STANDARD:",
        "if connection.feed in Feed:",
        (UNIT + "test_sessions.py",),
    ),
    Mutant(
        "epoch: nobody is told that the log began a new life",
        GATEWAY + "delivery.py",
        'self.incomplete(connection, "feed_recreated")',
        "self._hub.attach(connection, self._hub.head)",
        (UNIT + "test_sessions.py",),
    ),
    Mutant(
        "revocation: a revoked token's connection stays",
        GATEWAY + "credentials.py",
        "revoked = known.tokens_valid_after > connection.issued_at",
        "revoked = False",
        (UNIT + "test_sessions.py",),
    ),
    Mutant(
        "origin check: any site may open a socket",
        GATEWAY + "handshake.py",
        "if not self._allowed_origins.issuperset(",
        "if not frozenset(request.headers.getall('origin', [])).issuperset(",
        ("tests/integration/gateway/test_upgrade.py",),
    ),
    Mutant(
        "hash check: any hash is right",
        INGEST + "domain/signal_hash.py",
        "if sha256(text.encode()).hexdigest() == claimed:",
        "if len(claimed) == 64:",
        ("tests/unit/ingest/test_signal_hash.py", "tests/unit/ingest/test_submission.py"),
    ),
    Mutant(
        "immutability trigger: an entry of the log can be changed",
        SHARED + "eventlog/triggers.py",
        "    for statement in statements:\n        connection.exec_driver_sql(statement)\n\n\ndef drop_append_only",
        "    del statements\n\n\ndef drop_append_only",
        ("tests/integration/ingest/test_ledger.py",),
    ),
    Mutant(
        "archive: a replica that begins after an archiving asks for what is gone",
        GATEWAY + "refill.py",
        "floor = max(end.floor, end.head - self._capacity)",
        "floor = max(0, end.head - self._capacity)",
        (UNIT + "test_refill.py",),
    ),
)
