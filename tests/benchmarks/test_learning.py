"""What the learning study tells of its runs, worked out by hand on runs written by hand."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from azr.advantages import Baselines, compute
from azr.bench import Report, Result, read_result
from azr.bench.runner import write_result
from azr.config import load
from azr.errors import AzrError, UsageError
from azr.game.batch import loss_weights
from azr.game.frames import frame
from azr.game.play import propose_prompt
from azr.game.tasks import Ask, task_type
from azr.run.evaluation import Evaluation
from azr.run.plan import plan_lines
from azr.tiny.held_out import held_out_tasks
from azr.tiny.shipped import resolve
from benchmarks.learning import ARMS, add_arguments, chosen, compare, interval, malformed, run, tell
from benchmarks.learning_record import curve, record
from benchmarks.run_folder import Arm, Asked, Outcome
from tests.advantages.examples import PROPOSE, SOLVE, samples
from tests.benchmarks.written_runs import read, write_run


def test_an_arm_is_told_with_its_goals(tmp_path: Path) -> None:
    report = Report("learning", "azr bench learning")
    tell(report, "default", [read(write_run(tmp_path / f"default-{seed}")) for seed in range(5)])
    result = report.result()
    goals = {goal.name: goal.met for goal in result.goals}
    assert goals == {
        "gain sampled": True,
        "gain greedy": True,
        "malformed answers of the base": True,
        "gain of the task type that gains least, low end": True,
        "gain of the task type that gains least, greedy, low end": True,
        "proposals: 4 p (1 - p), last fifth less first": True,
    }


def test_an_hour_must_gain_more_than_ten_minutes_and_other_bounds_promise_no_gain(tmp_path: Path) -> None:
    def wanted(minutes: float) -> list[str]:
        report = Report("learning", "azr bench learning")
        tell(report, "default", [read(tmp_path / "default-0")] * 5, minutes=minutes)
        return [goal.wanted for goal in report.result().goals if goal.name in ("gain sampled", "gain greedy")]

    write_run(tmp_path / "default-0")
    assert wanted(10.0) == [">= 8 points", ">= 3 points"]
    assert wanted(60.0) == [">= 15 points", ">= 8 points"]
    assert wanted(20.0) == wanted(0.0) == []


@pytest.mark.parametrize(("arm", "enough"), [("default", 5), ("shuffled", 2)])
def test_fewer_seeds_than_a_promise_is_of_are_measured_and_not_judged(tmp_path: Path, arm: str, enough: int) -> None:
    found = read(write_run(tmp_path / f"{arm}-0"))
    for seeds in range(1, enough + 1):
        report = Report("learning", "azr bench learning")
        tell(report, arm, [found] * seeds)
        result = report.result()
        assert len(result.measures[0].rounds) == seeds
        assert bool(result.goals) == (seeds == enough)
    report = Report("learning", "azr bench learning")
    tell(report, arm, [found] * enough, judged=False)
    assert report.result().goals == ()


def test_the_base_is_malformed_as_its_sampled_answers_to_common_tasks_were(tmp_path: Path) -> None:
    found = read(write_run(tmp_path / "default-0"))
    assert malformed(found) == pytest.approx(0.01)
    assert malformed(found._replace(evaluations=[Evaluation(step=0, seconds=1.0, rows=[])])) == 1.0


def test_the_interval_of_paired_differences_by_hand() -> None:
    """Mean 2, standard deviation 1, three pairs: 2 ± 2.920/√3."""
    low, high = interval([1.0, 2.0, 3.0])
    assert (low, high) == (pytest.approx(2 - 2.920 / 3**0.5), pytest.approx(2 + 2.920 / 3**0.5))
    assert interval([1.0]) == (float("-inf"), float("inf")), "one seed shows nothing"
    assert interval([5.0] * 40) == (5.0, 5.0)


def test_a_type_that_gains_in_the_mean_alone_does_not_rise() -> None:
    """+1.1, +0.0 and +0.6 are 0.6 in the mean, and their interval holds 0."""
    low, high = interval([1.1, 0.0, 0.6])
    assert low < 0.0 < high


def seeds(tmp_path: Path, arm: str, gains: list[float]) -> dict[int, Outcome]:
    return {seed: read(write_run(tmp_path / f"{arm}-{seed}", gain=gain)) for seed, gain in enumerate(gains)}


class TestComparing:
    def told(self, found: dict[str, dict[int, Outcome]], steps: int = 0) -> Result:
        report = Report("learning", "azr bench learning")
        compare(report, found, steps=steps)
        return report.result()

    def test_equal_samples_are_compared_seed_by_seed(self, tmp_path: Path) -> None:
        both = [0.1, 0.2, 0.1, 0.2, 0.1]
        found = {"default": seeds(tmp_path, "default", both), "eta0": seeds(tmp_path, "eta0", [*both, 0.9])}
        result = self.told(found, steps=100)
        assert result.measures[0].rounds == pytest.approx((0.0,) * 5), "the sixth seed has no other"
        assert [(goal.met, goal.value) for goal in result.goals] == [(True, 0.0)]

    def test_four_seeds_of_each_are_compared_and_not_judged(self, tmp_path: Path) -> None:
        found = {arm: seeds(tmp_path, arm, [0.1] * 4) for arm in ("default", "eta0")}
        result = self.told(found, steps=100)
        assert (len(result.measures[0].rounds), result.goals) == (4, ())

    def test_runs_of_equal_time_promise_no_equality(self, tmp_path: Path) -> None:
        found = {"default": seeds(tmp_path, "default", [0.1, 0.2]), "eta0": seeds(tmp_path, "eta0", [0.1, 0.2])}
        assert self.told(found).goals == ()

    def test_uncorrected_data_must_be_worse_by_more_than_chance(self, tmp_path: Path) -> None:
        """Differences of 9, 10 and 11 points: 10 - 2.920/√3 at the low end."""
        corrected = seeds(tmp_path, "eta16", [0.19, 0.20, 0.21])
        found = {"eta16": corrected, "eta16-uncorrected": seeds(tmp_path, "eta16-uncorrected", [0.10] * 3)}
        [goal] = self.told(found).goals
        assert (goal.met, goal.value) == (True, pytest.approx(10 - 2.920 / 3**0.5))

    def test_one_seed_shows_nothing_and_is_only_written_down(self, tmp_path: Path) -> None:
        found = {"default": seeds(tmp_path, "default", [0.2]), "own-answers": seeds(tmp_path, "own-answers", [0.1])}
        result = self.told(found, steps=100)
        assert [measure.rounds for measure in result.measures] == [pytest.approx((10.0,))]
        assert (result.goals, result.notes) == ((), ())


class TestOwnAnswers:
    """The arm that is supervised by the model's own right answers."""

    def test_right_attempts_weigh_one_each_and_nothing_else_weighs_anything(self) -> None:
        [arm] = chosen("own-answers")
        algorithm = load(["tiny"], arm.overrides).algorithm
        given = samples(
            (SOLVE, "a", 1.0, 5), (SOLVE, "a", -0.5, 5), (SOLVE, "b", 1.0, 9), (SOLVE, "b", 1.0, 2),
            (SOLVE, "c", -1.0, 3), (PROPOSE, "p", 1.0, 7), (PROPOSE, "q", -1.0, 7),
        )  # fmt: skip
        advantages, _ = compute(given, algorithm.advantages, Baselines())
        solving = [0, 1, 2, 3, 4]
        assert advantages.values[solving].tolist() == [1.0, 0.0, 1.0, 1.0, 0.0]
        assert advantages.trained[solving].tolist() == [True, False, True, True, False], "a flat group counts as well"
        weights = loss_weights([given.cells[cell] for cell in given.cell], algorithm)
        assert weights.tolist() == [1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0]

    def test_its_loss_is_the_log_likelihood_and_its_batches_are_the_defaults(self) -> None:
        [arm] = chosen("own-answers")
        own, default = load(["tiny"], arm.overrides), load(["tiny"])
        assert (own.algorithm.loss.name, own.algorithm.loss.weight) == ("reinforce", "none")
        for name in ("batch ", "rating", "players", "staleness", "queues"):
            [mine], [theirs] = ([line for line in plan_lines(each) if line.startswith(name)] for each in (own, default))
            assert mine == theirs


