"""A seeding that was kept: taken up as it was, and one that was damaged since is told and begun anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from azr.config import load
from azr.game.seeding import SeedingState
from azr.run.kept_seeding import KeptSeeding

CONFIG = load(["tiny"])
STATE = SeedingState(triplets=[], inductions=[])


def kept(folder: Path, told: list[str]) -> KeptSeeding:
    seeding = KeptSeeding(folder / "seeds.jsonl", CONFIG, told.append)
    seeding.keep(STATE, np.random.default_rng(5))
    return seeding


def test_the_state_comes_back_and_chance_goes_on_where_it_was(tmp_path: Path) -> None:
    told, random = list[str](), np.random.default_rng(0)
    assert kept(tmp_path, told).take_up(random) == STATE
    assert random.random() == np.random.default_rng(5).random()
    assert told == []


@pytest.mark.parametrize(
    ("whole", "damaged"),
    [
        (b'"settings"', b'"settings'),
        (b'"run.seed":"', b'"run.seed":"\xff'),
        (b'{"settings":', b'{"more":' + b"[" * 200_000),
        (b'\\"PCG64\\",', b'\\"PCG64\\"'),
        (b"PCG64", b"PCG65"),
        (b'\\"has_uint32\\"', b'\\"had_uint32\\"'),
    ],
    ids=["no JSON", "no UTF-8", "nested without end", "no JSON within", "another generator", "not all of a generator"],
)
def test_one_that_was_damaged_is_told_by_its_file_and_begun_anew(whole: bytes, damaged: bytes, tmp_path: Path) -> None:
    told = list[str]()
    seeding = kept(tmp_path, told)
    content = seeding.path.read_bytes()
    assert whole in content
    seeding.path.write_bytes(content.replace(whole, damaged, 1))
    assert seeding.take_up(np.random.default_rng(0)) is None
    [line] = told
    assert line.startswith(f"{seeding.path} cannot be read (")
    assert line.endswith("); seeding begins anew")
