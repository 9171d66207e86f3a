"""The bytes of the game's records: msgpack behind a short header, arrays as views of the message they came in.

Owns the only encoding of `azr.game.types` on the wire, in journals and in checkpoints. A reader refuses bytes of
another schema version, of another record, or of none, and says which; it never guesses.

    record ──encode──►  "azr" · version · length · name of the record │ msgpack ( … array = Ext(dtype · shape · raw) … )
    record ◄──decode──  each checked                                  │ arrays: read-only views, nothing copied
"""

from __future__ import annotations

import functools
import struct
from typing import Any, TypeVar, get_origin

import msgspec
import numpy as np
import numpy.typing as npt

from azr.errors import AzrError
from azr.game.types import SCHEMA_VERSION

Record = TypeVar("Record", bound=msgspec.Struct)

_MAGIC = b"azr"

#: Code of the msgpack extension that holds an array; applications may use 0 to 127.
_ARRAY_CODE = 1

#: Kinds of dtype that travel: signed and unsigned integers, floats, booleans. Objects never do.
_KINDS = "iufb"


class WireError(AzrError):
    """Bytes that are no record, or not one that this version of azr can read."""


def encode(record: msgspec.Struct) -> bytes:
    """The record as bytes."""
    message = bytearray(_header(type(record).__name__))
    _ENCODER.encode_into(record, message, -1)
    return bytes(message)


def decode(message: bytes | bytearray | memoryview, kind: type[Record]) -> Record:
    """The record in the bytes; its arrays are views of them, so they live as long as it does."""
    view = memoryview(message)
    body = _body(view, kind.__name__)
    try:
        record: Record = _decoder(kind).decode(body)
    except (msgspec.MsgspecError, ValueError, TypeError, struct.error) as error:
        raise WireError(f"a message that should hold a {kind.__name__} does not: {error}", _MEND) from error
    return record


_MEND = "it was written by something else, or damaged on its way"


@functools.cache
def _header(name: str) -> bytes:
    encoded = name.encode()
    return _MAGIC + struct.pack("<BB", SCHEMA_VERSION, len(encoded)) + encoded


def _body(view: memoryview, name: str) -> memoryview:
    if len(view) < 5 or view[:3] != _MAGIC:
        raise WireError("the bytes are no record of azr", _MEND)
    version, length = view[3], view[4]
    if version != SCHEMA_VERSION:
        age = "newer" if version > SCHEMA_VERSION else "older"
        raise WireError(
            f"a record of schema {version}; this azr reads schema {SCHEMA_VERSION}",
            f"read it with the {age} azr that wrote it, or start from a checkpoint of this one",
        )
    found = bytes(view[5 : 5 + length]).decode("ascii", "replace")
    if found != name:
        raise WireError(f"a record of {found!r} where {name} was due", _MEND)
    return view[5 + length :]


def _to_ext(value: Any) -> msgspec.msgpack.Ext:
    """What msgspec does not know itself: arrays."""
    if not isinstance(value, np.ndarray):
        raise TypeError(f"a {type(value).__name__} cannot travel in a record")
    if value.dtype.kind not in _KINDS:
        raise TypeError(f"an array of {value.dtype} cannot travel in a record")
    little = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("<"))
    dtype = little.dtype.str.encode()
    header = struct.pack(f"<BB{value.ndim}q", len(dtype), value.ndim, *value.shape)
    return msgspec.msgpack.Ext(_ARRAY_CODE, header + dtype + little.tobytes())


def _from_ext(code: int, data: memoryview) -> npt.NDArray[Any]:
    """An array that is a view of the message."""
    if code != _ARRAY_CODE or len(data) < 2:
        raise ValueError(f"an extension of code {code} and {len(data)} bytes is no array")
    name_length, dimensions = data[0], data[1]
    start = 2 + 8 * dimensions
    shape = struct.unpack_from(f"<{dimensions}q", data, 2)
    name = bytes(data[start : start + name_length]).decode("ascii", "replace")
    dtype = np.dtype(name)
    if dtype.kind not in _KINDS:
        raise ValueError(f"an array of {name} cannot travel in a record")
    return np.frombuffer(data, dtype=dtype, offset=start + name_length).reshape(shape)


def _as_declared(declared: Any, value: Any) -> Any:
    """An array, if it is of the dtype that the record declares."""
    if get_origin(declared) is not np.ndarray or not isinstance(value, np.ndarray):
        raise TypeError(f"expected {declared}, found {type(value).__name__}")
    wanted = np.dtype(declared.__args__[1].__args__[0])
    if value.dtype != wanted:
        raise ValueError(f"expected an array of {wanted}, found one of {value.dtype}")
    return value


_ENCODER = msgspec.msgpack.Encoder(enc_hook=_to_ext)


@functools.cache
def _decoder(kind: type[Record]) -> msgspec.msgpack.Decoder[Record]:
    return msgspec.msgpack.Decoder(kind, dec_hook=_as_declared, ext_hook=_from_ext)
