"""What the driver decides by itself, without any part standing: its order, its signals, how it fails."""

from __future__ import annotations

import contextlib
import io
import itertools
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from azr.config import load, write_resolved
from azr.errors import AzrError, ConfigError
from azr.plugins import TRACKERS
from azr.run.beginning import begin
from azr.run.console import Console, Goal
from azr.run.driver import Driver
from azr.run.folder import RunFolder
from azr.run.hub import Drained, StepParts
from azr.run.learner_thread import LearnerFailedError
from azr.run.local_ray import RESUMED
from azr.run.stages import Stages, StageTimeoutError
from azr.run.stopping import StoppedError
from azr.run.summary import Ending
from azr.run.supervision import PartLostError
from azr.tiny import shipped
from learner.checkpoint import MARKER, LearnerState, checkpoint_folder
from tests.plugins import announce


def test_parts_get_the_embedded_model_by_its_folder_and_the_run_keeps_its_name(driver: Driver) -> None:
    assert driver.config.model.path == str(shipped.folder())
    assert driver.asked.model.path == "tiny"


def test_a_run_that_cannot_even_begin_to_be_tracked_can_be_resumed(
    tmp_path: Path, said: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    announce(tmp_path / "installed", "broken", {TRACKERS: {"broken": "nowhere_at_all:Tracker"}}, monkeypatch)
    config = load(["tiny"], [f"run.folder={tmp_path}", "tracking.plugins=[broken]", "checkpoint.free_gb=0"])
    folder = begin(config)
    with pytest.raises(ConfigError, match="'broken' cannot be loaded"):
        Driver(config, folder, Console(("deduction",), Goal(), stream=said, terminal=False)).run()
    assert folder.exists
    assert load([str(folder.config)]) == config


def test_a_model_that_is_not_there_is_refused_before_ray_starts(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    driver.config.model.path = str(tmp_path / "mistyped")
    monkeypatch.setattr("azr.run.driver.ray_of", lambda *_words: pytest.fail("Ray was started"))
    with contextlib.ExitStack() as stack, pytest.raises(AzrError, match="mistyped cannot be loaded") as refused:
        driver._play(stack, None)  # type: ignore[arg-type]
    assert "model.path" in refused.value.mend


def test_a_learner_that_failed_ends_every_wait_with_its_reason(driver: Driver) -> None:
    """For engines, for the first weights, for an evaluation and for seeds."""

    class Failed:
        def check(self) -> None:
            raise LearnerFailedError("the learner failed: PublishingFailedError: the registry is gone")

    with driver._stages.stage("engines", "1 engine", 60.0) as stage:
        assert 0.0 < driver._remaining(stage) <= 60.0, "before it is started nobody asks it"
        driver._learner = Failed()  # type: ignore[assignment]
        with pytest.raises(LearnerFailedError, match="the registry is gone"):
            driver._remaining(stage)


def test_a_signal_is_heard_while_services_read_their_journals(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Journals may be long: what is waited for is told, and the stage's own deadline counts."""

    class Started:
        wanted = 1

        def deploy(self) -> None:
            """Nor to start."""

        def stop(self, patience: float) -> None:
            """There is nothing to stop."""

    heard: list[float] = []
    rays: list[tuple[object, ...]] = []

    def ray_of(*words: object) -> contextlib.AbstractContextManager[None]:
        rays.append(words)
        return contextlib.nullcontext()

    def start(*_words: object, remaining: Callable[[], float], now: Callable[[str], None]) -> None:
        now("tasks-0 to read the journal")
        heard.append(remaining())
        driver._stop.signalled("Ctrl-C")
        remaining()

    monkeypatch.setattr("azr.run.driver.ray_of", ray_of)
    monkeypatch.setattr("azr.run.driver.check_ray", lambda: None)
    monkeypatch.setattr("azr.run.driver.start_hub", lambda _name: None)
    monkeypatch.setattr("azr.run.driver.open_engines", lambda *_words, **_options: Started())
    monkeypatch.setattr("azr.run.driver.services.start", start)
    monkeypatch.setattr(driver._stop, "listen_again", lambda: None)
    with contextlib.ExitStack() as stack, pytest.raises(StoppedError):
        driver._play(stack, None)  # type: ignore[arg-type]
    assert 590.0 < heard[0] <= driver.config.cluster.start_seconds == 600.0
    assert rays[0][-1] == RESUMED, "as the reaper tells for a driver that is killed"


@pytest.mark.parametrize(
    ("address", "order"),
    [
        ("", ["engines", "services", "ranks begin", "engines are waited for"]),
        ("auto", ["services", "ranks begin", *3 * ["no place yet"], "engines", "engines are waited for"]),
    ],
    ids=["a machine of its own", "a joined cluster"],
)
def test_in_a_cluster_ranks_have_their_places_before_engines_are_spread_over_its_nodes(
    address: str, order: list[str], driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ranks that shall be on one node find none with enough cards left where engines came first."""
    done: list[str] = []
    looks = iter([False, False, False, True])

    class Standing:
        wanted = 1

        def deploy(self) -> None:
            done.append("engines")

        def room(self) -> str:
            done.append("no place yet")
            return ""

        def ready(self, remaining: Callable[[], float], now: Callable[[str], None]) -> None:
            done.append("engines are waited for")
            raise StoppedError("seen enough")

        def stop(self, patience: float) -> None:
            """There is nothing to stop."""

    def services_start(*_words: object, **_options: object) -> SimpleNamespace:
        done.append("services")
        return SimpleNamespace(experience=None, tasks=None)

    class Ranks:
        def __init__(self, *_words: object) -> None:
            self.running = False

        def start(self) -> None:
            done.append("ranks begin")

        @property
        def placed(self) -> bool:
            return next(looks)

        def check(self) -> None:
            """Nothing is wrong."""

        def abandon(self) -> None:
            """Nobody to tell."""

    driver.config.cluster.address = address
    monkeypatch.setattr("azr.run.driver.ROUND_SECONDS", 0.0)
    monkeypatch.setattr("azr.run.driver.ray_of", lambda *_words: contextlib.nullcontext())
    monkeypatch.setattr("azr.run.driver.check_ray", lambda: None)
    monkeypatch.setattr("azr.run.driver.start_hub", lambda _name: None)
    monkeypatch.setattr("azr.run.driver.open_engines", lambda *_words, **_options: Standing())
    monkeypatch.setattr("azr.run.driver.services.start", services_start)
    monkeypatch.setattr("azr.run.driver.services.stop", lambda *_words: None)
    monkeypatch.setattr("azr.run.driver.LearnerThread", Ranks)
    monkeypatch.setattr(driver, "_plan", lambda *_words: None)
    monkeypatch.setattr(driver._stop, "listen_again", lambda: None)
    with contextlib.ExitStack() as stack, pytest.raises(StoppedError, match="seen enough"):
        driver._play(stack, None)  # type: ignore[arg-type]
    assert done == order


class Hub:
    """A hub that hears wishes to stop."""

    def __init__(self) -> None:
        self.wishes: list[str] = []

    def drain(self, stop: str, *, timeout: float) -> None:
        self.wishes.append(stop)


class Learner:
    """A learner that ends when it was waited for so often."""

    def __init__(self, waits: int) -> None:
        self.waits, self.abandoned = waits, False

    @property
    def running(self) -> bool:
        return self.waits > 0

    def wait(self, seconds: float) -> None:
        self.waits -= 1

    def abandon(self) -> None:
        self.abandoned = True


def test_a_learner_is_told_to_end_and_waited_for_before_ray_is_left(driver: Driver) -> None:
    hub, learner = Hub(), Learner(waits=3)
    driver._end_learner(hub, learner)  # type: ignore[arg-type]
    assert hub.wishes == ["the run failed"] * 3
    assert learner.abandoned, "how it ends is no error any more"


def test_a_learner_of_a_dead_ray_is_not_waited_for(driver: Driver) -> None:
    driver._rayless = True
    hub, learner = Hub(), Learner(waits=3)
    driver._end_learner(hub, learner)  # type: ignore[arg-type]
    assert (hub.wishes, learner.abandoned) == ([], True)


class Board:
    """A board that hears how a run ends."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def over(self, status: str) -> None:
        self.heard.append(status)


@pytest.mark.parametrize(
    ("error", "status", "ended", "told"),
    [
        (
            AzrError("the sandbox runs no program\x1b[31m", "look at its log"),
            "failed",
            "failed: the sandbox runs no program\\x1b[31m; mend: look at its log",
            "the run fails, taking everything down: the sandbox runs no program\\x1b[31m; mend: look at its log\n",
        ),
        (KeyboardInterrupt(), "stopped", "stopped", ""),
        (StoppedError("Ctrl-C"), "stopped", "stopped", ""),
    ],
)
def test_how_a_run_ends_is_noted_and_told_before_anything_is_taken_down(
    driver: Driver, said: io.StringIO, error: BaseException, status: str, ended: str, told: str
) -> None:
    board = Board()
    driver._end_early(error, board)  # type: ignore[arg-type]
    assert driver.folder.card().ended == ended
    assert (board.heard, said.getvalue()) == ([status], told)


def test_the_page_of_a_run_that_lost_a_part_is_written_before_anything_is_taken_down(driver: Driver) -> None:
    """A learner without places ends at no wish, and Ray may end the process with it."""
    driver.folder.metrics.write_text('{"step": 1, "time": 1.0}\n')
    driver._end_early(PartLostError("no answer from learner"), Board())  # type: ignore[arg-type]
    assert driver.folder.report.exists()


@pytest.mark.parametrize(
    ("goes_wrong", "told"), [(KeyboardInterrupt(), ""), (OSError("Serve is gone"), "not all was taken down: Serve is")]
)
class TestWhatGoesWrongWhileEverythingIsTakenDown:
    """A second Ctrl-C of somebody who does not want to wait for it, say."""

    def _run(self, driver: Driver, ended_by: BaseException | None, goes_wrong: BaseException) -> Ending:
        def play(stack: contextlib.ExitStack, _tracking: object) -> str:
            def take_down() -> None:
                raise goes_wrong

            stack.callback(take_down)
            if ended_by is not None:
                raise ended_by
            return "its steps are done"

        driver._play = play  # type: ignore[method-assign, assignment]
        driver.config.tracking.mlflow = "off"
        return driver.run()

    def test_leaves_a_run_that_failed_a_failed_one_with_its_first_error(
        self, driver: Driver, said: io.StringIO, goes_wrong: BaseException, told: str
    ) -> None:
        failed = AzrError("the sandbox runs no program", "look at its log")
        with pytest.raises(AzrError, match="the sandbox runs no program") as raised:
            self._run(driver, failed, goes_wrong)
        assert raised.value is failed
        assert driver.folder.card().ended.startswith("failed: the sandbox runs no program")
        assert told in said.getvalue()

    def test_leaves_a_run_that_finished_a_finished_one(
        self, driver: Driver, said: io.StringIO, goes_wrong: BaseException, told: str
    ) -> None:
        ending = self._run(driver, None, goes_wrong)
        assert (ending.status, ending.reason) == ("finished", "its steps are done")
        assert driver.folder.card().ended == "finished"
        assert told in said.getvalue()

    def test_leaves_a_run_that_was_stopped_a_stopped_one(
        self, driver: Driver, said: io.StringIO, goes_wrong: BaseException, told: str
    ) -> None:
        ending = self._run(driver, StoppedError("termination"), goes_wrong)
        assert (ending.status, ending.reason) == ("stopped", "termination, before training began")
        assert driver.folder.card().ended == "stopped"
        assert told in said.getvalue()


def test_a_driver_keeps_the_configuration_that_its_own_takes_the_place_of(driver: Driver) -> None:
    write_resolved(driver.asked, driver.folder.root)
    before = driver.folder.config.read_text()
    driver._card.latest.starts = 3
    driver.asked.run.minutes = 77.0
    driver.config.tracking.mlflow = "off"
    driver._play = lambda _stack, _tracking: "its steps are done"  # type: ignore[method-assign, assignment]
    driver.run()
    assert driver.folder.config_of(2).read_text() == before
    assert load([str(driver.folder.config)]).run.minutes == 77.0
    assert not {"run.folder", "run.name"} & set(driver._info().parameters)


def test_ranks_without_room_are_told_in_the_error_of_whoever_waits_for_their_weights(driver: Driver) -> None:
    class Crowded:
        def room(self) -> str:
            return " (asked of Ray: 2 x 1 GPU by the learner; free in the cluster: 0 of 8 GPUs)"

    hub, stages = Hub(), Stages(lambda _line: None, clock=partial(next, itertools.count(0.0)))
    with (
        pytest.raises(StageTimeoutError, match=r"for its first weights \(asked of Ray: 2 x 1 GPU .*: 0 of 8 GPUs\)"),
        stages.stage("learner", "its first weights", deadline=2.5) as stage,
    ):
        driver._until_published(hub, Crowded(), stage)  # type: ignore[arg-type]
    assert hub.wishes


class Silent:
    """A teller with nobody to tell."""

    def tell(self, steps: list[StepParts], loose: list[bytes]) -> None:
        assert not loose


def test_the_run_stands_where_the_newest_step_that_was_told_does(driver: Driver, said: io.StringIO) -> None:
    class Ahead:
        def drain(self, stop: str, *, playing: bool) -> Drained:
            return Drained([StepParts(6, {}), StepParts(7, {})], 7, ["a rank came back"], [])

    driver._listen(Ahead(), Silent())  # type: ignore[arg-type]
    assert driver.step == 7
    assert "a rank came back" in said.getvalue()


def kept(folder: RunFolder, step: int) -> None:
    """A checkpoint of this step."""
    at = checkpoint_folder(folder.checkpoints, step)
    at.mkdir(parents=True)
    (at / MARKER).write_bytes(msgspec.json.encode(LearnerState(step, step, "model")))


@pytest.mark.parametrize(
    ("checkpointed", "published", "stands"),
    [
        (10, 10, 10),  # ranks went back to it, and the time was over before the next step
        (15, 15, 15),
        (10, 15, 15),  # a folder on the network may not show yet what was written
        (15, 10, 15),  # nor has every word arrived
        (0, 0, 0),
    ],
)
def test_the_run_ends_at_the_step_whose_weights_were_kept(
    driver: Driver, said: io.StringIO, checkpointed: int, published: int, stands: int
) -> None:
    """What is evaluated, told and noted is of these weights, and not of steps that were undone."""
    driver.step, driver._published = 15, published
    if checkpointed:
        kept(driver.folder, checkpointed)
    driver._stand_at_last()
    assert driver.step == stands
    told = f"steps {stands + 1} to 15 were undone: the run ends with weights of step {stands}\n"
    assert said.getvalue() == (told if stands < 15 else "")


class Failing:
    """A hub that was told that the run cannot go on."""

    def drain(self, stop: str, *, playing: bool = False, timeout: float = 0.0) -> Drained:
        why = "no batch for step 3 within 80 s: nobody is at work"
        return Drained([], 0, ["the last news"], [], why, "look at the logs")


def test_a_run_that_cannot_go_on_ends_with_what_the_learner_said(driver: Driver) -> None:
    said = "no batch for step 3 within 80 s: nobody is at work\n  mend: look at the logs"
    with pytest.raises(AzrError, match=said):
        driver._listen(Failing(), Silent())  # type: ignore[arg-type]
    with pytest.raises(AzrError, match=said), driver._stages.stage("learner", "its first weights", 60.0) as stage:
        driver._until_published(Failing(), None, stage)  # type: ignore[arg-type]


def test_steps_that_a_learner_finishes_while_it_is_waited_for_are_told(driver: Driver) -> None:
    class Last:
        def drain(self, stop: str, *, timeout: float) -> Drained:
            return Drained([StepParts(8, {})], 8, [], [])

    class Hears:
        def tell(self, steps: list[StepParts], loose: list[bytes]) -> None:
            heard.extend(one.step for one in steps)
            raise AzrError("these are broken as well")

    heard: list[int] = []
    driver._teller = Hears()  # type: ignore[assignment]
    driver._end_learner(Last(), Learner(waits=1))  # type: ignore[arg-type]
    assert heard == [8]


def test_what_a_learner_says_while_it_is_waited_for_is_said(driver: Driver, said: io.StringIO) -> None:
    """That its last checkpoint found no room, say: nobody listens any more after that."""

    class Last:
        def drain(self, stop: str, *, timeout: float) -> Drained:
            return Drained([], 8, ["no checkpoint at step 8"], [], "there was no room for the last checkpoint", "")

    driver._end_learner(Last(), Learner(waits=3))  # type: ignore[arg-type]
    lines = said.getvalue().splitlines()
    assert lines.count("there was no room for the last checkpoint") == 1, "though every answer tells it"
    assert "no checkpoint at step 8" in lines


def test_the_learners_last_words_are_asked_for_until_the_hub_answers(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("azr.run.driver.check_ray", lambda: None)
    monkeypatch.setattr("azr.run.driver.ROUND_SECONDS", 0.0)
    answers = [None, None, Drained([], 8, [], [], "no sample was sound", "look at the loss")]

    class Busy:
        def drain(self, stop: str, *, playing: bool) -> Drained | None:
            return answers.pop(0)

    with pytest.raises(AzrError, match="no sample was sound"):
        driver._hear_out(Busy(), Silent())  # type: ignore[arg-type]
    monkeypatch.setattr("azr.run.driver.LAST_WORDS_SECONDS", 0.0)
    answers.append(None)
    driver._hear_out(Busy(), Silent())  # type: ignore[arg-type]


def test_a_hub_that_stays_silent_after_the_learners_end_keeps_a_run_no_longer_than_last_words_may_take(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not as long as parts may take to end, which is a minute."""

    class Gone:
        asked = 0

        def drain(self, stop: str, *, playing: bool) -> None:
            self.asked += 1

    class Ended(Learner):
        def check(self) -> None:
            """Nothing went wrong."""

    monkeypatch.setattr("azr.run.driver.check_ray", lambda: None)
    monkeypatch.setattr("azr.run.driver._running", lambda _polls: contextlib.nullcontext())
    monkeypatch.setattr("azr.run.driver.LAST_WORDS_SECONDS", 0.0)
    driver.config.cluster.stop_seconds = 1.0
    asks_nobody = SimpleNamespace(statistics=list)
    hosted, hub = SimpleNamespace(experience=asks_nobody, tasks=asks_nobody), Gone()
    driver._train(hub, asks_nobody, hosted, {}, Ended(waits=0), None)  # type: ignore[arg-type]
    assert hub.asked == 1


def test_ranks_that_find_no_place_again_are_waited_for_as_long_as_to_be_ready_and_by_name(
    driver: Driver, said: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their node was lost, and no other has room: Ray Train would ask for one for ever."""

    class Placeless(Learner):
        def require_places(self, room: Callable[[], str]) -> None:
            raise AzrError(f"its ranks wait for places{room()}")

        def wait(self, seconds: float) -> None:
            super().wait(seconds)
            time.sleep(seconds)

    quick = {"POLL_SECONDS": 0.01, "SILENT_SECONDS": 0.0, "ROUND_SECONDS": 0.01, "LAST_WORDS_SECONDS": 0.0}
    for name, seconds in quick.items():
        monkeypatch.setattr(f"azr.run.driver.{name}", seconds)
    monkeypatch.setattr("azr.run.driver.check_ray", lambda: None)
    patience = driver._supervision._others
    assert patience["learner"][:2] == (driver.config.cluster.start_seconds, "cluster.start_seconds")
    patience["learner"] = patience["learner"]._replace(seconds=0.05)
    quiet = SimpleNamespace(statistics=list)
    engines = SimpleNamespace(statistics=list, room=lambda: " (free: 0 GPUs)", follow=lambda _values: [])
    hosted, hub = SimpleNamespace(experience=quiet, tasks=quiet), SimpleNamespace(drain=lambda *_words, **_more: None)
    with pytest.raises(PartLostError, match=r"learner \(\d+ s: its ranks wait for places \(free: 0 GPUs\)\)") as lost:
        driver._train(hub, engines, hosted, {}, Placeless(waits=1000), None)  # type: ignore[arg-type]
    assert lost.value.mend.startswith(
        "have nodes with room join the cluster, or raise cluster.start_seconds; azr train --resume"
    )
    assert "learner does not answer; waiting for it to come back" in said.getvalue()
