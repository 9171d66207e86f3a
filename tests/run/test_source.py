"""The order in which the learner consumes: commits, resumes, checkpoints and the end, against the real books."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from azr.config import load, write_resolved
from azr.config.root import Config
from azr.config.sections.algorithm import TermConfig
from azr.errors import AzrError
from azr.game.rewards import registry
from azr.game.rewards.answer_diversity import AnswerDiversity
from azr.game.types import Cell, Version
from azr.run.checkpoint import EXPERIENCE, STATE, TASKS, read_state
from azr.run.folder import Card, RunFolder
from azr.run.source import RunObserver, RunSource, Setting
from learner.checkpoint import MARKER, LearnerState, checkpoint_folder, complete_steps, prune
from learner.samples import StepBatch
from learner.trainer import StepReport
from learner.weights import PublishingFailedError
from tests.run.books import LocalExperience, LocalHub, LocalShards, LocalTasks, config


def fine() -> None:
    """Weights are published."""


class World:
    """A run's services in this process, and a learner that restarts at will."""

    def __init__(self, tmp_path: Path, settings: Config | None = None) -> None:
        self.config = settings or config()
        self.experience, self.tasks, self.hub = LocalExperience(self.config), LocalTasks(), LocalHub()
        self.root = tmp_path / "checkpoints"
        self.root.mkdir(exist_ok=True)

    def source(self, step: int = 0) -> RunSource:
        """A new learner at this step."""
        setting = Setting(self.config, self.root, self.experience, self.tasks, self.hub)
        source = RunSource(setting)
        source.begin(step)
        return source

    def train(self, source: RunSource, step: int) -> StepBatch:
        """Make what the step needs, take it, and publish what came of it."""
        self.experience.fill(step, source.lineage)
        batch = source.take(step)
        assert batch is not None
        self.experience.commit(Version(source.lineage, step))
        self.experience.publish(Version(source.lineage, step + 1))
        return batch

    def checkpoint(self, source: RunSource, step: int) -> Path:
        folder = checkpoint_folder(self.root, step)
        folder.mkdir()
        source.write_state(step, folder)
        (folder / MARKER).write_bytes(msgspec.json.encode(LearnerState(step, step, "tiny")))
        prune(self.root, keep_last=self.config.learner.keep_last, keep_every=self.config.learner.keep_every)
        source.commit(step)
        return folder

    def learn(self, source: RunSource, steps: range) -> None:
        """Steps, each with a checkpoint behind it."""
        for step in steps:
            self.train(source, step)
            self.checkpoint(source, step + 1)

    def go_back(self, step: int) -> None:
        """A person moves the checkpoints behind this one away."""
        for later in complete_steps(self.root):
            if later > step:
                shutil.rmtree(checkpoint_folder(self.root, later))

    @property
    def bodies(self) -> int:
        """Trained samples whose bodies are held."""
        return sum(bool(sample.body) for _, sample in self.experience.books.book.ledger.state().trained)


