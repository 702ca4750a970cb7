"""Makes header values that are floats travel in 64 bits.

pamqp (4.0) encodes every float in a header table as AMQP's 32-bit `f`, which rounds the Unix time of now to a multiple of 128
seconds. It has the encoder of the 64-bit `d`, and decodes it, as other clients do, but never chooses it.
"""

from pamqp import common, encode

_encode_table_value = encode.encode_table_value


def encode_with_doubles(value: common.FieldArray | common.FieldTable | common.FieldValue) -> bytes:
    """`pamqp.encode.encode_table_value`, but floats keep their precision."""
    if isinstance(value, float):
        return b"d" + encode.double(value)
    return _encode_table_value(value)


def install() -> None:
    """Have pamqp use it, in this process."""
    encode.encode_table_value = encode_with_doubles