class TestPaper:
    """The arm that plays the published algorithm."""

    def test_it_differs_from_the_published_algorithm_in_what_the_study_names_and_in_nothing_else(self) -> None:
        [arm] = chosen("paper")
        arms, published = load(["tiny"], arm.overrides), load([], ["algorithm=paper"])
        sections = ("algorithm", "gating", "lengths", "buffers", "staleness", "seeding", "safety")
        differs = {
            f"{section}.{key}": (value, theirs[key])
            for section in sections
            for theirs in [_flat(asdict(getattr(published, section)))]
            for key, value in _flat(asdict(getattr(arms, section))).items()
            if value != theirs[key]
        }
        assert differs == {
            "algorithm.optimiser.lr": (5e-5, 1e-6),
            "algorithm.batch.patience_seconds": (5.0, 60.0),
            "lengths.output": (64, 400),
            "lengths.prompt": (384, 6144),
            "lengths.content": (384, 5600),
            "lengths.response": (128, 8096),
            "gating.induction_inputs": (6, 10),
            "gating.induction_shown": (3, 5),
            "seeding.triplets": (64, 256),
            "seeding.inductions": (64, 256),
        }

    @pytest.mark.parametrize("difficulty", ["common", "harder"])
    @pytest.mark.parametrize("kind", ["deduction", "abduction"])
    def test_its_six_references_fit_into_the_tiny_models_prompts(self, difficulty: str, kind: str) -> None:
        """Even the six longest of the held-out tasks leave a third of the room."""
        from transformers import AutoTokenizer

        config = load(["tiny"], chosen("paper")[0].overrides)
        tokenizer: Any = AutoTokenizer.from_pretrained(resolve("tiny"))
        tasks = sorted(held_out_tasks(difficulty, kind), key=lambda task: len(task.program + "".join(task.inputs)))
        longest = Ask(references=tuple(tasks[-config.algorithm.game.references :]))
        prompt = propose_prompt(task_type(kind), longest, frame(config.model.frame))
        assert len(longest.references) == 6
        assert len(tokenizer(prompt)["input_ids"]) < config.lengths.content / 1.5


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted key."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


