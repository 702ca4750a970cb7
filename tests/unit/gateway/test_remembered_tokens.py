"""A signature is checked once, and still counts no longer than its key, its token's end and the place for it allow."""

import pytest

from tests.unit.gateway.doubles import NOW, Clock
from tiercast_gateway.auth import Identity
from tiercast_gateway.errors import InvalidToken
from tiercast_gateway.remembered_tokens import RememberedTokens


class Verifier:
    """Takes every token but `bad`, and counts."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.checked: list[str] = []

    def verify(self, token: str) -> Identity:
        self.checked.append(token)
        if token == "bad" or self.clock() >= NOW + 100:
            raise InvalidToken("no")
        return Identity(token, NOW, NOW + 100)


class RotatingKeys:
    """Keys that change when they are told to."""

    grows = True
    generation = 0

    def candidates(self, _algorithm: str, _kid: str | None) -> list[object]:
        return []


def make(*, most: int = 100) -> tuple[RememberedTokens, Verifier, RotatingKeys, Clock]:
    clock, keys = Clock(), RotatingKeys()
    verifier = Verifier(clock)
    return RememberedTokens(verifier.verify, [keys], clock=clock, most=most), verifier, keys, clock  # type: ignore[list-item]


def test_a_good_token_is_looked_at_once() -> None:
    tokens, verifier, _, _ = make()

    assert tokens.known("alice") is None
    assert {tokens.verify("alice") for _ in range(3)} == {Identity("alice", NOW, NOW + 100)}
    assert tokens.known("alice") == Identity("alice", NOW, NOW + 100)
    assert verifier.checked == ["alice"]


def test_a_bad_token_is_looked_at_each_time_and_takes_no_room() -> None:
    tokens, verifier, _, _ = make()
    for _ in range(3):
        with pytest.raises(InvalidToken):
            tokens.verify("bad")
    assert (len(verifier.checked), len(tokens), tokens.known("bad")) == (3, 0, None)


def test_what_was_forgotten_is_looked_at_again() -> None:
    tokens, verifier, _, _ = make()
    tokens.verify("alice")
    tokens.forget()
    assert (len(tokens), tokens.known("alice")) == (0, None)
    assert tokens.verify("alice").user_id == "alice"
    assert verifier.checked == ["alice", "alice"]


def test_a_token_ends_when_it_says() -> None:
    tokens, _, _, clock = make()
    tokens.verify("alice")
    clock.advance(99.9)
    assert tokens.known("alice") is not None
    clock.advance(0.1)
    assert tokens.known("alice") is None
    with pytest.raises(InvalidToken):
        tokens.verify("alice")


def test_other_keys_forget_everything() -> None:
    tokens, verifier, keys, _ = make()
    tokens.verify("alice")
    keys.generation += 1
    assert tokens.known("alice") is None
    tokens.verify("alice")
    assert verifier.checked == ["alice", "alice"]


def test_the_least_used_one_makes_room() -> None:
    tokens, _, _, _ = make(most=2)
    for token in ("alice", "bob", "alice", "carol"):
        tokens.verify(token)
    assert [tokens.known(token) is not None for token in ("alice", "bob", "carol")] == [True, False, True]


def test_bytes_that_are_no_text_are_no_reason_to_fail() -> None:
    tokens, _, _, _ = make()
    assert tokens.known("\udcff") is None