def test_a_new_run_begins_without_a_resume(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert world.source().lineage == 0
    assert world.experience.calls == []


def test_a_step_is_committed_before_the_next_is_asked_for(tmp_path: Path) -> None:
    world = World(tmp_path)
    source = world.source()
    world.experience.fill(0)
    assert source.take(0) is not None
    world.hub.stop = "enough"
    assert source.take(1) is None
    assert world.experience.calls == ["take 0.0", "commit 0.0"]
    assert world.hub.said == ["the learner ends at step 1: enough"]


def test_the_batch_carries_its_step_and_its_metrics_go_to_the_hub(tmp_path: Path) -> None:
    world = World(tmp_path)
    batch = world.train(world.source(), 0)
    assert batch.step == 0
    assert len(batch.samples) == 3, "one proposal, one group that differs; the other taught nothing"
    assert 0.0 < batch.prepare_seconds < 60.0
    assert world.hub.reports == [(1, ["source", "tasks"], False)]
    RunObserver(world.hub).on_step(1, StepReport({}, 3, 10, {}), {"wait": 0.0, "step": 1.0})
    assert world.hub.reports[-1] == (1, ["learner"], True)


def test_a_term_is_made_once_for_all_batches_and_its_memory_is_that_of_the_committed_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One may load a model; and a batch that is asked for again is judged as it was the first time."""
    made: list[AnswerDiversity] = []

    def make() -> AnswerDiversity:
        made.append(AnswerDiversity())
        return made[-1]

    monkeypatch.setitem(registry.BUILT_IN, "made", make)
    settings = config()
    settings.algorithm.proposer_reward.terms = {"made": TermConfig(coefficient=0.1)}
    world = World(tmp_path, settings)
    source = world.source()
    world.experience.fill(0)
    counted = []
    for _ in range(2):
        assert source.take(0) is not None
        counted.append(made[0].counts.total)
    world.train(source, 1)
    assert (counted, len(made)) == ([1, 1], 1)
    assert made[0].counts.total == 2


def test_a_wait_without_end_names_what_is_lacking_at_its_deadline(tmp_path: Path) -> None:
    world = World(tmp_path)
    now = iter(range(0, 100_000, 1000))
    setting = Setting(world.config, world.root, world.experience, world.tasks, world.hub)
    source = RunSource(setting, clock=lambda: float(next(now)))
    source.begin(0)
    assert source.take(0) is None, "an error would have the ranks restarted, and wait as long again"
    assert world.hub.failed == ["no batch for step 1 within 4000 s: deduction/propose 1, deduction/solve 4"]


def test_a_wait_is_said_after_a_minute_and_at_each_doubling_with_what_is_lacking(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.config.run.batch_seconds = 500.0
    now = iter(range(0, 100_000, 20))
    setting = Setting(world.config, world.root, world.experience, world.tasks, world.hub)
    source = RunSource(setting, clock=lambda: float(next(now)))
    source.begin(0)
    assert source.take(0) is None
    lacking = "deduction/propose 1, deduction/solve 4"
    assert world.hub.said == [
        f"waiting for the batch of step 1 for {seconds} s: {lacking}" for seconds in (60, 120, 240, 480)
    ]


def test_nobody_is_asked_for_a_batch_before_players_play(tmp_path: Path) -> None:
    """Whoever is asked has patience from then on: it would be gone before the first player begins."""
    world = World(tmp_path)
    world.hub.plays = False
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        assert world.experience.calls == []
        slept.append(seconds)
        world.hub.plays = len(slept) == 3

    setting = Setting(world.config, world.root, world.experience, world.tasks, world.hub)
    source = RunSource(setting, sleep=sleep)
    source.begin(0)
    source.ready(fine)
    assert len(slept) == 3


def test_a_run_that_ends_before_its_players_begin_asks_for_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.hub.plays, world.hub.stop = False, "Ctrl-C"
    source = world.source()
    source.ready(fine)
    assert source.take(0) is None
    assert world.experience.calls == []


def test_players_that_never_begin_end_the_wait(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.hub.plays = False
    world.config.cluster.start_seconds, world.config.cluster.work_seconds = 600.0, 4000.0
    now = [0.0]
    setting = Setting(world.config, world.root, world.experience, world.tasks, world.hub)
    source = RunSource(setting, lambda: now[0], lambda _seconds: now.__setitem__(0, now[0] + 600))
    with pytest.raises(AzrError, match="no player began within 9800 s"):
        source.ready(fine)


def fails_the(times: int) -> Callable[[], None]:
    """Publishing that fails before it is looked at for so many times."""
    looks = iter(range(1, times + 1))

    def check() -> None:
        if next(looks) == times:
            raise PublishingFailedError("publishing weights failed: the registry is gone")

    return check


def test_weights_that_cannot_be_published_end_the_wait_for_players(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.hub.plays = False
    setting = Setting(world.config, world.root, world.experience, world.tasks, world.hub)
    source = RunSource(setting, sleep=lambda _seconds: None)
    source.begin(0)
    with pytest.raises(PublishingFailedError, match="the registry is gone"):
        source.ready(fails_the(3))


def test_weights_that_cannot_be_published_end_the_wait_for_a_batch(tmp_path: Path) -> None:
    """Its samples would have to be made by them."""
    world = World(tmp_path)
    source = world.source()
    source.ready(fails_the(3))
    with pytest.raises(PublishingFailedError, match="the registry is gone"):
        source.take(0)


def test_ranks_that_restart_at_the_very_step_go_on_in_the_same_lineage_with_the_same_batch(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.experience.fill(0)
    first, again = world.source().take(0), world.source().take(0)
    assert first is not None
    assert again is not None
    assert [sample.advantage for sample in again.samples] == [sample.advantage for sample in first.samples]
    assert world.experience.lineage() == Version(0, 0)


def test_a_restart_behind_the_books_undoes_what_came_after_and_discards_what_lost_weights_made(tmp_path: Path) -> None:
    world = World(tmp_path)
    source = world.source()
    world.train(source, 0)
    world.checkpoint(source, 1)
    world.train(source, 1)
    world.train(source, 2)
    world.experience.fill(3)
    restarted = world.source(1)
    assert restarted.lineage == 1
    assert "resume 0.1 as 1" in world.experience.calls
    assert world.tasks.calls == ["resume 1.1"]
    world.experience.books.assert_closed()
    batch = restarted.take(1)
    assert batch is not None, "what was trained at step 1 by weights that still exist is there again"
    world.experience.books.assert_closed()


def test_a_restart_without_any_checkpoint_begins_at_the_base_weights(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.train(world.source(), 0)
    restarted = world.source(0)
    assert "resume 0.0 as 1" in world.experience.calls
    assert restarted.take(0) is not None


def test_a_checkpoint_holds_baselines_of_what_was_trained_and_nothing_of_what_is_under_way(tmp_path: Path) -> None:
    world = World(tmp_path)
    source = world.source()
    world.train(source, 0)
    folder = world.checkpoint(source, 1)
    assert {path.name for path in folder.iterdir()} == {STATE, EXPERIENCE, TASKS, MARKER}
    state = read_state(folder)
    assert state.version == Version(0, 1)
    assert (state.flat_tokens, state.withheld_tokens) == (4, 0)
    memory = state.memory()
    kept = memory.baselines.cells["deduction/solve"]
    assert (kept.mean, kept.sequences) == (0.625, 4)

    world.experience.fill(1)
    assert source.take(1) is not None
    restarted = world.source(1)
    assert restarted._memory == memory


def test_a_checkpoint_holds_the_runs_configuration_and_card(tmp_path: Path) -> None:
    """From which a resume takes what a run's folder lost, its id of MLflow among it."""
    world = World(tmp_path)
    run = RunFolder(tmp_path)
    write_resolved(world.config, run.root)
    run.write(Card(name="one", started=5.0, mlflow="abc"))
    source = world.source()
    world.train(source, 0)
    folder = world.checkpoint(source, 1)
    run.write(Card(name="one", started=5.0, mlflow="abc", starts=2))
    assert load([str(folder / "config.yaml")]) == world.config
    assert RunFolder(folder).card() == Card(name="one", started=5.0, mlflow="abc")


def test_a_configuration_that_was_taken_away_keeps_no_checkpoint_from_being_written(tmp_path: Path) -> None:
    world = World(tmp_path)
    source = world.source()
    world.train(source, 0)
    assert {path.name for path in world.checkpoint(source, 1).iterdir()} == {MARKER, STATE, EXPERIENCE, TASKS}


def test_only_what_the_oldest_kept_checkpoint_could_undo_is_remembered(tmp_path: Path) -> None:
    world = World(tmp_path)
    source = world.source()
    world.learn(source, range(3))
    said = [call for call in world.experience.calls if call.startswith("keep")]
    assert said == ["keep 0 1", "keep 1", "keep 1 2", "keep 1 2", "keep 1 2 3", "keep 2 3"], "two, and the one begun"


def spared(*, snapshot: bool = True) -> Config:
    """Each second checkpoint is spared besides the two newest."""
    settings = config()
    settings.learner.keep_every = 2
    settings.checkpoint.snapshot = snapshot
    return settings


def test_checkpoints_that_are_spared_do_not_make_the_books_grow(tmp_path: Path) -> None:
    world = World(tmp_path, spared())
    source = world.source()
    sizes = []
    for step in range(12):
        world.learn(source, range(step, step + 1))
        sizes.append((len(world.experience.snapshot()), world.bodies))
    assert complete_steps(world.root) == [2, 4, 6, 8, 10, 11, 12]
    assert world.experience.books.book.checkpoints == [11, 12]
    assert [bodies for _, bodies in sizes[2:]] == [5] * 10, "of step 11, made by weights 11; step 12 is not done yet"
    assert sizes[11][0] < 1.2 * sizes[3][0]
    world.experience.books.assert_closed()


def test_a_resume_from_a_spared_checkpoint_takes_up_the_snapshots_that_lie_in_it(tmp_path: Path) -> None:
    world = World(tmp_path, spared())
    world.learn(world.source(), range(6))
    world.experience.calls.clear()
    world.go_back(2)
    restarted = world.source(2)
    assert world.experience.calls == ["restore", "resume 0.2 as 1"]
    assert world.tasks.calls == ["restore tasks", "resume 1.2"]
    assert world.hub.said[0] == "the journals do not go back to step 2, only to 5, 6: taking up the snapshots of step 2"
    assert world.experience.books.book.ledger.accounts[Cell("deduction", "solve")].trained.samples == 2 * 4
    world.learn(restarted, range(2, 6))
    assert world.experience.books.book.checkpoints == [5, 6]
    world.experience.books.assert_closed()


def test_a_resume_from_one_of_the_newest_needs_no_snapshot(tmp_path: Path) -> None:
    world = World(tmp_path, spared(snapshot=False))
    world.learn(world.source(), range(6))
    world.go_back(5)
    restarted = world.source(5)
    assert world.experience.calls[-1] == "resume 0.5 as 1"
    batch = restarted.take(5)
    assert batch is not None, "what was trained on behind the checkpoint is there again, bodies and all"
    world.experience.books.assert_closed()


def test_a_spared_checkpoint_without_snapshots_says_which_ones_the_journals_go_back_to(tmp_path: Path) -> None:
    world = World(tmp_path, spared(snapshot=False))
    world.learn(world.source(), range(6))
    world.go_back(2)
    complaint = "do not go back to step 2, only to 5, 6, and the checkpoint of step 2 was written without snapshots"
    with pytest.raises(AzrError, match=complaint):
        world.source(2)


def test_checkpoints_for_which_there_is_no_room_are_not_waited_for(tmp_path: Path) -> None:
    world = World(tmp_path)
    source = world.source()
    world.learn(source, range(2))
    for step in range(2, 9):
        world.train(source, step)
        source.write_state(step + 1, tmp_path)
        assert world.experience.books.book.checkpoints == [1, 2, step + 1]
    assert world.bodies == 2 * 5, "behind the two that stand"
    assert world.source(2).take(2) is not None


def test_what_is_no_whole_checkpoint_is_not_kept_for(tmp_path: Path) -> None:
    world = World(tmp_path)
    source = world.source()
    world.learn(source, range(2))
    (checkpoint_folder(world.root, 2) / MARKER).write_bytes(b"torn")
    restarted = world.source(1)
    world.train(restarted, 1)
    world.learn(restarted, range(2, 3))
    assert "keep 1 3" in world.experience.calls, "beside the one that is whole"
    assert world.experience.books.book.checkpoints == [1, 3], "the torn one takes no place"


def test_more_checkpoints_may_be_kept_than_the_books_go_back_to(tmp_path: Path) -> None:
    """`learner.keep_last` is raised between two drivers."""
    world = World(tmp_path, spared())
    world.learn(world.source(), range(6))
    world.config.learner.keep_last = 4
    source = world.source(6)
    world.learn(source, range(6, 7))
    assert complete_steps(world.root) == [2, 4, 5, 6, 7]
    assert world.experience.books.book.checkpoints == [5, 6, 7]


def test_lost_journals_are_replaced_by_the_snapshots_of_the_checkpoint(tmp_path: Path) -> None:
    world = World(tmp_path)
    source = world.source()
    for step in range(3):
        world.train(source, step)
    world.checkpoint(source, 3)
    empty = World(tmp_path)
    restarted = empty.source(3)
    assert empty.experience.calls[:2] == ["restore", "resume 0.3 as 1"]
    assert empty.tasks.calls == ["restore tasks", "resume 1.3"]
    assert restarted.lineage == 1
    empty.experience.books.assert_closed()


def test_lost_journals_of_a_run_that_was_resumed_before_are_replaced_under_a_lineage_never_used(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.train(world.source(), 0)
    source = world.source(0)
    assert source.lineage == 1
    for step in range(3):
        world.train(source, step)
    world.checkpoint(source, 3)
    empty = World(tmp_path)
    restarted = empty.source(3)
    assert empty.experience.calls[:2] == ["restore", "resume 1.3 as 2"]
    assert restarted.lineage == 2
    empty.experience.books.assert_closed()


@pytest.mark.parametrize("undone", [0, 1])
def test_a_lost_journal_of_the_tasks_alone_is_replaced_and_the_experience_stays(tmp_path: Path, undone: int) -> None:
    """Whether the books go on where they stand, or have a step to undo."""
    world = World(tmp_path)
    source = world.source()
    world.learn(source, range(2))
    for step in range(2, 2 + undone):
        world.train(source, step)
    world.experience.calls.clear()
    world.tasks.calls.clear()
    world.tasks.missing = ["tasks-0"]
    world.source(2)
    assert world.tasks.calls == ["restore tasks tasks-0", "resume 1.2"][: 1 + undone]
    assert world.experience.calls == ["resume 0.2 as 1"][:undone]
    told = "the journal of tasks-0 is lost, or older than the checkpoint of step 2: taking up its snapshot"
    assert world.hub.said[0] == told


def test_a_lost_journal_of_the_tasks_without_a_snapshot_is_an_error_that_names_it(tmp_path: Path) -> None:
    settings = config()
    settings.checkpoint.snapshot = False
    world = World(tmp_path, settings)
    world.learn(world.source(), range(2))
    world.tasks.missing = ["tasks-0", "tasks-1"]
    with pytest.raises(AzrError, match=r"the journal of tasks-0 and tasks-1 is lost, or older .* without snapshots"):
        world.source(2)


def test_lost_journals_are_replaced_at_the_first_checkpoint_too(tmp_path: Path) -> None:
    world = World(tmp_path)
    source = world.source()
    world.train(source, 0)
    world.checkpoint(source, 1)
    empty = World(tmp_path)
    empty.source(1)
    assert empty.experience.calls[:2] == ["restore", "resume 0.1 as 1"]
    assert empty.hub.said[0] == "the journals end at step 0: taking up the snapshots of step 1"


def test_a_journal_with_more_steps_but_fewer_lineages_than_the_checkpoint_is_of_another_time(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.train(world.source(), 0)
    source = world.source(0)
    world.train(source, 0)
    world.checkpoint(source, 1)
    older = World(tmp_path)
    first = RunSource(Setting(older.config, older.root, older.experience, older.tasks, older.hub))
    for step in range(2):
        older.train(first, step)
    restarted = older.source(1)
    assert older.experience.calls[-2:] == ["restore", "resume 1.1 as 2"]
    assert older.hub.said[0].startswith("the journals know lineage 0 at most, and weights 1.1 are of a later one:")
    assert restarted.lineage == 2


def test_a_checkpoint_of_a_branch_that_was_left_takes_its_snapshots_along_though_the_other_has_one_of_its_step(
    tmp_path: Path,
) -> None:
    """A person went back, and liked the first branch better after all."""
    world = World(tmp_path)
    world.learn(world.source(), range(3))
    first = checkpoint_folder(world.root, 3)
    shutil.copytree(first, tmp_path / "first")
    world.go_back(2)
    world.learn(world.source(2), range(2, 3))
    shutil.rmtree(first)
    shutil.copytree(tmp_path / "first", first)
    source = world.source(3)
    assert world.experience.calls[-2:] == ["restore", "resume 0.3 as 2"]
    told = "the journals are of another branch than weights 0.3, which were gone back behind: taking up the snapshots"
    assert world.hub.said[-2].startswith(told)
    world.train(source, 3)
    world.experience.books.assert_closed()


def test_steps_that_no_checkpoint_could_keep_end_the_run_and_not_just_the_ranks(tmp_path: Path) -> None:
    """Ranks that took their place would go back to step 50, find that the time is over, and end well."""
    world = World(tmp_path)
    observer = RunObserver(world.hub)
    observer.on_lost(70, 50, "runs/x/checkpoints had no room for the last checkpoint (step 70) for 600 s")
    observer.on_lost(4, 0, "no room")
    assert world.hub.failed == [
        "runs/x/checkpoints had no room for the last checkpoint (step 70) for 600 s; steps 51 to 70 are lost",
        "no room; steps 1 to 4 are lost",
    ]


def test_a_kill_between_two_shards_commits_is_undone_in_the_shard_that_went_ahead(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.experience = shards = LocalShards(world.config)
    source = world.source()
    world.train(source, 0)
    world.checkpoint(source, 1)
    shards.fill(1)
    assert source.take(1) is not None
    LocalExperience.commit(shards, Version(0, 1))
    assert [position.next_step for position in shards.positions()] == [2, 1]

    restarted = world.source(1)
    assert restarted.lineage == 1
    assert [(position.lineage, position.next_step) for position in shards.positions()] == [(1, 1), (1, 1)]
    assert restarted.take(1) is not None
    for part in (shards, shards.second):
        part.books.assert_closed()


def test_a_kill_between_two_shards_resumes_is_mended_by_one_more_lineage(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.experience = shards = LocalShards(world.config)
    source = world.source()
    for step in range(2):
        world.train(source, step)
        world.checkpoint(source, step + 1)
    world.train(source, 2)
    LocalExperience.resume(shards, Version(0, 2), 1)
    restarted = world.source(2)
    assert restarted.lineage == 2
    assert shards.ancestry() == shards.second.ancestry()
    assert restarted.take(2) is not None


def test_lost_journals_without_snapshots_are_an_error_that_says_so(tmp_path: Path) -> None:
    settings = config()
    settings.checkpoint.snapshot = False
    world = World(tmp_path, settings)
    source = world.source()
    for step in range(3):
        world.train(source, step)
    world.checkpoint(source, 3)
    with pytest.raises(AzrError, match="the journals end at step 0, and the checkpoint of step 3 was written without"):
        World(tmp_path, settings).source(3)


def test_a_state_with_a_count_that_is_no_longer_kept_is_read(tmp_path: Path) -> None:
    world = World(tmp_path)
    source = world.source()
    world.train(source, 0)
    folder = world.checkpoint(source, 1)
    now = msgspec.msgpack.decode((folder / STATE).read_bytes())
    (folder / STATE).write_bytes(msgspec.msgpack.encode(now | {"trained_tokens": 6}))
    assert read_state(folder).version == Version(0, 1)


def test_a_folder_of_another_kind_of_training_is_no_checkpoint_of_a_run(tmp_path: Path) -> None:
    world = World(tmp_path)
    checkpoint_folder(world.root, 5).mkdir()
    with pytest.raises(AzrError, match="is no checkpoint of a run"):
        world.source(5)
    (checkpoint_folder(world.root, 5) / STATE).write_bytes(b"\x00")
    with pytest.raises(AzrError, match="cannot be read"):
        world.source(5)
