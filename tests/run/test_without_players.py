"""Evaluation and seeding by a driver's engines: what they may fail of, what ends them, and what is said then."""

from __future__ import annotations

import asyncio
import contextlib
import io
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import numpy as np
import pytest

from actors.engine.records import EngineStatistics, GenerateRequest, Generation, Response
from actors.players.tokens import load_tokens
from actors.rollout.errors import RolloutError
from azr.errors import AzrError
from azr.game.frames import frame
from azr.game.types import Task, Version, VersionSpan
from azr.run.driver import Driver
from azr.run.evaluation import Evaluation
from azr.run.seeds import write_seeds
from azr.run.stopping import StoppedError
from azr.run.supervision import PartLostError, Patience, Supervision
from azr.run.without_players import WithoutPlayers
from azr.tiny.evaluation import UndecidedError
from azr.tiny.held_out import held_out_tasks
from sandbox_wasm.dispatcher import SandboxBrokenError
from sandbox_wasm.protocol import Sandbox


class Unanswering:
    """Engines that fail at every request, or are silent, or are gone."""

    def __init__(self, *, silent: bool, gone: bool = False) -> None:
        self.silent, self.gone = silent, gone

    def statistics(self) -> dict[str, EngineStatistics]:
        if self.gone:
            raise AzrError("1 of 1 engines to serve, 0 make their engine (engine-1 was lost: it was killed)")
        return {}

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[Unanswering]:
        yield self

    async def generate(self, request: GenerateRequest, deadline: float) -> Generation:
        if self.silent:
            await asyncio.sleep(deadline + 60.0)
        raise RolloutError("poisoned", f"request {request.id} failed 4 times: the engine died\x1b[31m")


@pytest.fixture
def trained(driver: Driver, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Driver:
    """A driver whose training is over at step 7, with two questions of each type to ask."""
    monkeypatch.setattr("azr.run.driver.check_ray", lambda: None)
    monkeypatch.setattr(WithoutPlayers, "sandbox", lambda _asking: contextlib.nullcontext(sandbox))
    driver.step, driver.config.evaluation.tasks = 7, 2
    return driver


#: As much of a run's tokens as is asked here.
PLAIN_TOKENS = SimpleNamespace(frame=frame("compact"), encode=str.encode)


def asking(driver: Driver, engines: Unanswering, tokens: object = PLAIN_TOKENS) -> WithoutPlayers:
    return driver._without_players(cast("Any", engines), cast("Any", tokens), cast("Any", None))


def evaluate_last(driver: Driver, *, silent: bool, gone: bool = False) -> str:
    """As the driver does it."""
    why = asking(driver, Unanswering(silent=silent, gone=gone)).evaluate_last(driver.step)
    driver._card.note_unevaluated(why)
    return why


def test_an_evaluation_that_cannot_be_kept_is_said_and_ends_nothing(trained: Driver, said: io.StringIO) -> None:
    trained.folder.evaluations.mkdir()
    asking(trained, Unanswering(silent=True)).keep(Evaluation(step=7, seconds=1.0, rows=[]))
    assert "evaluations.jsonl cannot be written (Is a directory); the run goes on without" in said.getvalue()


@pytest.mark.parametrize(
    ("silent", "why"),
    [(False, r"request eval-7-0 failed 4 times: the engine died\x1b[31m"), (True, "evaluation after: waited ")],
)
def test_an_evaluation_that_cannot_be_made_fails_no_run_whose_training_is_over(
    trained: Driver, said: io.StringIO, silent: bool, why: str
) -> None:
    trained.config.cluster.work_seconds = 0.5 if silent else 60.0
    evaluate_last(trained, silent=silent)
    trained._card.end("finished", "its steps are done", trained.seconds)
    assert f"the weights of step 7 are not evaluated: {why}" in said.getvalue()
    assert f"mend: azr eval {trained.folder.root} --tasks 2 --samples" in said.getvalue()
    card = trained.folder.card()
    assert card.ended == "finished"
    assert card.not_evaluated.startswith(why)


def test_weights_that_an_engine_has_not_taken_are_not_evaluated(trained: Driver, said: io.StringIO) -> None:
    """Its answers would stand under a step whose weights they are not of."""

    class Behind(Unanswering):
        async def generate(self, request: GenerateRequest, deadline: float) -> Generation:
            response = Response(
                token_ids=np.zeros(1, np.int32),
                logprobs=np.zeros(1, np.float32),
                spans=(VersionSpan(0, 1, Version(0, 6)),),
            )
            return Generation(request=request.id, responses=(response,), replica="engine-1")

    why = asking(trained, Behind(silent=False)).evaluate_last(trained.step)
    assert why == "engine-1 answered with weights of step 6, not of step 7"
    assert f"the weights of step 7 are not evaluated: {why}" in said.getvalue()
    assert not trained.folder.evaluations.exists()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence is noticed after half a second, and lasts too long after one more."""
    monkeypatch.setattr("azr.run.driver.POLL_SECONDS", 0.05)
    monkeypatch.setattr("azr.run.driver.SILENT_SECONDS", 0.5)
    monkeypatch.setattr("azr.run.driver.Supervision", lambda *_: Supervision(Patience(1.5, "rollout.start_seconds")))


GONE = "no answer from engines (", "s: 1 of 1 engines to serve, 0 make their engine (engine-1 was lost: it was killed))"


@pytest.mark.parametrize("stage", ["evaluation", "seeds"])
def test_engines_that_are_gone_end_what_waits_for_them_with_why(
    impatient: None, trained: Driver, said: io.StringIO, stage: str
) -> None:
    """Requests alone would wait until the stage's time is over."""
    engines = Unanswering(silent=True, gone=True)
    began = time.monotonic()
    with pytest.raises(PartLostError) as caught:
        if stage == "evaluation":
            asking(trained, engines).evaluate("before", 0)
        else:
            asking(trained, engines, load_tokens(trained.config.model)).seed(cast("Any", None))
    assert time.monotonic() - began < 60.0 < trained.config.cluster.work_seconds
    for part in GONE:
        assert part in caught.value.what
    assert "engines does not answer; waiting for it to come back" in said.getvalue()


def test_engines_that_are_gone_fail_no_run_whose_training_is_over(
    impatient: None, trained: Driver, said: io.StringIO
) -> None:
    evaluate_last(trained, silent=True, gone=True)
    assert "the weights of step 7 are not evaluated: no answer from engines (" in said.getvalue()


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (SandboxBrokenError("three workers in a row died"), "SandboxBrokenError: three workers in a row died"),
        (UndecidedError("a response could not be judged"), "a response could not be judged"),
    ],
    ids=["broken", "undecided"],
)
def test_a_sandbox_that_breaks_fails_no_run_whose_training_is_over(
    trained: Driver, said: io.StringIO, monkeypatch: pytest.MonkeyPatch, error: Exception, why: str
) -> None:
    def breaks() -> None:
        raise error

    monkeypatch.setattr(WithoutPlayers, "sandbox", lambda _asking: breaks())
    evaluate_last(trained, silent=True)
    assert f"step 7 are not evaluated: {why}" in said.getvalue()


