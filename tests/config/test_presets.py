"""Every preset that ships composes, alone and with what it builds on."""

from __future__ import annotations

from pathlib import Path

import pytest

from azr.config import load, preset_names, presets
from azr.errors import ConfigError


@pytest.mark.parametrize("name", preset_names())
def test_each_preset_loads(name: str) -> None:
    load([name])


@pytest.mark.parametrize("name", [name for name in preset_names() if "/" not in name and name != "gpu"])
def test_each_models_players_fill_its_engines(name: str) -> None:
    config = load([name])
    groups = config.actors.solvers * config.actors.solver_lanes
    attempts = groups * config.algorithm.batch.attempts_per_task
    assert attempts >= config.rollout.replicas * config.rollout.max_sequences


def test_every_yaml_file_is_found_by_its_path_without_the_suffix() -> None:
    folder = presets.preset_folder()
    assert "algorithm/paper" in preset_names()
    assert presets.preset_path("algorithm/paper") == folder / "algorithm" / "paper.yaml"


def test_a_folder_of_presets_is_a_group_to_choose_from() -> None:
    assert {"default", "paper"} <= set(presets.groups()["algorithm"])


def test_presets_that_include_each_other_are_refused_with_the_circle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one.yaml").write_text("include: [other]")
    (tmp_path / "other.yaml").write_text("include: [one]")
    monkeypatch.setattr(presets, "preset_folder", lambda: tmp_path)
    with pytest.raises(ConfigError, match="preset one includes preset other includes preset one"):
        load(["one"])


def test_a_preset_merges_what_it_includes_once_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "base.yaml").write_text("run: {seed: 1, name: base}")
    (tmp_path / "middle.yaml").write_text("include: [base]\nrun: {seed: 2}")
    (tmp_path / "top.yaml").write_text("include: [base, middle]\nrun: {folder: top}")
    monkeypatch.setattr(presets, "preset_folder", lambda: tmp_path)
    config = load(["top"])
    assert (config.run.seed, config.run.name, config.run.folder) == (2, "base", "top")
