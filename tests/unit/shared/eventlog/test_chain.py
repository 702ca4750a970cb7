"""The hash chain, against its definition."""

from hashlib import sha256

from tiercast_shared.eventlog.chain import GENESIS, link


def test_a_link_commits_to_the_body_and_to_everything_before():
    first = link(GENESIS, b"one")
    assert first == sha256(bytes(32) + sha256(b"one").digest()).digest()
    assert link(first, b"two") == sha256(first + sha256(b"two").digest()).digest()


def test_a_changed_body_changes_every_later_link():
    honest = link(link(GENESIS, b"one"), b"two")
    assert link(link(GENESIS, b"One"), b"two") != honest
    assert link(link(GENESIS, b"two"), b"one") != honest
