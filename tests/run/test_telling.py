"""What a step's report is made of, who hears of it, and what it ends."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from azr.config import load
from azr.errors import AzrError
from azr.metrics import Accumulator
from azr.run.console import Console, Goal, Start
from azr.run.folder import Card, RunFolder
from azr.run.gathering import EnginesStand
from azr.run.hub import StepParts
from azr.run.telling import Standing, Teller


class Tracking:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, dict[str, float]]] = []

    def metrics(self, step: int, values: dict[str, float]) -> None:
        self.steps.append((step, values))


class Telling:
    """A teller with nobody behind it: services and engines never answer."""

    def __init__(self, runs: Path) -> None:
        config = load(["tiny"], [f"run.folder={runs}"])
        self.folder = RunFolder.of(str(runs), "tiny")
        self.folder.create(Card(name="tiny", started=0.0))
        self.said, self.tracking = io.StringIO(), Tracking()
        console = Console(("deduction",), Goal(), stream=self.said, terminal=False)
        console.begin(Start(0, 0.0))
        standing = Standing(list, list, EnginesStand, seconds=2.0)
        tracking: Any = self.tracking
        self.teller = Teller(config, self.folder, console, tracking, standing, elapsed=lambda: 12.5)


@pytest.fixture
def run(tmp_path: Path) -> Telling:
    return Telling(tmp_path)


def accumulator(**values: float) -> Accumulator:
    made = Accumulator()
    for name, value in values.items():
        made.add(name.replace("__", "/"), value)
    return made


def step(number: int, **values: float) -> StepParts:
    return StepParts(number, {"learner": accumulator(**values).to_bytes()})


def players(**values: float) -> dict[str, Any]:
    """What one player answers when it is asked, as the poll hands it on."""
    return {"player": accumulator(**values)}


@pytest.fixture(autouse=True)
def plain_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.players.start.metrics", lambda found: found)


def test_a_step_has_the_learners_word_and_what_players_said_since_the_last(run: Telling) -> None:
    run.teller.hear(players(sandbox__workers_replaced=2.0))
    run.teller.hear(players(sandbox__workers_replaced=2.0))
    run.teller.tell([step(1, learner__step=1.0)], [])
    run.teller.tell([step(2, learner__step=2.0)], [])
    (_, first), (_, second) = run.tracking.steps
    assert (first["learner/step"], first["sandbox/workers_replaced"], first["time/elapsed"]) == (1.0, 4.0, 12.5)
    assert "sandbox/workers_replaced" not in second, "it was told"


def test_of_several_steps_the_last_is_told_with_everything(run: Telling) -> None:
    run.teller.hear(players(sandbox__workers_replaced=2.0))
    run.teller.tell([step(1), step(2)], [accumulator(sandbox__workers_replaced=3.0).to_bytes()])
    assert [number for number, _ in run.tracking.steps] == [1, 2]
    first, second = (values for _, values in run.tracking.steps)
    assert "sandbox/workers_replaced" not in first
    assert second["sandbox/workers_replaced"] == 5.0, "and with what players handed over that ended"


def test_what_is_fresh_is_given_once(run: Telling) -> None:
    assert run.teller.fresh() == {}
    run.teller.tell([step(1, learner__step=1.0)], [])
    assert run.teller.fresh()["learner/step"] == 1.0
    assert run.teller.fresh() == {}


def test_a_long_wait_is_explained_by_what_players_counted(run: Telling) -> None:
    run.teller.hear(players(sandbox__workers_replaced=2.0))
    run.teller.hear(players(sandbox__workers_replaced=2.0))
    began = run.teller._stepped_at
    assert run.teller.waiting(began + 1.0) == ""
    assert "no step for 1000 s" in (told := run.teller.waiting(began + 1000.0))
    assert "4 sandbox workers had to be replaced" in told


def test_engine_and_learner_that_agree_at_first_go_on_and_later_drift_is_said(run: Telling) -> None:
    for number, gap in enumerate((None, 1e-12, 1e-12, None, 5.0, 6.0, 1e-12), 1):
        gaps = {} if gap is None else {"off_policy__mismatch_k3": gap}
        run.teller.tell([step(number, **gaps)], [])
    assert len(run.tracking.steps) == 7
    assert "step 5: engine and learner differ by 5 nats on the same tokens" in run.said.getvalue()
    assert "step 7: engine and learner agree again" in run.said.getvalue()


def test_weights_that_were_handed_over_are_compared_as_well_as_those_that_engines_begin_with(run: Telling) -> None:
    run.teller.tell([step(1, off_policy__mismatch_k3=1e-12)], [])
    with pytest.raises(AzrError, match="engine and learner differ by 5 nats"):
        run.teller.tell([step(2, off_policy__mismatch_k3=5.0)], [])


@pytest.mark.parametrize("gap", [0.5, float("nan")])
def test_engine_and_learner_that_differ_end_the_run_with_the_reason(run: Telling, gap: float) -> None:
    with pytest.raises(AzrError, match=r"engine and learner differ by .* nats") as refused:
        run.teller._check_parity({"off_policy/mismatch_k3": gap})
    assert "rollout.dtype" in refused.value.mend


def test_sampling_from_a_part_of_the_vocabulary_is_named_as_a_reason_to_differ(run: Telling) -> None:
    run.teller._config.algorithm.sampling.top_k = 50
    with pytest.raises(AzrError) as refused:
        run.teller._check_parity({"off_policy/mismatch_k3": 0.5})
    assert refused.value.mend.startswith("set algorithm.sampling.top_p=1 and top_k=-1 (")


def test_tasks_after_half_a_line_of_a_crash_stand_on_lines_of_their_own(run: Telling) -> None:
    run.folder.tasks.write_bytes(b'{"id":"a"}\n{"id":"b","prog')
    run.teller.tell([StepParts(1, {"tasks": b'{"id":"c"}\n{"id":"d"}\n', "flagged": b'{"id":"c"}\n'})], [])
    assert run.folder.tasks.read_bytes().splitlines() == [
        b'{"id":"a"}',
        b'{"id":"b","prog',
        b'{"id":"c"}',
        b'{"id":"d"}',
    ]
    assert run.folder.flagged.read_bytes() == b'{"id":"c"}\n'


def test_what_the_disk_refuses_ends_nothing(run: Telling) -> None:
    run.folder.tasks.mkdir()
    run.teller.tell([StepParts(1, {"tasks": b'{"id":"e"}\n', "flagged": b'{"id":"e"}\n'})], [])
    assert len(run.tracking.steps) == 1
    assert run.folder.flagged.exists(), "what it takes is written"
