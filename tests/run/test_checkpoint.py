"""What a run adds to a checkpoint is read as it was written, and what was damaged since is told by its file."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from azr.errors import AzrError
from azr.game.types import Version
from azr.run.batches import Memory
from azr.run.checkpoint import STATE, RunState, read_state, write_state


def test_the_state_comes_back(tmp_path: Path) -> None:
    state = RunState.of(Version(2, 7), Memory(), safety=b"watched")
    write_state(tmp_path, state, experience=None, tasks=None)
    assert read_state(tmp_path) == state


@pytest.mark.parametrize(
    "written",
    [
        b"",
        msgspec.msgpack.encode({"step": "7"}),
        b"\x81\xa5terms\x81\xa1\xff\xc4\x00",
        b"\x81\xa4more" + b"\x91" * 200_000,
    ],
    ids=["nothing", "of another form", "no UTF-8", "nested without end"],
)
def test_a_damaged_one_is_told_by_its_file_with_a_mend(written: bytes, tmp_path: Path) -> None:
    (tmp_path / STATE).write_bytes(written)
    with pytest.raises(AzrError) as refused:
        read_state(tmp_path)
    assert refused.value.what.startswith(f"{tmp_path / STATE} cannot be read: ")
    assert refused.value.mend == "resume from another checkpoint"