class TestRecord:
    """What is kept of a run."""

    ASKED = Asked(("run.minutes=10.0", "run.seed=0"), "abc")

    def test_it_says_what_the_run_was_and_left(self, tmp_path: Path) -> None:
        kept = record("default", 0, read(write_run(tmp_path / "default-0", asked=self.ASKED)))
        assert (kept["arm"], kept["seed"], kept["commit"], kept["steps"]) == ("default", 0, "abc", 10)
        assert kept["settings"] == ["run.minutes=10.0", "run.seed=0"]
        assert [one["rows"]["common deduction/solve sampled"] for one in kept["held_out"]] == [
            [100, 0.4, 0.01],
            [100, 0.55, 0.01],
        ]

    def test_where_proposals_lay_at_both_ends(self, tmp_path: Path) -> None:
        """Of two proposals a step one is always solved; the other never at first, half of the time at last."""
        kept = record("default", 0, read(write_run(tmp_path / "default-0")))
        assert kept["edge"] == {
            "first fifth": {"tasks": 4.0, "between": 0.0, "learnable": 0.0, "solved": 0.5},
            "last fifth": {"tasks": 4.0, "between": 0.5, "learnable": 0.5, "solved": 0.75},
        }

    def test_its_curve_is_told_step_by_step(self, tmp_path: Path) -> None:
        drawn = curve("default", 0, read(write_run(tmp_path / "default-0")))
        assert (drawn.arm, drawn.run, drawn.x) == ("default", "seed 0", tuple(range(1, 11)))
        assert drawn.values["attempts right"] == pytest.approx([step / 20 for step in range(1, 11)]), "mean of types"
        assert drawn.values["reward of attempts"] == (0.5,) * 10
        assert drawn.values["reward of proposals"] == (-1.0,) * 10
        assert drawn.values["4 p (1 - p)"] == (0.0,) * 5 + (0.5,) * 5
        assert "proposals valid" not in drawn.values, "the run told nothing of it"

    def test_a_run_without_proposals_has_no_edge(self, tmp_path: Path) -> None:
        folder = write_run(tmp_path / "solver-only-0")
        (folder / "tasks.jsonl").unlink()
        assert record("solver-only", 0, read(folder))["edge"] == {}
        assert "4 p (1 - p)" not in curve("solver-only", 0, read(folder)).values


