"""What JSON of somebody else's making can raise has one name."""

from __future__ import annotations

import msgspec
import pytest

from azr.decoding import UNDECODABLE


class Note(msgspec.Struct):
    text: str


@pytest.mark.parametrize(
    "written",
    [b"{", b'{"text": 3}', b'{"text": "\xff"}', b'{"text": "a", "more": ' + b"[" * 200_000],
    ids=["no JSON", "of another form", "no UTF-8", "nested deeper than Python counts"],
)
def test_whatever_cannot_be_decoded_is_met_by_one_name(written: bytes) -> None:
    with pytest.raises(UNDECODABLE):
        msgspec.json.decode(written, type=Note)
