"""Whom a message is taken to be from."""

import pytest

from tiercast_ingest.domain.sender import producer_of
from tiercast_shared.errors import Rejected

TRUSTED = {"runner"}


def test_the_producer_is_the_broker_user():
    assert producer_of("acme", {}, TRUSTED) == "acme"


def test_a_trusted_publisher_names_the_producer():
    assert producer_of("runner", {"x-producer": "acme"}, TRUSTED) == "acme"


def test_a_trusted_publisher_that_names_nobody_is_the_producer():
    assert producer_of("runner", {"other": "acme"}, TRUSTED) == "runner"


def test_nobody_else_can_speak_in_anothers_name():
    assert producer_of("mallory", {"x-producer": "acme"}, TRUSTED) == "mallory"


@pytest.mark.parametrize("user_id", [None, ""])
def test_without_a_user_id_nobody_is_the_producer(user_id: str | None):
    with pytest.raises(Rejected, match="user_id") as caught:
        producer_of(user_id, {"x-producer": "acme"}, TRUSTED)
    assert caught.value.code == "no_user_id"


@pytest.mark.parametrize("name", [7, b"acme", "", "a\0b", "x" * 256, None, ["acme"]])
def test_a_name_that_is_none_is_refused(name: object):
    with pytest.raises(Rejected, match="x-producer") as caught:
        producer_of("runner", {"x-producer": name}, TRUSTED)
    assert caught.value.code == "invalid_producer"
