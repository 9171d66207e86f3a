"""What benchmarks read of a finished run, worked out by hand on a folder written by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from azr.bench import Report
from azr.errors import AzrError, UsageError
from azr.run.evaluation import Evaluation, keep
from azr.run.folder import Card, RunFolder
from azr.run.tracking.json_lines import JsonLines
from benchmarks.asynchrony import idle_gap, implied_idle, phases, seconds_of
from benchmarks.learning import ARMS, chosen, compare, interval, malformed, tell
from benchmarks.run_folder import Asked, Outcome, carry_out, outcome, settle
from tests.run.test_evaluation import AFTER, BEFORE, row


def finished(tmp_path: Path, name: str = "default-0", ended: str = "finished") -> Path:
    folder = RunFolder(tmp_path / name)
    folder.create(Card(name=name, started=0.0, ended=ended))
    sampled_after = [*AFTER, row("deduction/solve", "sampled", 0.5, difficulty="harder")]
    sampled_before = [*BEFORE, row("deduction/solve", "sampled", 0.25, difficulty="harder")]
    keep(folder.evaluations, Evaluation(step=0, seconds=1.0, rows=sampled_before))
    keep(folder.evaluations, Evaluation(step=9, seconds=1.0, rows=sampled_after))
    lines = JsonLines(folder.metrics, print)
    for step in range(1, 11):
        values = {"learner/step": float(step), "time/wait_for_batch": 2.0, "time/update": 1.0, "perf/learner_idle": 0.1}
        lines.metrics(step, values, 100.0 + 3.0 * step)
    return folder.root


def read(folder: Path) -> Outcome:
    found = outcome(folder)
    assert found is not None
    return found


def test_gains_are_points_between_the_first_and_the_last_evaluation(tmp_path: Path) -> None:
    found = read(finished(tmp_path))
    assert found.gain("greedy") == pytest.approx(
        100 * ((0.6 * 100 + 0.2 * 300 + 0.3 * 100) / 500 - (0.5 * 100 + 0.1 * 300) / 400)
    )
    assert found.gain("sampled") == pytest.approx(15.0)
    assert found.gain("sampled", "harder") == pytest.approx(25.0)
    assert found.gains_by_type("sampled") == {"deduction": pytest.approx(15.0)}


def test_a_run_without_both_evaluations_has_no_gain(tmp_path: Path) -> None:
    found = read(finished(tmp_path))
    for evaluations in ([], found.evaluations[1:], found.evaluations[1:] * 2):
        lone = found._replace(evaluations=evaluations)
        with pytest.raises(AzrError, match=r"no evaluations of two different steps \(of steps: (none|9|9, 9)\)"):
            lone.gain("sampled")
        with pytest.raises(AzrError, match="no evaluations of two different steps"):
            lone.gains_by_type("sampled")


def test_metrics_are_read_by_name_with_the_warm_up_left_out(tmp_path: Path) -> None:
    found = read(finished(tmp_path))
    assert found.mean("learner/step", skip=8) == 9.5
    assert found.last("learner/step") == 10.0
    with pytest.raises(AzrError, match="no values of perf/mfu"):
        found.mean("perf/mfu")


def test_time_counts_from_the_end_of_the_warm_up(tmp_path: Path) -> None:
    found = read(finished(tmp_path))
    assert seconds_of(found, skip=5) == pytest.approx(15.0)
    assert phases(found) == (2.0, 1.0)


class TestReuse:
    ASKED = Asked(("run.minutes=10", "run.seed=0"), "abc")

    def test_a_run_is_read_again_only_for_what_it_was_made_for(self, tmp_path: Path) -> None:
        settle(tmp_path / "default-0", self.ASKED, begun=False)
        settle(tmp_path / "default-0", self.ASKED, begun=True)

    @pytest.mark.parametrize(
        ("asked", "said"),
        [
            (Asked(("run.minutes=20", "run.seed=0"), "abc"), r"- run\.minutes=10, \+ run\.minutes=20"),
            (Asked(("run.minutes=10", "run.seed=0", "a=1"), "abc"), r"otherwise: \+ a=1\n"),
            (Asked(("run.minutes=10", "run.seed=0"), "def"), "otherwise: commit abc -> def\n"),
            (Asked(("run.minutes=10", "run.seed=0"), "abc+"), r"commit abc -> abc\+"),
            (Asked(("run.seed=0", "run.minutes=10"), "abc"), "the same words in another order"),
        ],
    )
    def test_other_settings_and_other_code_are_refused_by_name(self, tmp_path: Path, asked: Asked, said: str) -> None:
        settle(tmp_path / "default-0", self.ASKED, begun=False)
        with pytest.raises(AzrError, match=said):
            settle(tmp_path / "default-0", asked, begun=True)

    def test_a_run_of_which_nobody_knows_what_it_was_asked_for_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(AzrError, match="commit unknown -> abc"):
            settle(tmp_path / "default-0", self.ASKED, begun=True)

    def test_a_run_that_never_began_is_asked_for_anew(self, tmp_path: Path) -> None:
        settle(tmp_path / "default-0", self.ASKED, begun=False)
        settle(tmp_path / "default-0", Asked((), "def"), begun=False)
        settle(tmp_path / "default-0", Asked((), "def"), begun=True)

    def test_a_finished_run_of_other_words_is_not_taken_for_the_result(self, tmp_path: Path) -> None:
        folder = finished(tmp_path)
        settle(folder, Asked.now(["run.minutes=10"]), begun=False)
        assert carry_out(folder, ["run.minutes=10"]).last("learner/step") == 10.0
        with pytest.raises(AzrError, match="asked for otherwise"):
            carry_out(folder, ["run.minutes=1"])


def test_a_run_that_did_not_finish_is_none(tmp_path: Path) -> None:
    assert outcome(tmp_path / "nothing") is None
    assert outcome(finished(tmp_path, "stopped", ended="stopped")) is None


def test_an_arm_is_told_with_its_goals(tmp_path: Path) -> None:
    report = Report("learning", "azr bench learning")
    tell(report, "default", [read(finished(tmp_path))])
    result = report.result()
    goals = {goal.name: goal.met for goal in result.goals}
    assert goals == {
        "gain sampled": True,
        "gain greedy": True,
        "malformed answers of the base": True,
        "gain of the task type that gains least": True,
    }


def test_an_hour_must_gain_more_than_ten_minutes_and_other_bounds_promise_no_gain(tmp_path: Path) -> None:
    def wanted(minutes: float) -> list[str]:
        report = Report("learning", "azr bench learning")
        tell(report, "default", [read(tmp_path / "default-0")], minutes=minutes)
        return [goal.wanted for goal in report.result().goals if goal.name in ("gain sampled", "gain greedy")]

    finished(tmp_path)
    assert wanted(10.0) == [">= 8 points", ">= 3 points"]
    assert wanted(60.0) == [">= 15 points", ">= 8 points"]
    assert wanted(20.0) == wanted(0.0) == []


def test_the_base_is_malformed_as_its_sampled_answers_to_common_tasks_were(tmp_path: Path) -> None:
    found = read(finished(tmp_path))
    assert malformed(found) == pytest.approx(0.01)
    assert malformed(found._replace(evaluations=[Evaluation(step=0, seconds=1.0, rows=[])])) == 1.0


def test_the_interval_of_paired_differences_by_hand() -> None:
    """Mean 2, standard deviation 1, three pairs: 2 ± 2.920/√3."""
    low, high = interval([1.0, 2.0, 3.0])
    assert (low, high) == (pytest.approx(2 - 2.920 / 3**0.5), pytest.approx(2 + 2.920 / 3**0.5))
    assert interval([1.0]) == (float("-inf"), float("inf")), "one seed shows nothing"
    assert interval([5.0] * 40) == (5.0, 5.0)


def test_equal_samples_are_compared_seed_by_seed(tmp_path: Path) -> None:
    outcomes = [read(finished(tmp_path, f"one-{seed}")) for seed in range(3)]
    report = Report("learning", "azr bench learning")
    compare(report, outcomes, outcomes)
    assert [(goal.met, goal.value) for goal in report.result().goals] == [(True, 0.0)]


def test_who_is_faster_idles_as_the_rates_imply(tmp_path: Path) -> None:
    """Generating takes 2 s and learning 1 s a step: at once, the learner idles half the time and the engine never."""
    assert implied_idle(2.0, 1.0) == {"perf/learner_idle": 0.5, "perf/rollout_idle": 0.0}
    assert implied_idle(1.0, 4.0) == {"perf/learner_idle": 0.0, "perf/rollout_idle": 0.75}
    assert idle_gap(read(finished(tmp_path)), 2.0, 1.0) == pytest.approx(0.4), "the folder's learner idles for a tenth"


def test_arms_have_names_of_their_own_and_unknown_ones_are_refused() -> None:
    assert len({arm.name for arm in ARMS}) == len(ARMS)
    assert [arm.name for arm in chosen("paper,default")] == ["paper", "default"]
    with pytest.raises(UsageError, match="did you mean 'shuffled'"):
        chosen("shufled")


def test_every_arm_is_a_configuration_that_loads() -> None:
    from azr.config import load

    for arm in ARMS:
        load(["tiny"], arm.overrides)
