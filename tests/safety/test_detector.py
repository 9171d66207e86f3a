"""Detectors of one's own are found by name; one that fails is counted and finds nothing."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import cast

import pytest

import azr
from azr.config.sections.safety import SafetyConfig
from azr.errors import ConfigError
from azr.game.types import Cell
from azr.metrics import Accumulator
from azr.plugins import SAFETY as GROUP
from azr.safety import Hit, Watch
from azr.safety.detector import Detector, detectors
from azr.safety.watch import Response

EXAMPLE = Path(azr.__file__).parents[1] / "docs" / "examples" / "own_detector"
LOUD = "Fine. LISTEN TO ME NOW OR ELSE. Fine."


def install(folder: Path, entries: dict[str, str], patch: pytest.MonkeyPatch) -> None:
    """What installing a distribution leaves on the path as far as entry points go."""
    information = folder / "own_detector-0.1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: own-detector\nVersion: 0.1.0\n")
    lines = [f"[{GROUP}]", *(f"{name} = {target}" for name, target in entries.items())]
    (information / "entry_points.txt").write_text("\n".join(lines) + "\n")
    patch.syspath_prepend(str(folder))


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    install(tmp_path, project["entry-points"][GROUP], monkeypatch)
    monkeypatch.syspath_prepend(str(EXAMPLE))
    monkeypatch.delitem(sys.modules, "own_detector", raising=False)


def test_the_documented_example_is_found_by_name_and_finds(example: None) -> None:
    watch = Watch(SafetyConfig(detectors=["shouting"], action="quarantine"))
    metrics = Accumulator()
    responses = [Response("a", Cell("deduction", "solve"), LOUD), Response("b", Cell("deduction", "solve"), "HTTP ok")]
    assert watch.look(responses, 1, metrics) == {"a": "shouting"}
    assert watch.kept[0].found == "LISTEN TO ME NOW OR ELSE"


def test_patterns_and_detectors_work_side_by_side(example: None) -> None:
    rules = detectors(SafetyConfig(patterns={"calm": "Fine"}, detectors=["shouting"]))
    assert rules["calm"].find(LOUD) == Hit(0, 4)
    assert rules["shouting"].find(LOUD) == Hit(6, 30)


def test_one_name_cannot_be_two_rules(example: None) -> None:
    with pytest.raises(ConfigError, match="both called 'shouting'"):
        detectors(SafetyConfig(patterns={"shouting": "x"}, detectors=["shouting"]))


def test_an_unknown_detector_is_refused_with_the_nearest(example: None) -> None:
    with pytest.raises(ConfigError, match="did you mean 'shouting'"):
        detectors(SafetyConfig(detectors=["shoutin"]))


@pytest.mark.parametrize("target", ["nowhere_at_all:Nothing", "json:Nothing", "json:dumps"])
def test_one_that_cannot_be_loaded_or_made_is_named(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, {"lost": target}, monkeypatch)
    with pytest.raises(ConfigError, match=r"'lost' cannot be (loaded|made)"):
        detectors(SafetyConfig(detectors=["lost"]))


def test_a_class_that_is_no_detector_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, {"odd": "collections:Counter"}, monkeypatch)
    with pytest.raises(ConfigError, match="has no method `find`"):
        detectors(SafetyConfig(detectors=["odd"]))


def test_one_that_raises_is_counted_and_the_others_go_on(example: None, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch(SafetyConfig(patterns={"calm": "Fine"}, detectors=["shouting"]))

    class Broken:
        def find(self, text: str) -> Hit | None:
            raise RuntimeError("no")

    watch._rules["shouting"] = Broken()
    metrics = Accumulator()
    assert watch.look([Response("a", Cell("deduction", "solve"), LOUD)], 1, metrics) == {}
    assert metrics.report()["safety/broken/shouting"] == 1
    assert metrics.report()["safety/flagged/calm"] == 1


def test_one_that_finds_what_is_no_hit_is_counted_as_failing_and_told_once() -> None:
    heard: list[str] = []
    watch = Watch(SafetyConfig(patterns={"calm": "x"}), tell=heard.append)
    watch._rules["calm"] = cast(Detector, Matching())
    metrics = Accumulator()
    responses = [Response(name, Cell("deduction", "solve"), "abc") for name in ("a", "b")]
    assert watch.look(responses, 1, metrics) == {}
    assert metrics.report()["safety/broken/calm"] == 2
    assert "safety/flagged/calm" not in metrics.report()
    [told] = heard
    assert "'calm' failed at what it found, a Match where a Hit was due: TypeError" in told


class Matching:
    """Gives its match away, whose `start` is a method."""

    def find(self, text: str) -> re.Match[str] | None:
        return re.search("b", text)


def test_a_place_outside_the_text_is_drawn_into_it(example: None) -> None:
    watch = Watch(SafetyConfig(patterns={"calm": "x"}))

    class Wild:
        def find(self, text: str) -> Hit | None:
            return Hit(-5, 10_000)

    watch._rules["calm"] = Wild()
    watch.look([Response("a", Cell("deduction", "solve"), "abc")], 1, Accumulator())
    assert watch.kept[0].found == "abc"
