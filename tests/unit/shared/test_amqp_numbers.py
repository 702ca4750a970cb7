"""Header values as they travel."""

from pamqp import decode, encode

import tiercast_shared.messaging.broker  # noqa: F401 - importing it is what installs the encoder


def test_unix_times_in_headers_keep_their_microseconds():
    headers = {"committed_at": 1795404493.349004, "nested": {"at": [0.1, 1e300]}, "seq": 7, "feed": "all", "last": True}
    _, received = decode.field_table(encode.field_table(headers))
    assert received == headers


def test_a_float_is_marked_as_a_double_which_every_client_can_read():
    assert encode.field_table({"at": 0.5})[4:] == b"\x02atd\x3f\xe0\x00\x00\x00\x00\x00\x00"
