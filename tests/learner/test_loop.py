"""The loop of one rank: resumption is exact, checkpoints are whole or absent, publishing never holds a step up."""

from __future__ import annotations

import errno
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from traceback import StackSummary
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch

import msgspec
import pytest
import torch
from ray.train.torch import TorchConfig
from torch.distributed.checkpoint.api import CheckpointException

from azr.config.sections.algorithm import OptimiserConfig
from learner import checkpoint, loop
from learner.loop import make_trainer, run
from learner.samples import StepBatch
from learner.trainer import StepReport, Trainer
from learner.weights import Publisher, PublishingFailedError, Weights, whole_weights
from tests.learner.plans import SeededSource, curve, noted, plan, torn_checkpoint, whole_checkpoint
from tests.learner.tiny import random_samples, save_tiny_model

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("model"))


class PublishedWeights:
    """Keeps what was published."""

    def __init__(self) -> None:
        self.versions: dict[int, dict[str, torch.Tensor]] = {}

    def __call__(self, step: int, weights: Weights) -> None:
        self.versions[step] = dict(weights)


class Turns:
    """A process group whose two ranks take turns in this process: what the first sent, the second is given. Tells the
    order of their calls, and nothing else."""

    def __init__(self) -> None:
        self.calls: dict[int, list[str]] = {0: [], 1: []}
        self._sent: list[object] = []

    @contextmanager
    def of(self, rank: int) -> Iterator[Trainer]:
        """This rank's turn, with a trainer that knows whose it is."""
        called = self.calls[rank]

        def broadcast(box: list[object], src: int) -> None:
            assert src == 0
            if rank == 0:
                self._sent.append(box[0])
            else:
                box[0] = self._sent[called.count("broadcast")]
            called.append("broadcast")

        group: dict[str, Any] = {
            "is_initialized": lambda: True,
            "broadcast_object_list": broadcast,
            "barrier": partial(called.append, "barrier"),
        }
        with patch.multiple(torch.distributed, **group):
            yield cast(Trainer, SimpleNamespace(ranks=SimpleNamespace(rank=rank, count=2)))


def test_a_resumed_run_continues_bit_by_bit(model: Path, tmp_path: Path) -> None:
    whole = plan(model, tmp_path / "whole", steps=8, checkpoint_every=4)
    run(whole, CPU)
    broken = plan(model, tmp_path / "broken", steps=4, checkpoint_every=4)
    run(broken, CPU)
    run(replace(broken, steps=8), CPU)
    assert curve(broken.folder) == curve(whole.folder)
    trainers = [make_trainer(each, CPU) for each in (whole, broken)]
    for trainer, each in zip(trainers, (whole, broken), strict=True):
        checkpoint.load(checkpoint.checkpoint_folder(each.checkpoints, 8), trainer)
    one, other = (whole_weights(trainer.policy) for trainer in trainers)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_resumed_run_follows_the_optimiser_settings_that_it_is_given_now(model: Path, tmp_path: Path) -> None:
    """The new betas and decay stand in every group, and the step is that of a run that sets them there by hand."""
    before = plan(model, tmp_path, steps=1, checkpoint_every=1)
    run(before, CPU)
    now = replace(before, optimiser=OptimiserConfig(lr=3e-3, beta1=0.5, beta2=0.9, weight_decay=0.25))
    written = checkpoint.checkpoint_folder(before.checkpoints, 1)
    kept, changed = make_trainer(before, CPU), make_trainer(now, CPU)
    checkpoint.load(written, kept)
    checkpoint.load(written, changed)
    (group,) = changed.optimiser.param_groups
    assert (group["betas"], group["weight_decay"]) == ((0.5, 0.9), 0.25)
    kept.optimiser.param_groups[0].update(betas=(0.5, 0.9), weight_decay=0.25)
    batch = StepBatch(random_samples(1001, step=1), 1)
    assert kept.step(batch).metrics == changed.step(batch).metrics
    one, other = (whole_weights(trainer.policy) for trainer in (kept, changed))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_steps_after_the_last_checkpoint_are_asked_for_again(model: Path, tmp_path: Path) -> None:
    first = plan(model, tmp_path, steps=6, checkpoint_every=4)
    run(first, CPU)
    newest = checkpoint.checkpoint_folder(first.checkpoints, 6)
    newest.rename(newest.with_name(newest.name + ".partial"))  # torn: as if killed while step 6 was written
    run(first, CPU)
    assert noted(tmp_path, "take") == [0, 1, 2, 3, 4, 5, 4, 5]
    assert noted(tmp_path, "commit") == [4, 6, 6]
    assert noted(tmp_path, "begin") == [0, 4]


