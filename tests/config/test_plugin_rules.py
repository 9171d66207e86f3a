"""Names that plug-ins may bring, and what else their sections refuse when the configuration is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from azr.config import compose, load
from azr.errors import ConfigError
from tests.plugins import announce, install


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("weights.transport=nonsense", "weights.transport: nothing is called 'nonsense'; known: auto, disk, gloo, ipc"),
        ("weights.transport=glou", "weights.transport: nothing is called 'glou'; did you mean 'gloo'?"),
        ("weights.kv_on_update=drop", "weights.kv_on_update: 'drop' is not known (choose one of recompute, keep)"),
        ("weights.keep_versions=0", "weights.keep_versions: 0 is out of range (it must be at least 1)"),
        ("weights.pause_seconds=0", "weights.pause_seconds: 0.0 is out of range"),
        ("tracking.plugins=[nonsense]", "tracking.plugins: nothing is called 'nonsense'; none is installed"),
        ("tracking.mlflow=''", "tracking.mlflow: '' names no place"),
        ("tracking.mlflow=on", "tracking.mlflow: 'on' names no place (write sqlite, the URI of a server"),
        ("tracking.mlflow=sqlit", "tracking.mlflow: 'sqlit' names no place"),
        ("tracking.experiment=''", "tracking.experiment: an experiment needs a name"),
        ("tracking.queue=0", "tracking.queue: 0 is out of range"),
        ("safety.detectors=[nonsense]", "safety.detectors: nothing is called 'nonsense'; none is installed"),
        ("sandbox.backend=wsam", "sandbox.backend: nothing is called 'wsam'; did you mean 'wasm'?"),
        ("sandbox.workers=-1", "sandbox.workers: -1 is out of range (it must be at least 0)"),
        ("sandbox.wall_seconds=0", "sandbox.wall_seconds: 0.0 is out of range"),
        ("sandbox.memory_mb=0", "sandbox.memory_mb: 0 is out of range"),
        ("sandbox.memory_mb=1048577", "sandbox.memory_mb: 1048577 is out of range (it must be at most 1048576)"),
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


@pytest.mark.parametrize(
    ("group", "override"),
    [
        ("azr.transports", "weights.transport=twice"),
        ("azr.trackers", "tracking.plugins=[twice]"),
        ("azr.safety", "safety.detectors=[twice]"),
        ("azr.sandboxes", "sandbox.backend=twice"),
    ],
)
def test_a_name_that_two_packages_bring_is_refused_with_both(
    group: str, override: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("one", "other"):
        announce(tmp_path / package, package, {group: {"twice": f"{package}:Mine"}}, monkeypatch)
    with pytest.raises(ConfigError, match=r"'twice' is brought by one \(one:Mine\) and by other \(other:Mine\)"):
        load([], [override])


def test_packages_may_bring_one_thing_under_one_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a package does that was installed once more under another name."""
    for package in ("one", "other"):
        announce(tmp_path / package, package, {"azr.trackers": {"twice": "one:Mine"}}, monkeypatch)
    assert load([], ["tracking.plugins=[twice]"]).tracking.plugins == ["twice"]


def test_a_detector_under_the_name_of_a_pattern_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install("own_detector", tmp_path, monkeypatch)
    with pytest.raises(ConfigError, match="a pattern and a detector are both called 'shouting'"):
        load([], ["safety.detectors=[shouting]", "safety.patterns={shouting: x}"])


@pytest.mark.parametrize("place", ["sqlite", "off", "databricks", "databricks://mine", "http://host:5000"])
def test_metrics_go_to_a_place_that_mlflow_knows(place: str) -> None:
    assert load([], [f"tracking.mlflow={place}"]).tracking.mlflow == place


def test_what_may_not_run_is_composed_all_the_same() -> None:
    assert compose([], ["tracking.plugins=[gone]"]).tracking.plugins == ["gone"]
