"""A pool has a worker for each core that its container has time for, not for each that the machine shows."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sandbox_wasm.cores import available_cores


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))


@pytest.mark.parametrize(
    ("said", "cores"),
    [
        ("200000 100000\n", 2),
        ("250000 100000\n", 3),
        ("5000 100000\n", 1),
        ("max 100000\n", 8),
        ("6400000 100000\n", 8),
        ("nonsense", 8),
        ("100000 0\n", 8),
    ],
)
def test_the_quota_of_a_control_group_bounds_them(said: str, cores: int, tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text(said)
    assert available_cores(tmp_path) == cores


@pytest.mark.parametrize(("quota", "cores"), [("150000", 2), ("-1", 8)])
def test_so_does_that_of_a_group_of_the_first_version(quota: str, cores: int, tmp_path: Path) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert available_cores(tmp_path) == cores


def test_without_control_groups_those_count_that_it_may_run_on(tmp_path: Path) -> None:
    assert available_cores(tmp_path) == 8