def test_a_checkpoint_holds_what_the_source_adds_to_it(model: Path, tmp_path: Path) -> None:
    run(plan(model, tmp_path, steps=4, checkpoint_every=2), CPU)
    for step in (2, 4):
        assert (checkpoint.checkpoint_folder(tmp_path / "checkpoints", step) / "source.txt").read_text() == str(step)


def test_a_state_that_cannot_be_written_leaves_no_checkpoint(model: Path, tmp_path: Path) -> None:
    class Broken(SeededSource):
        def write_state(self, step: int, folder: Path) -> None:
            raise OSError(errno.EIO, "Input/output error")

    broken = replace(plan(model, tmp_path, steps=2), make_source=partial(Broken, tmp_path / "source.jsonl"))
    with pytest.raises(OSError, match="Input/output error"):
        run(broken, CPU)
    assert checkpoint.newest(tmp_path / "checkpoints") is None
    assert noted(tmp_path, "commit") == []


class TestFullDisk:
    @staticmethod
    def full_until(tmp_path: Path, room: Callable[[int], bool]) -> Callable[[], SeededSource]:
        """A source whose state finds no room in these of its writes, counted from 1."""
        writes: list[int] = []

        class Full(SeededSource):
            def write_state(self, step: int, folder: Path) -> None:
                writes.append(step)
                if not room(len(writes)):
                    raise OSError(errno.ENOSPC, "No space left on device")
                super().write_state(step, folder)

        return partial(Full, tmp_path / "source.jsonl")

    def test_a_checkpoint_without_room_is_taken_away_and_told_and_training_goes_on(
        self, model: Path, tmp_path: Path
    ) -> None:
        source = self.full_until(tmp_path, lambda write: write > 2)  # it is tried twice
        run(replace(plan(model, tmp_path, steps=4, checkpoint_every=2), make_source=source), CPU)
        assert noted(tmp_path, "take") == [0, 1, 2, 3]
        assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step_00000004"]
        assert noted(tmp_path, "commit") == [4], "what older checkpoints could undo is kept until one stands"
        (told,) = map(msgspec.json.decode, (tmp_path / "no_room.jsonl").read_text().splitlines())
        assert told["step"] == 2
        assert told["why"].endswith("has no room for step_00000002")

    def test_older_checkpoints_but_the_newest_go_for_one_that_does_not_fit_beside_them(
        self, model: Path, tmp_path: Path
    ) -> None:
        """A disk with room for fewer than are to be kept would take no checkpoint any more."""
        checkpoints = tmp_path / "checkpoints"
        source = self.full_until(tmp_path, lambda _write: len(checkpoint.complete_steps(checkpoints)) < 2)
        run(replace(plan(model, tmp_path, steps=4, checkpoint_every=1), make_source=source), CPU)
        assert checkpoint.complete_steps(checkpoints) == [3, 4]
        assert noted(tmp_path, "commit") == [1, 2, 3, 4]
        assert not (tmp_path / "no_room.jsonl").exists()
        told = [json.loads(line) for line in (tmp_path / "made_room.jsonl").read_text().splitlines()]
        assert told == [{"step": 3, "gone": ["step_00000001"]}, {"step": 4, "gone": ["step_00000002"]}]

    def test_whose_disk_is_full_is_told_in_the_words_of_who_found_it_full(self, model: Path, tmp_path: Path) -> None:
        begun = plan(model, tmp_path, steps=1)

        def refuses(_folder: Path) -> None:
            raise checkpoint.NoRoomError(errno.ENOSPC, "the journal of the other disk: the disk is full")

        with pytest.raises(checkpoint.NoRoomError, match="the journal of the other disk: the disk is full"):
            checkpoint.save(
                begun.checkpoints,
                make_trainer(begun, CPU),
                checkpoint.LearnerState(1, 1, "m"),
                companions=refuses,
            )
        assert list(begun.checkpoints.iterdir()) == []

    def test_the_last_checkpoint_waits_for_room(
        self, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(loop, "TRY_SECONDS", 0.01)
        run(
            replace(plan(model, tmp_path, steps=1), make_source=self.full_until(tmp_path, lambda write: write > 5)), CPU
        )
        found = checkpoint.newest(tmp_path / "checkpoints")
        assert found is not None
        assert checkpoint.read_state(found).step == 1

    def test_a_last_checkpoint_that_never_fits_ends_the_loop_with_that_reason(
        self, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(loop, "TRY_SECONDS", 0.01)
        monkeypatch.setattr(loop, "LAST_SECONDS", 0.03)
        never = replace(plan(model, tmp_path, steps=1), make_source=self.full_until(tmp_path, lambda _write: False))
        with pytest.raises(checkpoint.NoRoomError, match=r"no room for the last checkpoint \(step 1\)"):
            run(never, CPU)
        assert list((tmp_path / "checkpoints").iterdir()) == []
        (told,) = map(json.loads, (tmp_path / "lost.jsonl").read_text().splitlines())
        assert (told["step"], told["saved"]) == (1, 0), "whoever began the ranks hears of it before they go back"
        assert told["why"].startswith("there was no room for the last checkpoint")
        assert told["why"].endswith("has no room for step_00000001"), "and who had none"

    def test_nothing_is_written_where_another_checkpoint_like_the_newest_does_not_fit(
        self, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        begun = plan(model, tmp_path, steps=1)
        run(begun, CPU)
        monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(10**9, 10**9, 1000))
        trainer = make_trainer(begun, CPU)
        with pytest.raises(checkpoint.NoRoomError, match="has 0 MiB left, and a checkpoint takes"):
            checkpoint.save(begun.checkpoints, trainer, checkpoint.LearnerState(2, 2, "m"))
        assert [path.name for path in begun.checkpoints.iterdir()] == ["step_00000001"]

    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT], ids=["disk", "quota"])
    def test_a_folder_that_cannot_be_made_for_want_of_room_is_told_to_all_ranks_in_the_same_order(
        self, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(path: Path, **_options: object) -> None:
            raise OSError(number, "none left", str(path))

        monkeypatch.setattr(Path, "mkdir", full)
        turns = Turns()
        for rank in (0, 1):
            with (
                turns.of(rank) as trainer,
                pytest.raises(checkpoint.NoRoomError, match="has no room for step_00000003: none left"),
            ):
                checkpoint.save(tmp_path, trainer, checkpoint.LearnerState(3, 3, "m"))
        assert turns.calls[0] == turns.calls[1] == ["broadcast"]
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_that_cannot_be_made_for_another_reason_ends_the_rank(self, model: Path, tmp_path: Path) -> None:
        begun = plan(model, tmp_path, steps=1)
        begun.checkpoints.write_text("a file where the folder should be")
        with pytest.raises(NotADirectoryError):
            checkpoint.save(begun.checkpoints, make_trainer(begun, CPU), checkpoint.LearnerState(1, 1, "m"))

    def test_the_systems_word_is_found_behind_the_libraries_own(self, tmp_path: Path) -> None:
        try:
            try:
                raise OSError(errno.ENOSPC, "No space left on device")
            finally:
                raise RuntimeError("unexpected pos 704 vs 598")
        except RuntimeError as error:
            wrapped = CheckpointException("save", {1: (error, StackSummary())})
        assert checkpoint._is_full(wrapped, tmp_path)
        assert not checkpoint._is_full(CheckpointException("save", {0: (RuntimeError(), StackSummary())}), tmp_path)


def test_what_learners_that_were_killed_left_half_written_goes_before_the_next_is_written(
    model: Path, tmp_path: Path
) -> None:
    """Each at another step, where a signal asked for a last checkpoint: they would fill the disk."""
    begun = plan(model, tmp_path, steps=4)
    begun.checkpoints.mkdir()
    whole_checkpoint(begun.checkpoints, 1)
    for step in (2, 7):
        torn_checkpoint(begun.checkpoints, f"step_{step:08d}.partial")
    (begun.checkpoints / "step_9_of_mine.partial").mkdir()
    checkpoint.save(begun.checkpoints, make_trainer(begun, CPU), checkpoint.LearnerState(4, 4, "m"))
    left = sorted(folder.name for folder in begun.checkpoints.iterdir())
    assert left == ["step_00000001", "step_00000004", "step_9_of_mine.partial"]


def test_a_source_that_ends_ends_the_run_with_a_checkpoint(model: Path, tmp_path: Path) -> None:
    short = replace(
        plan(model, tmp_path, steps=50, checkpoint_every=10),
        make_source=partial(SeededSource, tmp_path / "source.jsonl", last=3),
    )
    run(short, CPU)
    found = checkpoint.newest(short.checkpoints)
    assert found is not None
    assert checkpoint.read_state(found).step == 3


def test_nothing_left_to_do_writes_nothing(model: Path, tmp_path: Path) -> None:
    done = plan(model, tmp_path, steps=2, checkpoint_every=2)
    run(done, CPU)
    before = sorted(tmp_path.rglob("*"))
    run(done, CPU)
    assert sorted(tmp_path.rglob("*")) == before


def test_each_step_is_published_and_its_weights_are_those_of_the_checkpoint(model: Path, tmp_path: Path) -> None:
    published = PublishedWeights()
    run(replace(plan(model, tmp_path, steps=3, checkpoint_every=3), make_publish=lambda: published), CPU)
    assert max(published.versions) == 3
    trainer = make_trainer(plan(model, tmp_path, steps=3), CPU)
    checkpoint.load(checkpoint.checkpoint_folder(tmp_path / "checkpoints", 3), trainer)
    expected = whole_weights(trainer.policy)
    assert all(torch.equal(published.versions[3][name], expected[name]) for name in expected)


@pytest.mark.parametrize(("every", "offered"), [(1, [0, 1, 2, 3, 4, 5]), (2, [0, 2, 4, 5]), (9, [0, 5])])
def test_weights_are_published_every_few_steps_and_those_at_the_end_in_any_case(
    every: int, offered: list[int], model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = list[int]()

    class Offers(Publisher):
        def offer(self, step: int, weights: Weights) -> None:
            seen.append(step)
            super().offer(step, weights)

    monkeypatch.setattr(loop, "Publisher", Offers)
    asked = plan(model, tmp_path, steps=5, checkpoint_every=5)
    run(replace(asked, make_publish=PublishedWeights, publish_every=every), CPU)
    assert seen == offered


def test_weights_are_published_in_what_the_engines_compute_in(model: Path, tmp_path: Path) -> None:
    published = PublishedWeights()
    asked = replace(plan(model, tmp_path, steps=1), make_publish=lambda: published, publish_dtype="bfloat16")
    run(asked, CPU)
    assert {value.dtype for value in published.versions[1].values()} == {torch.bfloat16}


def test_the_weights_a_loop_begins_with_are_published_before_the_first_batch(model: Path, tmp_path: Path) -> None:
    """At step 0 as at a resume: engines of a new lineage have nothing to make a batch with until then."""

    def began(steps: int) -> tuple[list[int], list[int], dict[str, torch.Tensor]]:
        published, order = PublishedWeights(), list[int]()

        def publish(step: int, weights: Weights) -> None:
            order.append(step)
            published(step, weights)
            arrived.set()

        class PatientSource(SeededSource):
            def take(self, step: int) -> StepBatch | None:
                assert arrived.wait(10)
                taken.append(step)
                return super().take(step)

        arrived, taken = threading.Event(), list[int]()
        patient = partial(PatientSource, tmp_path / "source.jsonl")
        begun = plan(model, tmp_path, steps=steps, checkpoint_every=2)
        run(replace(begun, make_source=patient, make_publish=lambda: publish), CPU)
        return order, taken, published.versions[order[0]]

    order, taken, first = began(2)
    assert (order[0], order[-1], taken) == (0, 2, [0, 1])
    base = whole_weights(make_trainer(plan(model, tmp_path, steps=2), CPU).policy)
    assert all(torch.equal(first[name], base[name]) for name in base)

    order, taken, first = began(3)
    assert (order[0], order[-1], taken) == (2, 3, [2])
    trainer = make_trainer(plan(model, tmp_path, steps=3), CPU)
    checkpoint.load(checkpoint.checkpoint_folder(tmp_path / "checkpoints", 2), trainer)
    resumed = whole_weights(trainer.policy)
    assert all(torch.equal(first[name], resumed[name]) for name in resumed)


def test_first_weights_that_cannot_be_published_end_the_wait_for_players(model: Path, tmp_path: Path) -> None:
    """They never begin: the driver waits for these weights before it starts them."""

    class WaitingSource(SeededSource):
        def ready(self, check: Callable[[], None]) -> None:
            ends = time.monotonic() + 60
            while time.monotonic() < ends:
                check()
                time.sleep(0.01)

    def publish(_step: int, _weights: Weights) -> None:
        raise ConnectionError("the registry is gone")

    waiting = partial(WaitingSource, tmp_path / "source.jsonl")
    with pytest.raises(PublishingFailedError, match="the registry is gone"):
        run(replace(plan(model, tmp_path, steps=2), make_source=waiting, make_publish=lambda: publish), CPU)
    assert noted(tmp_path, "take") == []


def test_the_end_of_a_loop_waits_for_two_versions_as_long_as_is_configured(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """630 s for the one on its way, a third of it once it is stored; 630 s for the one behind it; a minute for what is
    no engine's."""
    over = replace(plan(model, tmp_path, steps=0), publish_seconds=420.0)
    assert over.publish_deadline == 1320.0
    monkeypatch.setattr(loop, "ASIDE_SECONDS", 0.0)
    stuck = threading.Event()

    def publish(_step: int, _weights: Weights) -> None:
        stuck.wait(10)

    hung = replace(over, publish_seconds=0.05, make_publish=lambda: publish)
    with pytest.raises(PublishingFailedError, match=r"did not end within 0\.15 s"):
        run(hung, CPU)
    stuck.set()


def test_waiting_for_players_to_begin_is_not_waiting_for_data(model: Path, tmp_path: Path) -> None:
    class LateSource(SeededSource):
        def ready(self, check: Callable[[], None]) -> None:
            order.append("ready")
            time.sleep(1.0)

        def take(self, step: int) -> StepBatch | None:
            order.append(f"take {step}")
            return super().take(step)

    class Waits:
        def on_step(self, step: int, report: StepReport, seconds: dict[str, float]) -> None:
            waited.append(seconds["wait"])

        def on_made_room(self, step: int, gone: list[str]) -> None:
            raise AssertionError(f"{gone} went at step {step}")

        def on_no_room(self, step: int, why: str) -> None:
            raise AssertionError(f"no room at step {step}: {why}")

        def on_lost(self, step: int, saved: int, why: str) -> None:
            raise AssertionError(f"lost after {saved}: {why}")

    order, waited = list[str](), list[float]()
    late = partial(LateSource, tmp_path / "source.jsonl")
    run(replace(plan(model, tmp_path, steps=2), make_source=late, make_observer=Waits), CPU)
    assert order == ["ready", "take 0", "take 1"]
    assert max(waited) < 1.0


def test_what_its_source_works_on_a_batch_is_no_waiting_for_data(model: Path, tmp_path: Path) -> None:
    class WorkingSource(SeededSource):
        def take(self, step: int) -> StepBatch | None:
            time.sleep(0.3)
            batch = super().take(step)
            return batch and replace(batch, prepare_seconds=0.25 if step == 0 else 1000.0)

    class Phases:
        def on_step(self, step: int, report: StepReport, seconds: dict[str, float]) -> None:
            phases.append((seconds["wait"], seconds["prepare"]))

        def on_made_room(self, step: int, gone: list[str]) -> None:
            raise AssertionError(f"{gone} went at step {step}")

        def on_no_room(self, step: int, why: str) -> None:
            raise AssertionError(f"no room at step {step}: {why}")

        def on_lost(self, step: int, saved: int, why: str) -> None:
            raise AssertionError(f"lost after {saved}: {why}")

    phases = list[tuple[float, float]]()
    working = partial(WorkingSource, tmp_path / "source.jsonl")
    run(replace(plan(model, tmp_path, steps=2), make_source=working, make_observer=Phases), CPU)
    (waited, prepared), (never, all_of_it) = phases
    assert prepared == 0.25 and waited >= 0.05
    assert never == 0.0 and all_of_it >= 0.3, "no more than has passed"


class TestWaitingOfManyRanks:
    """Half an hour is all that a collective has; a wait for players or a batch has more."""

    @pytest.mark.parametrize("brought", [StepBatch([], 3), None], ids=["a batch", "the end of the run"])
    def test_the_others_hear_that_the_first_waits_until_it_has_what_it_waited_for(
        self, brought: StepBatch | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def take() -> StepBatch | None:
            deadline = time.monotonic() + 10
            while len(turns.calls[0]) < 3:
                assert time.monotonic() < deadline, "nobody was told of the wait"
                time.sleep(0.001)
            return brought

        monkeypatch.setattr(loop, "BEAT_SECONDS", 0.01)
        turns = Turns()
        with turns.of(0) as trainer:
            assert loop._of_first(take, trainer) is brought
        with turns.of(1) as trainer:
            assert loop._of_first(None, trainer) is brought
        assert turns.calls[0] == turns.calls[1] == ["broadcast"] * len(turns.calls[0])
        assert len(turns.calls[0]) >= 4

    def test_the_first_says_which_checkpoint_all_begin_with(
        self, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The second lists a folder that does not show the newest yet, and begins with it all the same."""
        both = plan(model, tmp_path, steps=2)
        both.checkpoints.mkdir()
        whole_checkpoint(both.checkpoints, 1)
        loaded: dict[int, Path] = {}
        turns = Turns()
        for rank in (0, 1):
            if rank == 0:
                whole_checkpoint(both.checkpoints, 2)
            else:
                monkeypatch.setattr(checkpoint, "newest", lambda root: checkpoint.checkpoint_folder(root, 1))

            def load(folder: Path, _trainer: Trainer, *, rank: int = rank) -> checkpoint.LearnerState:
                loaded[rank] = folder
                return checkpoint.read_state(folder)

            monkeypatch.setattr(checkpoint, "load", load)
            with turns.of(rank) as trainer:
                monkeypatch.setattr(loop, "make_trainer", lambda *_, trainer=trainer: trainer)
                run(both, CPU)
        assert loaded == dict.fromkeys((0, 1), checkpoint.checkpoint_folder(both.checkpoints, 2))

    def test_another_rank_waits_until_its_machine_shows_the_checkpoint_too(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def shown(_seconds: float) -> None:
            looks.append(1)
            if len(looks) == 3:
                whole_checkpoint(tmp_path, 4)

        looks = list[int]()
        monkeypatch.setattr("learner.checkpoint.time.sleep", shown)
        checkpoint.wait_until_shown(checkpoint.checkpoint_folder(tmp_path, 4), 1)
        assert len(looks) == 3

    def test_a_checkpoint_that_a_rank_is_never_shown_ends_it_with_folder_and_rank(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(checkpoint, "SHOWN_SECONDS", 0.02)
        monkeypatch.setattr(checkpoint, "LOOK_SECONDS", 0.01)
        folder = checkpoint.checkpoint_folder(tmp_path, 4)
        with pytest.raises(TimeoutError, match=r"rank 3 cannot read .*/step_00000004, .* after 0\.02 s"):
            checkpoint.wait_until_shown(folder, 3)
        folder.mkdir()
        (folder / checkpoint.MARKER).write_bytes(b'{"step": 4, "updates": 4, "model": "\xff"}')
        with pytest.raises(TimeoutError, match=r"rank 3 cannot read .*/step_00000004, .* after 0\.02 s"):
            checkpoint.wait_until_shown(folder, 3)

    def test_what_is_there_at_once_is_told_once(self) -> None:
        turns = Turns()
        with turns.of(0) as trainer:
            assert loop._of_first(lambda: 7, trainer) == 7
        assert turns.calls[0] == ["broadcast"]

    def test_a_wait_that_fails_ends_the_first_rank_with_its_own_error(self) -> None:
        def ready() -> None:
            raise TimeoutError("no player began")

        turns = Turns()
        with turns.of(0) as trainer, pytest.raises(TimeoutError, match="no player began"):
            loop._of_first(ready, trainer)
        assert turns.calls[0] == []

    def test_it_is_heard_of_long_before_a_collective_gives_up(self) -> None:
        assert TorchConfig().timeout_s >= 10 * loop.BEAT_SECONDS
