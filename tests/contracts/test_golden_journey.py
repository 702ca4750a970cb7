"""The golden examples are what the services really write: one signal and one change of tier, from hand to hand."""

import json
from hashlib import sha256
from pathlib import Path

import orjson
import pytest
from jsonschema import Draft202012Validator

from shared.schemas import generate
from tiercast_gateway.events import beacon, signal_entry, tier_event
from tiercast_gateway.frames import encode, signal_frame
from tiercast_ingest.domain.signal import render, signal_type, smallest_feed
from tiercast_ingest.domain.submission import parse
from tiercast_shared.contracts.base import Beacon
from tiercast_shared.contracts.frames import ServerFrame
from tiercast_shared.contracts.tiers import Tier
from tiercast_shared.eventlog.beacon import beacon_event
from tiercast_shared.eventlog.chain import GENESIS
from tiercast_tiers.domain import Origin, RevokeSessions, SetTier, Settlement

EXAMPLES = Path(__file__).parents[2] / "shared" / "examples"
ORIGIN = Origin("ops", "c-1", 0.0)


def example(name: str) -> dict:
    return json.loads((EXAMPLES / f"{name}.json").read_text())


def compact(name: str) -> bytes:
    return orjson.dumps(example(name))


def payload(frame: bytes) -> bytes:
    """What an unmasked frame of fewer than 64 KiB carries."""
    return frame[4:] if frame[1] == 126 else frame[2:]


@pytest.mark.parametrize(("sent", "received"), [("full", "premium"), ("minimal", "standard")])
def test_ingest_turns_the_golden_submission_into_the_golden_signal(sent, received):
    golden, headers = example(f"signals/signal.{received}"), example(f"signals/signal-event-headers.{received}")
    submitted = parse(compact(f"submissions/signal-submission.{sent}"))
    kind = signal_type(submitted.content.confidence)
    rendered = render(submitted, wire_id=golden["id"], kind=kind, server_timestamp=golden["server_timestamp"])
    assert rendered == compact(f"signals/signal.{received}")
    assert smallest_feed(kind) == headers["feed"]
    assert sha256(submitted.hashed_text.encode()).hexdigest() == golden["hash"]


def test_ingest_takes_the_other_names_of_fields():
    aliases = example("submissions/signal-submission.aliases")
    content = parse(orjson.dumps(aliases)).content
    assert (content.take_profit, content.stop_loss) == (aliases["take_profit"], aliases["stop_loss"])


@pytest.mark.parametrize("kind", ["premium", "standard"])
def test_the_gateway_reads_the_golden_event_and_passes_its_body_on_untouched(kind):
    headers, body = example(f"signals/signal-event-headers.{kind}"), compact(f"signals/signal.{kind}")
    entry = signal_entry(headers, body, None)
    assert (entry.position, entry.standard_seq, entry.data) == (headers["seq"], headers.get("standard_seq"), body)
    log_entry = example(f"signals/signal-log-entry.{kind}")
    assert (log_entry["seq"], log_entry["standard_seq"]) == (entry.position, entry.standard_seq)


@pytest.mark.parametrize("name", ["new-signal.live", "new-signal.replayed"])
def test_the_gateway_frames_the_golden_signal_as_the_golden_frame(name):
    golden = example(f"frames/{name}")
    data = orjson.dumps(golden["data"])
    frame = payload(signal_frame(golden["seq"], golden["cursor"], data, replay=golden.get("replay", False)))
    assert json.loads(frame) == golden
    assert frame.endswith(b'"data":%b}' % data)


def test_every_other_frame_of_the_gateway_is_valid_by_the_schema_that_clients_use():
    schema = json.loads((generate.DIRECTORY / "frames" / "server-frame.json").read_text())
    validator, reader = Draft202012Validator(schema), generate.messages()["frames/server-frame"]
    names = [path.stem for path in sorted((EXAMPLES / "frames").glob("*.json")) if not path.stem.startswith("client-")]
    assert len(names) > 10
    for name in names:
        frame: ServerFrame = reader.validate_python(example(f"frames/{name}"))
        written = json.loads(payload(encode(frame)))
        validator.validate(written)
        assert reader.validate_python(written) == frame


def test_tiers_renders_the_golden_events_and_the_gateway_reads_them():
    changed, revoked = example("tiers/tier-changed"), example("tiers/session-revoked")
    settlement = Settlement(changed["epoch"], changed["seq"] - 1, GENESIS, {}, changed["changed_at"])
    settlement.settle(SetTier(changed["user_id"], Tier(changed["tier"]), changed["reason"], ORIGIN))
    settlement.now = revoked["tokens_valid_after"]
    settlement.settle(RevokeSessions(revoked["user_id"], ORIGIN))
    bodies = [entry.body for entry in settlement.entries]
    assert bodies == [compact("tiers/tier-changed"), compact("tiers/session-revoked")]
    assert [tier_event(body).type for body in bodies] == ["tier.changed", "session.revoked"]


def test_the_golden_beacon_is_what_a_log_owner_says_and_the_gateway_hears():
    said = beacon_event(Beacon.model_validate(example("base/beacon")))
    assert said.body == compact("base/beacon")
    assert beacon(said.body).head == example("base/beacon")["head"]
