"""What benchmarks read of a finished run, worked out by hand on a folder written by hand."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from azr.errors import AzrError
from benchmarks.run_folder import Arm, Asked, asked_of, carry_out, ended, finished, longest, outcome, settle
from tests.benchmarks.written_runs import read, write_run


def test_gains_are_points_between_the_first_and_the_last_evaluation(tmp_path: Path) -> None:
    found = read(write_run(tmp_path / "default-0"))
    assert found.gain("greedy") == pytest.approx(
        100 * ((0.6 * 100 + 0.2 * 300 + 0.3 * 100) / 500 - (0.5 * 100 + 0.1 * 300) / 400)
    )
    assert found.gain("sampled") == pytest.approx(15.0)
    assert found.gain("sampled", "harder") == pytest.approx(25.0)
    assert found.gains_by_type("sampled") == {"deduction": pytest.approx(15.0)}


def test_a_run_without_both_evaluations_has_no_gain(tmp_path: Path) -> None:
    found = read(write_run(tmp_path / "default-0"))
    for evaluations in ([], found.evaluations[1:], found.evaluations[1:] * 2):
        lone = found._replace(evaluations=evaluations)
        with pytest.raises(AzrError, match=r"no evaluations of two different steps \(of steps: (none|9|9, 9)\)"):
            lone.gain("sampled")
        with pytest.raises(AzrError, match="no evaluations of two different steps"):
            lone.gains_by_type("sampled")


def test_metrics_are_read_by_name_with_the_warm_up_left_out(tmp_path: Path) -> None:
    found = read(write_run(tmp_path / "default-0"))
    assert found.mean("learner/step", skip=8) == 9.5
    assert found.last("learner/step") == 10.0
    with pytest.raises(AzrError, match="no values of perf/mfu"):
        found.mean("perf/mfu")


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
        folder = write_run(tmp_path / "default-0")
        settle(folder, Asked.now(["run.minutes=10"]), begun=False)
        assert carry_out(folder, ["run.minutes=10"]).last("learner/step") == 10.0
        with pytest.raises(AzrError, match="asked for otherwise"):
            carry_out(folder, ["run.minutes=1"])


def test_a_run_that_did_not_finish_is_none(tmp_path: Path) -> None:
    assert outcome(tmp_path / "nothing") is None
    assert outcome(write_run(tmp_path / "stopped", ended="stopped")) is None


def test_the_last_word_about_a_key_counts() -> None:
    asked = Asked(("run.minutes=10.0", "run.steps=9", "run.minutes=0"), "abc")
    assert (asked.value("run.minutes"), asked.value("run.steps"), asked.value("run.seed")) == ("0", "9", "")


def test_what_a_run_was_asked_for_is_read_again(tmp_path: Path) -> None:
    asked = Asked(("run.seed=0",), "abc")
    assert asked_of(write_run(tmp_path / "default-0", asked=asked)) == asked
    assert asked_of(tmp_path / "nobody-noted") == Asked((), "")


def test_finished_runs_are_found_by_arm_and_seed(tmp_path: Path) -> None:
    for name in ("eta16-10", "eta16-2", "eta16-uncorrected-0", "other-0", "eta16-x"):
        write_run(tmp_path / name)
    write_run(tmp_path / "eta16-3", ended="failed: no room")
    (tmp_path / "eta16-4").mkdir()
    found, unfinished = finished(tmp_path, [Arm("eta16"), Arm("eta16-uncorrected"), Arm("paper")])
    assert {arm: list(by_seed) for arm, by_seed in found.items()} == {"eta16": [2, 10], "eta16-uncorrected": [0]}
    assert unfinished == ["eta16-3"]


class TestDriver:
    """A run that does not end by itself is ended."""

    def test_it_may_take_as_long_as_its_bounds_say(self) -> None:
        assert longest(["run.minutes=10", "run.seed=0"]) == 600.0
        assert longest(["run.minutes=10", "run.steps=30", "run.minutes=0"]) == 30 * 60.0
        assert longest([]) == 0.0

    def test_one_that_takes_longer_is_told_to_end(self) -> None:
        driver = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        assert ended(driver, 0.2) == -signal.SIGTERM

    def test_one_that_ends_says_how(self) -> None:
        assert ended(subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"]), 30.0) == 3

    def test_what_was_interrupted_is_begun_again_where_its_pause_would_count(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The driver is a stand-in that finishes the run at once, and says whether it found one."""
        folder = write_run(tmp_path / "eta4-30-0", ended="")
        stand_in = tmp_path / "driver"
        stand_in.write_text(
            f"#!{sys.executable}\nimport pathlib, sys\nfolder = pathlib.Path({str(folder)!r})\n"
            "print('resumed' if '--resume' in sys.argv else 'new', folder.exists())\n"
        )
        stand_in.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(stand_in))
        with pytest.raises(AzrError, match="did not finish"):
            carry_out(folder, [], anew=True)
        assert (tmp_path / "eta4-30-0.txt").read_text() == "new False\n"
