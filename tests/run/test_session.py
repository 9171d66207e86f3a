"""What `azr eval` is asked about, and by which configuration: a run's own, or the preset's for a model."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from azr.cli import evaluate
from azr.config import Config, load, write_resolved
from azr.errors import AzrError, UsageError
from azr.game.frames import frame
from azr.held_folders import hold, remove_abandoned_temporary
from azr.run.folder import Card, RunFolder
from azr.run.session import configuration_of, logs_folder, model_of, run_of, session


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    words = [
        f"run.folder={tmp_path}",
        "run.name=one",
        "model.frame=r1",
        "lengths.response=99",
        "weights.folder=/shared",
    ]
    folder = RunFolder.of(str(tmp_path), "one")
    folder.create(Card(name="one", started=0.0))
    write_resolved(load(["tiny"], words), folder.root)
    checkpoint = folder.checkpoints / "step_00000002"
    checkpoint.mkdir()
    (checkpoint / "learner.json").write_text("{}")
    return folder


def asked(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    evaluate.add_arguments(parser)
    return parser.parse_args(words)


def test_logs_of_a_session_are_kept_where_it_fails_and_nowhere_else() -> None:
    said: list[str] = []
    with logs_folder(said.append) as good:
        (good / "engine.log").touch()
    with pytest.raises(KeyboardInterrupt), logs_folder(said.append) as interrupted:
        raise KeyboardInterrupt
    assert not good.exists()
    assert not interrupted.exists()
    assert said == []
    with pytest.raises(AzrError), logs_folder(said.append) as failed:
        (failed / "engine.log").touch()
        raise AzrError("no engine stands", "look at its log")
    try:
        assert (failed / "engine.log").exists()
        assert said == [f"what engines and Ray said is kept in {failed}"]
    finally:
        shutil.rmtree(failed)


def test_of_a_session_in_a_cluster_only_what_this_node_has_is_told_to_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    said: list[str] = []
    with pytest.raises(AzrError), logs_folder(said.append, joined=True) as failed:
        raise AzrError("no engine stands", "look at its log")
    (told,) = said
    assert told.startswith(f"what engines on this node said is kept in {failed};")
    assert "Ray's own logs are the cluster's" in told


def test_logs_of_a_session_that_is_killed_are_tidied_away_and_kept_ones_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(AzrError), logs_folder(lambda _: None) as kept:
        raise AzrError("no engine stands", "look at its log")
    killed = tmp_path / "azr-session-killed"
    hold(killed).close()
    with logs_folder(lambda _: None) as alive:
        for folder in (kept, killed, alive):
            for path in (*folder.iterdir(), folder):
                os.utime(path, (1000.0, 1000.0))
        remove_abandoned_temporary()
        assert sorted(tmp_path.iterdir()) == sorted([kept, alive])


@pytest.mark.parametrize("below", ["", "checkpoints/step_00000002"])
def test_a_run_is_asked_as_it_was_trained(run: RunFolder, below: str) -> None:
    source = str(run.root / below)
    assert run_of(source) == run.root
    config = evaluate.configured(asked(source, "--tasks", "7"))
    assert (config.model.frame, config.lengths.response, config.evaluation.tasks) == ("r1", 99, 7)
    assert (config.run.name, config.weights.folder) == ("eval", ""), "nothing of a run that may be alive is touched"


def test_the_run_of_a_cluster_is_asked_on_this_machine(run: RunFolder) -> None:
    """Whose exported checkpoint lies where only this machine finds it."""
    words = ["cluster.address=auto", "rollout.max_replicas=8", "rollout.replicas=2"]
    write_resolved(load([str(run.config)], words), run.root)
    config = evaluate.configured(asked(str(run.root)))
    assert (config.cluster.address, config.rollout.max_replicas, config.rollout.replicas) == ("", 0, 2)
    config = evaluate.configured(asked(str(run.root), "cluster.address=head:6379"))
    assert config.cluster.address == "head:6379", "who asks for a cluster gets it"
    config = evaluate.configured(asked(str(run.root), "--config", str(run.config)))
    assert config.cluster.address == "auto", "also who asks with a configuration of his own"


def test_in_a_job_an_evaluation_that_names_no_cluster_is_refused_before_anything_is_exported(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    monkeypatch.setattr("azr.run.session.model_of", lambda _source: pytest.fail("it was exported"))
    with pytest.raises(AzrError, match="RAY_ADDRESS") as told:
        evaluate.run(asked(str(run.root)))
    assert "cluster.address=auto" in told.value.mend


def test_a_session_that_would_go_to_another_ray_keeps_no_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    with pytest.raises(AzrError, match="RAY_ADDRESS"), session(load(["tiny"]), pytest.fail):
        pass


@pytest.mark.parametrize(
    ("words", "told"),
    [(["--tasks", "0"], "evaluation.tasks: 0 is out of range"), (["--samples", "-1"], "evaluation.samples: -1 is")],
)
def test_numbers_of_tasks_and_samples_are_checked_as_the_configuration_is(
    run: RunFolder, words: list[str], told: str
) -> None:
    with pytest.raises(AzrError, match=told):
        evaluate.configured(asked(str(run.root), *words))


def test_changes_on_the_command_line_stand_above_the_runs_own(run: RunFolder) -> None:
    assert evaluate.configured(asked(str(run.root), "lengths.response=50")).lengths.response == 50
    assert evaluate.configured(asked(str(run.root), "--config", "tiny")).model.frame == "compact"


def test_a_run_that_was_not_kept_from_the_suites_tasks_is_told_of(tmp_path: Path, run: RunFolder) -> None:
    assert evaluate.not_held_out(str(run.root), "tiny") == ""
    assert evaluate.not_held_out(str(tmp_path / "no run"), "tiny") == ""
    write_resolved(load(["tiny"], ["evaluation.suite=none"]), run.root)
    said = evaluate.not_held_out(str(run.root), "tiny")
    assert said.startswith("evaluation.suite was none in this run")
    run.config.write_text("run: {a_key_of_another_version: 1}\n")
    assert evaluate.not_held_out(str(run.root), "tiny") == "", "the evaluation itself may be asked by other presets"


def test_how_many_tasks_are_asked_is_the_option_or_the_configurations_word(run: RunFolder) -> None:
    def numbers(*words: str) -> tuple[int, int]:
        found = evaluate.configured(asked(str(run.root), *words)).evaluation
        return found.tasks, found.samples

    assert numbers() == (100, 4), "as preset tiny says, and as the help tells"
    assert numbers("evaluation.tasks=50") == (50, 4)
    assert numbers("evaluation.tasks=50", "--samples", "0") == (50, 0)
    with pytest.raises(UsageError, match=r"evaluation\.tasks is given twice"):
        numbers("evaluation.tasks=50", "--tasks", "7")


@pytest.mark.parametrize(
    ("word", "mend"),
    [
        ("evaluation.suite=none", "--suite"),
        ("weights.folder=/shared", "leave it out"),
        ("rollout.max_replicas=2", "rollout.replicas"),
        ("model.path=other", "azr eval MODEL"),
        ("run.name=mine", "--output"),
    ],
)
def test_a_change_of_what_the_command_sets_itself_is_refused_for_it_would_do_nothing(
    run: RunFolder, word: str, mend: str
) -> None:
    with pytest.raises(UsageError, match=f"azr eval sets {word.partition('=')[0]} itself") as refused:
        evaluate.configured(asked(str(run.root), word))
    assert mend in refused.value.mend


def test_a_model_is_asked_as_the_preset_says(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("this is no run's: [")
    assert configuration_of(str(tmp_path)) is None
    assert evaluate.configured(asked(str(tmp_path))).model.frame == "compact"
    with model_of(str(tmp_path)) as folder:
        assert folder == str(tmp_path)


class AskedError(Exception):
    """How the engines below end an evaluation: with what they were asked."""


class Engines:
    """Engines that tell what the first request asks of them."""

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[Engines]:
        yield self

    async def generate(self, request: Any, deadline: float) -> None:
        raise AskedError(request.max_tokens)


@pytest.mark.parametrize("longest", [128, 4096])
def test_answers_may_be_as_long_as_the_configuration_says(
    longest: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextlib.contextmanager
    def engines_alone(config: Config, tell: Callable[[str], None]) -> Iterator[SimpleNamespace]:
        tokens = SimpleNamespace(encode=str.encode, frame=frame("compact"))
        yield SimpleNamespace(engines=Engines(), tokens=tokens, sandbox=None)

    monkeypatch.setattr("azr.run.session.session", engines_alone)
    with pytest.raises(AskedError, match=f"^{longest}$"):
        evaluate.run(asked(str(tmp_path), f"lengths.response={longest}", "--tasks", "1"))
