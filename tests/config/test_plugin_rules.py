"""Names that plug-ins may bring, and what else their sections refuse when the configuration is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from azr.config import compose, load
from azr.errors import ConfigError
from tests.plugins import install


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("weights.transport=nonsense", "weights.transport: nothing is called 'nonsense'; known: auto, disk, gloo, ipc"),
        ("weights.transport=glou", "weights.transport: nothing is called 'glou'; did you mean 'gloo'?"),
        ("weights.kv_on_update=drop", "weights.kv_on_update: 'drop' is not known (choose one of recompute, keep)"),
        ("weights.keep_versions=0", "weights.keep_versions: 0 is out of range (it must be at least 1)"),
        ("weights.pause_seconds=0", "weights.pause_seconds: 0.0 is out of range"),
        ("tracking.plugins=[nonsense]", "tracking.plugins: nothing is called 'nonsense'; none is installed"),
        ("tracking.mlflow=''", "tracking.mlflow: it names no place"),
        ("tracking.experiment=''", "tracking.experiment: an experiment needs a name"),
        ("tracking.queue=0", "tracking.queue: 0 is out of range"),
        ("safety.detectors=[nonsense]", "safety.detectors: nothing is called 'nonsense'; none is installed"),
        ("sandbox.backend=wsam", "sandbox.backend: nothing is called 'wsam'; did you mean 'wasm'?"),
        ("sandbox.workers=-1", "sandbox.workers: -1 is out of range (it must be at least 0)"),
        ("sandbox.wall_seconds=0", "sandbox.wall_seconds: 0.0 is out of range"),
        ("sandbox.memory_mb=0", "sandbox.memory_mb: 0 is out of range"),
    ],
)
def test_a_value_that_cannot_run_is_refused_with_its_key(override: str, told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load([], [override])
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("example", "override"),
    [
        ("own_transport", "weights.transport=copied"),
        ("own_tracker", "tracking.plugins=[csv]"),
        ("own_detector", "safety.detectors=[shouting]"),
    ],
)
def test_what_an_installed_plug_in_announces_may_be_named(
    example: str, override: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="declare it as an entry point in the group 'azr"):
        load([], [override])
    install(example, tmp_path, monkeypatch)
    assert load([], [override]) == compose([], [override])


def test_a_detector_under_the_name_of_a_pattern_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install("own_detector", tmp_path, monkeypatch)
    with pytest.raises(ConfigError, match="a pattern and a detector are both called 'shouting'"):
        load([], ["safety.detectors=[shouting]", "safety.patterns={shouting: x}"])


def test_what_may_not_run_is_composed_all_the_same() -> None:
    assert compose([], ["tracking.plugins=[gone]"]).tracking.plugins == ["gone"]
