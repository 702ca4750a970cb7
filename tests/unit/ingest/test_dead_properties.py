"""The properties of a dead letter, and of its replay."""

from datetime import UTC, datetime, timedelta

from pamqp import header
from pamqp.commands import Basic

from tiercast_ingest.dead_letters import dead_properties
from tiercast_shared.errors import Rejected

ERROR = Rejected.field("symbol", "is required")


def test_the_original_properties_are_kept_beside_the_reason():
    original = Basic.Properties(
        content_type="application/json",
        correlation_id="c",
        message_id="m",
        message_type="t",
        app_id="a",
        timestamp=datetime(2026, 1, 1, tzinfo=UTC),
        headers={"trace": "x", "deep": {"list": [1, 2.5, None]}},
        user_id="acme-user",
    )
    dead = dead_properties(original, "acme", ERROR, "ingest")
    for name in ("content_type", "correlation_id", "message_id", "message_type", "app_id", "timestamp"):
        assert getattr(dead, name) == getattr(original, name)
    assert dead.headers == {
        "trace": "x",
        "deep": {"list": [1, 2.5, None]},
        "x-reason": "invalid_field",
        "x-error": "symbol: is required",
        "x-producer": "acme",
        "x-user-id": "acme-user",
        "x-message-id": "m",
    }


def test_a_dead_letter_is_persistent_and_published_as_ingests_own_user_and_waits_for_ever():
    dead = dead_properties(
        Basic.Properties(user_id="acme", delivery_mode=1, expiration="5000"), "acme", ERROR, "ingest"
    )
    assert (dead.delivery_mode, dead.user_id, dead.expiration) == (2, "ingest", None)


def test_an_x_producer_of_the_message_itself_is_not_believed():
    forged = Basic.Properties(headers={"x-producer": "victim", "x-reason": "none", "x-user-id": "victim"})
    dead = dead_properties(forged, None, ERROR, "ingest")
    assert dead.headers == {"x-reason": "invalid_field", "x-error": "symbol: is required"}


def test_headers_too_large_for_a_frame_are_left_out():
    dead = dead_properties(Basic.Properties(headers={"big": "x" * 100_000}), "acme", ERROR, "ingest")
    assert "big" not in dead.headers
    assert dead.headers["x-reason"] == "invalid_field"


def test_headers_that_cannot_be_written_again_are_left_out():
    dead = dead_properties(Basic.Properties(headers={"odd": timedelta(1)}), "acme", ERROR, "ingest")
    assert "odd" not in dead.headers


def test_properties_longer_than_the_protocol_allows_are_cut():
    dead = dead_properties(Basic.Properties(message_id="\\xff" * 255, content_type="ü" * 200), "acme", ERROR, "ingest")
    assert len(dead.message_id.encode()) <= 255
    assert len(dead.content_type.encode()) <= 255
    assert header.ContentHeader(body_size=1, properties=dead).marshal()
