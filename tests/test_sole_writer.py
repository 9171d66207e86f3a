"""One process at a time writes into a folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from azr.errors import AzrError
from azr.sole_writer import LOCK, sole_writer


def test_a_second_one_is_refused_with_who_is_at_work_and_touches_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    with sole_writer(folder):
        before = (folder / LOCK).read_bytes()
        said = rf"new is in use: process {os.getpid()} on .* writes into it"
        with pytest.raises(AzrError, match=said) as refused, sole_writer(folder, "wait"):
            pytest.fail("there are two")
        assert refused.value.mend == "wait"
        assert (folder / LOCK).read_bytes() == before
    with sole_writer(folder):
        pass


def test_what_goes_wrong_in_the_block_lets_go_of_it(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), sole_writer(tmp_path):
        _ = 1 / 0
    with sole_writer(tmp_path):
        pass


def test_what_a_holder_wrote_about_itself_is_shown_without_control_characters(tmp_path: Path) -> None:
    with sole_writer(tmp_path):
        (tmp_path / LOCK).write_text("process 1 on \x1b[31mred")
        with pytest.raises(AzrError) as refused, sole_writer(tmp_path):
            pass
    assert "\x1b" not in str(refused.value)
