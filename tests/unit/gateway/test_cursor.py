"""A cursor can be opened by this system alone, and only in the one form in which it was made."""

import string
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiercast_gateway.cursor import CURSOR_LENGTH, CursorCodec, InvalidCursor, epoch_tag

CODEC = CursorCodec("service-key")
BASE64URL = string.ascii_letters + string.digits + "-_"


@given(epoch=st.text(min_size=1, max_size=64), position=st.integers(0, 2**63))
def test_what_is_sealed_is_opened_again(epoch: str, position: int) -> None:
    cursor = CODEC.seal(epoch, position)

    place = CODEC.open(cursor)

    assert (place.epoch_tag, place.position) == (epoch_tag(epoch), position)
    assert len(cursor) == CURSOR_LENGTH
    assert set(cursor) <= set(BASE64URL)


def test_every_replica_makes_the_same_cursor() -> None:
    assert CursorCodec("service-key").seal("e", 7) == CODEC.seal("e", 7)


def test_neighbouring_positions_have_cursors_without_a_visible_order() -> None:
    cursors = [CODEC.seal("e", position) for position in range(200)]

    assert len(set(cursors)) == 200
    assert all(sum(a == b for a, b in zip(x, y, strict=True)) < 15 for x, y in pairwise(cursors))


def test_changing_any_one_character_to_any_other_is_refused() -> None:
    cursor = CODEC.seal("epoch-1", 123_456)
    tampered = [
        cursor[:at] + other + cursor[at + 1 :]
        for at in range(CURSOR_LENGTH)
        for other in BASE64URL
        if other != cursor[at]
    ]
    assert len(tampered) == CURSOR_LENGTH * 63

    opened = [one for one in tampered if not _refused(one)]

    assert opened == []


@pytest.mark.parametrize("key", ["service-kez", "", "service-key "])
def test_another_key_opens_nothing(key: str) -> None:
    with pytest.raises(InvalidCursor):
        CursorCodec(key).open(CODEC.seal("e", 1))


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "0",
        "A" * (CURSOR_LENGTH - 1),
        "A" * CURSOR_LENGTH,
        "A" * (CURSOR_LENGTH + 1),
        "=" * CURSOR_LENGTH,
        "!" * CURSOR_LENGTH,
        "é" * CURSOR_LENGTH,
        "\ud800" * CURSOR_LENGTH,
        CODEC.seal("e", 1) + "=",
        CODEC.seal("e", 1)[:-1] + " ",
        " " + CODEC.seal("e", 1)[:-1],
        "A" * 1_000_000,
    ],
)
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    assert _refused(cursor)


def test_the_standard_base64_alphabet_is_no_second_spelling() -> None:
    cursor = next(c for c in (CODEC.seal("e", position) for position in range(100)) if "-" in c and "_" in c)

    assert _refused(cursor.replace("-", "+"))
    assert _refused(cursor.replace("_", "/"))


@given(st.text(max_size=60))
def test_any_text_is_refused_without_another_exception(text: str) -> None:
    assert _refused(text)


def _refused(cursor: str) -> bool:
    try:
        CODEC.open(cursor)
    except InvalidCursor:
        return True
    return False
