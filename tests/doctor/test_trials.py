"""A trial tells what happened within its deadline, whatever the package under trial does."""

from __future__ import annotations

import os
import time

import psutil
import pytest

from azr.doctor.finding import Finding, graded
from azr.doctor.rounds import guarded
from azr.doctor.trials import _RAY, Trial, rebuilding, run_trial


def _trial(code: str, seconds: float = 30.0) -> Finding:
    return run_trial(Trial("group", "subject", code, seconds, "mend it"))


def test_what_the_trial_says_is_what_was_found() -> None:
    finding = _trial("print('noise'); print('works')")
    assert finding.level == "ok"
    assert finding.found.startswith("works (")


def test_what_is_tried_reports_to_nobody_unless_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import os; print(os.environ['MLFLOW_DISABLE_TELEMETRY'])"
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY", raising=False)
    assert _trial(code).found.startswith("true (")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "false")
    assert _trial(code).found.startswith("false (")


def test_rays_trial_is_of_this_machine_whatever_cluster_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a submitted job, or where somebody submits them."""
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    finding = run_trial(_RAY)
    assert (finding.level, finding.found.partition(" (")[0]) == ("ok", "starts, runs a task, stops")


@pytest.mark.parametrize(
    ("extra", "command"), [("gpu", "clean setup EXTRA=gpu"), ("cpu", "clean setup"), (None, "clean setup")]
)
def test_the_mend_rebuilds_the_environment_that_was_tried(extra: str | None, command: str) -> None:
    assert rebuilding(extra) == f"make {command}"


def test_a_trial_that_fails_tells_the_last_line_of_its_error_and_the_mend() -> None:
    finding = _trial("raise RuntimeError('no engine')")
    assert (finding.level, finding.found, finding.mend) == ("fail", "RuntimeError: no engine", "mend it")


def test_a_trial_that_dies_without_a_word_is_told_by_its_status() -> None:
    assert "exit status" in _trial("import os; os.abort()").found


def test_a_trial_that_hangs_is_ended_with_all_it_started() -> None:
    began = time.monotonic()
    marker = f"azr-trial-{os.getpid()}"
    finding = _trial(
        "import subprocess, sys, time\n"
        f"subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)', {marker!r}])\n"
        "time.sleep(600)",
        seconds=2.0,
    )
    assert finding.found == "no answer within 2 s"
    assert time.monotonic() - began < 30.0
    assert [process for process in psutil.process_iter() if marker in _words(process)] == []


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline() if process.status() != psutil.STATUS_ZOMBIE else []
    except psutil.NoSuchProcess:
        return []


def test_an_examination_that_breaks_is_a_finding_and_not_the_end() -> None:
    def examine_moon() -> list[Finding]:
        raise OSError("too far")

    [finding] = guarded(examine_moon)  # type: ignore[arg-type]
    assert (finding.subject, finding.level) == ("moon", "warn")
    assert "too far" in finding.found


def test_a_finding_that_is_not_ok_must_say_how_to_mend_it() -> None:
    with pytest.raises(ValueError, match="how to mend"):
        Finding("machine", "disk", "warn", "full")


@pytest.mark.parametrize(("good", "level", "mend"), [(True, "ok", ""), (False, "fail", "free some")])
def test_a_graded_finding_keeps_its_mend_for_when_it_is_needed(good: bool, level: str, mend: str) -> None:
    finding = graded("machine", "disk", "1 GiB", good=good, otherwise="fail", mend="free some")
    assert (finding.level, finding.mend) == (level, mend)
