"""What the run asks of its engines before any is started."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import msgspec
import pytest
from ray.exceptions import GetTimeoutError

from actors.engine.records import EngineStatistics
from actors.engine.settings import EngineSettings
from actors.rollout.deployment import Rollouts
from actors.rollout.replica import ReplicaStatus
from actors.weights.records import Member, State
from azr.config.root import Config
from azr.errors import AzrError
from azr.game.types import Version
from azr.run import engines
from azr.run.engines import Engines, open_engines, transport_of, weights_folder
from azr.run.local_ray import driver_name
from azr.run.shares import Asked


def engines_of(config: Config, folder: Path) -> Engines:
    """Engines as the run knows them, of which nobody has started any."""
    settings = EngineSettings.of(str(folder), config.rollout, config.weights, seed=0, gpu=False)
    return Engines(config, Rollouts("engines", settings, folder), Asked(config, settings))


def test_versions_lie_in_a_folder_of_this_driver_also_below_one_that_the_user_names(tmp_path: Path) -> None:
    config = Config()
    assert weights_folder(config) == Path(f"/dev/shm/azr-{driver_name(config)}")
    config.weights.folder = str(tmp_path)
    assert weights_folder(config) == tmp_path / f"azr-{driver_name(config)}"


class TestWhereTheDriversMachineHasNoGpu:
    """As on the head of a cluster: `nvidia-smi` is not there."""

    @pytest.fixture(autouse=True)
    def head(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("shutil.which", lambda _program: None)

    def test_engines_of_a_joined_cluster_with_gpus_are_set_up_for_them(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        opened: list[EngineSettings] = []

        def opening(_name: str, settings: EngineSettings, **_options: object) -> Rollouts:
            opened.append(settings)
            return Rollouts("engines", settings, tmp_path)

        monkeypatch.setattr("ray.cluster_resources", lambda: {"CPU": 8.0, "GPU": 2.0})
        monkeypatch.setattr(Rollouts, "open", opening)
        config = Config()
        config.cluster.address = "auto"
        made = open_engines(config)
        publishing = made.publishing()
        assert made.gpu, "the learner hears it from them"
        (settings,) = opened
        assert (settings.gpu, settings.dtype, settings.transport) == (True, "bfloat16", "nccl")
        assert (publishing.dtype, publishing.transport) == ("bfloat16", "nccl")
        assert "CUDA_VISIBLE_DEVICES" not in settings.environment(), "an empty one would hide every card"

    def test_a_run_that_counts_on_gpus_does_not_begin_on_cores(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """As in `.venv`, whose packages use no card that there may be."""
        monkeypatch.setattr("ray.cluster_resources", lambda: {"CPU": 8.0})
        monkeypatch.setattr(Rollouts, "open", lambda *_words, **_options: pytest.fail("they were started"))
        config = Config()
        config.cluster.gpu = "H100-80GB"
        with pytest.raises(AzrError, match=r"cluster\.gpu names H100-80GB, and no GPU can be used here"):
            open_engines(config, ranks=1)


@pytest.mark.parametrize(
    ("named", "cards", "taken"), [("auto", 0.0, "shm"), ("auto", 1.0, "auto"), ("nccl", 0.0, "nccl")]
)
def test_nothing_is_sent_from_cards_that_the_learner_has_none_of(named: str, cards: float, taken: str) -> None:
    config = Config()
    config.weights.transport, config.cluster.learner_gpus = named, cards
    assert transport_of(config) == taken


def test_engines_that_leave_the_learner_no_card_are_not_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("azr.run.gpus.has_gpu", lambda: True)
    monkeypatch.setattr("ray.cluster_resources", lambda: {"CPU": 8.0, "GPU": 1.0})
    monkeypatch.setattr(Rollouts, "open", lambda *_words, **_options: pytest.fail("they were started"))
    with pytest.raises(AzrError, match=r"cluster\.learner_gpus.*rollout\.gpus_per_replica"):
        open_engines(Config(), ranks=1)


class TestUntilEnginesServe:
    """What is told while they are waited for, which the time-out's error tells as well."""

    def _told(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, rounds: list[list[Member]], *lost: Member) -> str:
        """What was told last of two engines that serve after these rounds."""
        config, told = Config(), list[str]()
        config.rollout.replicas = 2
        seen = iter(rounds)
        monkeypatch.setattr(Rollouts, "members", lambda _self: next(seen))
        monkeypatch.setattr(Rollouts, "lost", lambda _self: list(lost))
        monkeypatch.setattr(engines, "LOOK_SECONDS", 0.0)
        engines_of(config, tmp_path).ready(lambda: 1.0, told.append)
        assert next(seen, None) is None
        return told[-1]

    def test_who_is_missing(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        one, two = Member(name="r1", state="serving"), Member(name="r2", state="starting")
        rounds = [[two], [one, two], [one, msgspec.structs.replace(two, state="serving")]]
        told = self._told(monkeypatch, tmp_path, rounds)
        assert told == "1 of 2 engines to serve, 1 make their engine"

    def test_why_one_was_lost_last(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        lost = [
            Member(name="r1", state="lost", why="its process ended"),
            Member(name="r2", state="lost", why="r2: no engine: there is no model folder /x\x1b[31m"),
        ]
        serving = [Member(name=name, state="serving") for name in ("r3", "r4")]
        told = self._told(monkeypatch, tmp_path, [[], serving], *lost)
        assert told == (
            "2 of 2 engines to serve, 0 make their engine "
            "(r2 was lost: no engine: there is no model folder /x\\x1b[31m)"
        )

    def test_that_none_can_be_made_is_an_error_at_once_and_not_when_the_time_is_over(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        lost = [
            Member(name=f"r{number}", state="lost", unmade=True, why=f"r{number}: no engine: ValueError: no room")
            for number in range(3)
        ]
        with pytest.raises(AzrError, match=r"^3 times no engine could be made: ValueError: no room\n"):
            self._told(monkeypatch, tmp_path, [[]], *lost)
        serving = [Member(name=name, state="serving") for name in ("r3", "r4")]
        assert "no engine: ValueError" in self._told(monkeypatch, tmp_path, [[], serving], *lost[:2])

    def test_what_is_asked_of_a_cluster_beside_what_it_has(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(Asked, "beside", lambda _self: " (asked of Ray: 2 x 1 GPU)")
        serving = [Member(name=name, state="serving") for name in ("r1", "r2")]
        told = self._told(monkeypatch, tmp_path, [[], serving])
        assert told == "2 of 2 engines to serve, 0 make their engine (asked of Ray: 2 x 1 GPU)"


def test_that_no_engine_answers_is_an_error_which_says_who_is_missing_and_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Rollouts, "statuses", lambda _self: [])
    monkeypatch.setattr(Rollouts, "members", lambda _self: [Member(name="r2", state="starting")])
    monkeypatch.setattr(Rollouts, "lost", lambda _self: [Member(name="r1", state="lost", why="its process ended")])
    with pytest.raises(AzrError, match=r"1 of 1 engines to serve, 1 make .*\(r1 was lost: its process ended\)"):
        engines_of(Config(), tmp_path).statistics()


def test_a_role_that_no_engine_serves_is_one_however_many_make_theirs_stand_by_or_serve_the_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = Config()
    config.rollout.separate_roles = True

    def status(pool: str, state: State) -> ReplicaStatus:
        return ReplicaStatus(
            name=f"{pool}-{state}",
            pool=pool,
            state=state,
            version=Version(0, 0),
            checksum="",
            engine=EngineStatistics(),
        )

    told = [status("solve", "serving"), status("propose", "starting"), status("propose", "standby")]
    monkeypatch.setattr(Rollouts, "statuses", lambda _self: told)
    monkeypatch.setattr(Rollouts, "members", lambda _self: [])
    monkeypatch.setattr(Rollouts, "lost", lambda _self: [])
    with pytest.raises(AzrError, match="2 of 2 engines to serve"):
        engines_of(config, tmp_path).statistics()
    told.append(status("propose", "serving"))
    monkeypatch.setattr(Rollouts, "replaced", lambda _self: 3)
    stand = engines_of(config, tmp_path).statistics()
    assert (len(stand.engines), list(stand.states.values()).count("serving"), stand.lost) == (4, 2, 3)


class TestTheNumberOfEnginesFollowsWhoWaits:
    @pytest.fixture
    def scaled(self, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str]]:
        """What Serve is asked for."""
        asked: list[tuple[int, str]] = []
        monkeypatch.setattr(Rollouts, "scale", lambda _self, count, *, pool: asked.append((count, pool)))
        return asked

    def _engines(self, tmp_path: Path, *, most: int, separate: bool = False) -> Engines:
        config = Config()
        config.rollout.replicas, config.rollout.max_replicas = 1, most
        config.rollout.separate_roles = separate
        return engines_of(config, tmp_path)

    def _follow(self, engines: Engines, steps: int, *, wait: float, idle: float) -> list[str]:
        """What is told in so many steps, each of which comes when Serve has answered what the one before it asked."""
        told: list[str] = []
        for _ in range(steps):
            told += engines.follow({"perf/learner_idle": wait, "perf/rollout_idle": idle})
            if engines._wish:
                engines._wish.wait(60.0)
        return told

    def test_a_learner_that_waits_gets_one_more_and_the_console_is_told(
        self, tmp_path: Path, scaled: list[tuple[int, str]]
    ) -> None:
        engines = self._engines(tmp_path, most=2)
        assert self._follow(engines, 20, wait=0.6, idle=0.0) == ["from 1 to 2 engines: the learner waits for data"]
        assert scaled == [(2, "shared")]

    def test_an_idle_one_goes_again(self, tmp_path: Path, scaled: list[tuple[int, str]]) -> None:
        engines = self._engines(tmp_path, most=2)
        self._follow(engines, 8, wait=0.6, idle=0.0)
        assert self._follow(engines, 20, wait=0.0, idle=0.9) == ["from 2 to 1 engines: engines are idle"]
        assert scaled == [(2, "shared"), (1, "shared")]

    def test_solvers_engines_are_scaled_where_proposers_have_their_own(
        self, tmp_path: Path, scaled: list[tuple[int, str]]
    ) -> None:
        self._follow(self._engines(tmp_path, most=2, separate=True), 20, wait=0.6, idle=0.0)
        assert scaled == [(2, "solve")]

    def test_nothing_changes_where_no_most_is_set_or_nothing_was_told(
        self, tmp_path: Path, scaled: list[tuple[int, str]]
    ) -> None:
        assert self._follow(self._engines(tmp_path, most=0), 20, wait=0.6, idle=0.0) == []
        engines = self._engines(tmp_path, most=2)
        assert [engines.follow({}) for _ in range(20)] == [[]] * 20
        assert scaled == []

    def test_a_serve_that_does_not_answer_holds_nobody_up_and_is_asked_nothing_more(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked, answer = list[int](), threading.Event()

        def stuck(_self: Rollouts, count: int, *, pool: str) -> None:
            asked.append(count)
            assert answer.wait(60.0), f"{pool} was never answered"

        monkeypatch.setattr(Rollouts, "scale", stuck)
        engines, began = self._engines(tmp_path, most=3), time.monotonic()
        values = {"perf/learner_idle": 0.6, "perf/rollout_idle": 0.0}
        told = [line for _ in range(20) for line in engines.follow(values)]
        assert time.monotonic() - began < 30.0
        assert [line.partition(":")[0] for line in told] == ["from 1 to 2 engines", "from 2 to 3 engines"]
        answer.set()
        assert engines._wish
        engines._wish.wait(60.0)
        assert asked == [2]
        self._follow(engines, 1, wait=0.6, idle=0.0)
        assert asked == [2, 3], "what was decided meanwhile is asked afterwards"

    def test_what_was_not_taken_is_said_and_asked_once_more_after_the_next_step(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answers = [GetTimeoutError("nobody answered"), None]
        asked: list[int] = []

        def flaky(_self: Rollouts, count: int, *, pool: str) -> None:
            asked.append(count)
            if error := answers.pop(0):
                raise error

        monkeypatch.setattr(Rollouts, "scale", flaky)
        engines = self._engines(tmp_path, most=2)
        assert self._follow(engines, 8, wait=0.6, idle=0.0) == ["from 1 to 2 engines: the learner waits for data"]
        said = engines.follow({})
        assert said == ["2 engines were not taken, trying again: GetTimeoutError: nobody answered"]
        assert self._follow(engines, 3, wait=0.6, idle=0.0) == []
        assert asked == [2, 2]

    def test_what_is_still_being_asked_is_over_before_all_are_ended(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        order: list[str] = []

        def slow(_self: Rollouts, _count: int, *, pool: str) -> None:
            time.sleep(0.3)
            order.append(f"{pool} scaled")

        monkeypatch.setattr(Rollouts, "scale", slow)
        monkeypatch.setattr(Rollouts, "stop", lambda _self: order.append("stopped"))
        engines = self._engines(tmp_path / "engines", most=2)
        for _ in range(8):
            engines.follow({"perf/learner_idle": 0.6, "perf/rollout_idle": 0.0})
        engines.stop(60.0)
        assert order == ["shared scaled", "stopped"]
