"""Three minutes of `azr bench soak`: a real run whose processes are killed one after another.

The long form is half an hour, of all kinds, and with two engines: `make soak`. A learner's rank and the driver, each of
which costs a start, are killed in `test_whole_run`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from azr.bench import Report
from benchmarks import soak

#: One of each part of ours that something else brings back, and the two that the driver does.
KINDS = (
    "engine",
    "replica",
    "proposer",
    "solver",
    "sandbox worker",
    "tasks",
    "experience",
    "registry",
    "hub",
    "train controller",
    "reaper",
)


@pytest.mark.timeout(900)
def test_a_run_survives_whatever_is_killed_loses_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    soak.add_arguments(parser)
    words = ["--minutes=3", "--every=10", "--seed=1", f"--kinds={','.join(KINDS)}", f"--folder={tmp_path}"]
    report = Report("soak", "azr bench soak")
    soak.run(parser.parse_args([*words, "rollout.replicas=1"]), report)
    result = report.result()
    assert [check for check in result.checks if not check.ok] == []
    killed = {measure.name.removesuffix(" killed: two steps later") for measure in result.measures}
    assert set(KINDS) <= killed