def test_weights_that_nobody_can_judge_before_training_are_trained_all_the_same(
    trained: Driver, said: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(_asking: WithoutPlayers, when: str, step: int) -> None:
        assert (when, step) == ("before", 0)
        raise UndecidedError("a response could not be judged")

    monkeypatch.setattr(WithoutPlayers, "evaluate", busy)
    asking(trained, Unanswering(silent=True)).evaluate_first()
    assert "before training are not evaluated: a response could not be judged" in said.getvalue()


def test_seeds_of_a_file_that_are_too_long_for_the_run_are_left_out(
    trained: Driver, said: io.StringIO, tmp_path: Path
) -> None:
    short, long = (
        msgspec.structs.replace(task, fingerprint=task.id) for task in held_out_tasks("common", "deduction", 2)
    )
    long = msgspec.structs.replace(long, outputs=("'" + "a" * trained.config.lengths.output + "'",))
    trained.config.evaluation.suite, trained.config.algorithm.game.task_types = "none", ["deduction"]
    trained.config.seeding.file = str(tmp_path / "seeds.jsonl")
    write_seeds(tmp_path / "seeds.jsonl", [short, long])
    added: list[Task] = []

    def add_many(tasks: list[Task]) -> list[bool]:
        added.extend(tasks)
        return [True] * len(tasks)

    buffers = SimpleNamespace(add_many=add_many)
    tokens = load_tokens(trained.config.model)
    for _ in range(2):  # once begun, the run has a file of its own
        added.clear()
        asking(trained, Unanswering(silent=True), tokens).seed(cast("Any", buffers))
        assert added == [short]
    assert said.getvalue().count("1 of 2 seeds do not suit this run (output_too_long 1) and are left out") == 1


def test_a_signal_ends_the_last_evaluation_as_it_ends_others(trained: Driver) -> None:
    trained._stop.signalled("Ctrl-C")
    with pytest.raises(StoppedError):
        evaluate_last(trained, silent=True)
    trained._card.end("stopped", "Ctrl-C", trained.seconds)
    card = trained.folder.card()
    assert (card.ended, card.not_evaluated) == ("stopped", "")
