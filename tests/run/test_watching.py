"""The safety watch on real tokens: text is made only where something is looked for."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from azr.config import load
from azr.game.types import Cell, Trajectory, Version, VersionSpan
from azr.metrics import Accumulator
from azr.plugins import SAFETY
from azr.run.watching import Watching
from azr.safety.detector import Hit
from azr.tiny import shipped
from azr.tokens import load_tokenizer
from tests.plugins import announce


def said_by_model(name: str, text: str) -> Trajectory:
    ids = np.array(load_tokenizer(shipped.folder())(text)["input_ids"], dtype=np.int32)
    return Trajectory(
        id=name,
        cell=Cell("deduction", "solve"),
        group="g",
        prompt_ids=np.zeros(1, np.int32),
        response_ids=ids,
        behaviour_logprobs=np.zeros(len(ids), np.float32),
        spans=(VersionSpan(0, len(ids), Version(0, 0)),),
    )


def test_with_nothing_to_look_for_nothing_is_decoded() -> None:
    watching = Watching(load(["tiny"]), print)
    assert not watching.on
    assert watching.to_state() == b""
    watching.restore(b"")


def test_what_is_found_is_held_back_kept_and_remembered() -> None:
    config = load(
        ["tiny"],
        [
            f"model.path={shipped.folder()}",
            "safety.patterns={plot: 'outsmart .{0,20}humans'}",
            "safety.action=quarantine",
        ],
    )
    watching, metrics = Watching(config, print), Accumulator()
    held = watching.look([said_by_model("a", "return a"), said_by_model("b", "to outsmart the humans")], 3, metrics)
    assert held == {"b": "plot"}
    assert metrics.report()["safety/flagged/plot"] == 1.0
    line = msgspec.json.decode(watching.lines())
    assert (line["sample"], line["found"], line["step"]) == ("b", "outsmart the humans", 3)
    again = Watching(config, print)
    again.restore(watching.to_state())
    assert again.lines() == watching.lines()


def test_a_detector_that_fails_is_said_where_people_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unheard, nothing would be flagged any more, and all seem well: nobody reads the logs of the learner's ranks."""
    announce(tmp_path, "failing", {SAFETY: {"failing": f"{__name__}:Failing"}}, monkeypatch)
    config = load(["tiny"], [f"model.path={shipped.folder()}", "safety.detectors=[failing]"])
    said: list[str] = []
    assert Watching(config, said.append).look([said_by_model("a", "return a")], 1, Accumulator()) == {}
    [line] = said
    assert line.startswith("safety: the detector 'failing' failed: RuntimeError('no'); ")


class Failing:
    """A detector that raises."""

    def find(self, text: str) -> Hit | None:
        raise RuntimeError("no")