class TestAllFound:
    """One table of what was run piece by piece."""

    def study(self, folder: Path, words: str = "run.minutes=10.0") -> None:
        for arm in ("default", "shuffled", "eta16-uncorrected"):
            for seed in (0, 3):
                overrides = (words, f"run.seed={seed}", *chosen(arm)[0].overrides)
                write_run(folder / f"{arm}-{seed}", asked=Asked(overrides, "abc"))

    def told(self, folder: Path, *words: str) -> Result:
        parser = argparse.ArgumentParser()
        add_arguments(parser)
        report = Report("learning", "azr bench learning")
        run(parser.parse_args(["--arms", "all-found", "--folder", str(folder), *words]), report)
        return report.result()

    def test_all_finished_runs_are_told_whatever_their_seeds(self, tmp_path: Path) -> None:
        self.study(tmp_path)
        result = self.told(tmp_path)
        assert [(one["arm"], one["seed"]) for one in result.runs] == [
            (arm, seed) for arm in ("default", "shuffled", "eta16-uncorrected") for seed in (0, 3)
        ]
        assert [measure.rounds for measure in result.measures if measure.name == "shuffled: gain sampled"] == [
            pytest.approx((15.0, 15.0))
        ]
        assert result.settings["minutes"] == 10.0
        assert result.settings["seeds of default"] == 2
        assert {goal.name for goal in result.goals} == {"control: shuffled rewards"}, "default has two seeds of five"

    def test_runs_with_changes_on_top_of_a_commit_are_of_another(self, tmp_path: Path) -> None:
        for seed, commit in enumerate(("abc", "abc+")):
            asked = Asked(("run.minutes=10.0", f"run.seed={seed}"), commit)
            write_run(tmp_path / f"default-{seed}", asked=asked)
        assert "runs of several commits: abc: default-0; abc+: default-1" in self.told(tmp_path).notes

    def test_runs_of_other_settings_are_told_and_not_judged(self, tmp_path: Path) -> None:
        for seed in (0, 3):
            own = ("algorithm.optimiser.lr=1e-3", *chosen("shuffled")[0].overrides)
            overrides = ("run.minutes=10.0", "evaluation.tasks=200", f"run.seed={seed}", *own)
            write_run(tmp_path / f"shuffled-{seed}", asked=Asked(overrides, "abc"))
        result = self.told(tmp_path)
        assert result.goals == ()
        [note] = [note for note in result.notes if note.startswith("goals are of")]
        assert note.endswith("algorithm.optimiser.lr=1e-3")

    def test_equal_steps_are_known_again_from_what_was_asked_for(self, tmp_path: Path) -> None:
        write_run(tmp_path / "default-0", asked=Asked(("run.minutes=10.0", "run.steps=80", "run.minutes=0"), "abc"))
        assert (self.told(tmp_path).settings["steps"], self.told(tmp_path).settings["minutes"]) == (80, 0.0)

    def test_what_is_unfinished_or_no_arm_is_left_out_by_name(self, tmp_path: Path) -> None:
        self.study(tmp_path)
        write_run(tmp_path / "eta0-1", ended="stopped")
        write_run(tmp_path / "mine-0")
        result = self.told(tmp_path)
        assert "not finished, and left out: eta0-1" in result.notes
        assert not any(one["arm"] in ("eta0", "mine") for one in result.runs)

    def test_runs_of_several_commits_are_one_table_that_says_so(self, tmp_path: Path) -> None:
        self.study(tmp_path)
        asked = Asked(("run.minutes=10.0", "run.seed=0", *chosen("solver-only")[0].overrides), "0123456789")
        write_run(tmp_path / "solver-only-0", asked=asked)
        [note] = [note for note in self.told(tmp_path).notes if "commits" in note]
        assert note.endswith("0123456: solver-only-0")

    def test_runs_that_were_asked_for_otherwise_are_refused_by_name(self, tmp_path: Path) -> None:
        self.study(tmp_path)
        write_run(tmp_path / "paper-0", asked=Asked(("run.minutes=60", *chosen("paper")[0].overrides), "abc"))
        with pytest.raises(
            AzrError, match=r"not asked for alike: .*default-3.*: run\.minutes=10\.0; paper-0: run\.minut"
        ):
            self.told(tmp_path)

    def test_a_folder_without_runs_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(AzrError, match="holds no finished run"):
            self.told(tmp_path)

    def test_the_written_file_is_small_and_alone_can_draw_the_curves_again(self, tmp_path: Path) -> None:
        self.study(tmp_path / "runs")
        path = write_result(self.told(tmp_path / "runs"), tmp_path)
        again = read_result(path)
        assert {curve.arm for curve in again.curves} == {"default", "shuffled", "eta16-uncorrected"}
        assert path.with_name(f"{path.stem}-curves.png").read_bytes().startswith(b"\x89PNG")
        assert b'"x": [1.0, 2.0,' in path.read_bytes(), "arrays of numbers stay on one line"


def test_arms_have_names_of_their_own_and_unknown_ones_are_refused() -> None:
    assert len({arm.name for arm in ARMS}) == len(ARMS)
    assert [arm.name for arm in chosen("paper,default")] == ["paper", "default"]
    with pytest.raises(UsageError, match="did you mean 'shuffled'"):
        chosen("shufled")


@pytest.mark.parametrize("arm", ARMS, ids=lambda arm: arm.name)
def test_every_arm_is_a_configuration_that_can_be_planned(arm: Arm) -> None:
    assert any(line.startswith("batch") for line in plan_lines(load(["tiny"], arm.overrides)))
