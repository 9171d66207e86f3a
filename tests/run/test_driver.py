"""What the driver decides by itself, without any part standing: parity, steps as they are told, tasks that are kept."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from azr.config import load
from azr.errors import AzrError
from azr.run.console import Console, Goal
from azr.run.driver import Driver
from azr.run.folder import Card, RunFolder
from azr.tiny import shipped


@pytest.fixture
def driver(tmp_path: Path) -> Driver:
    config = load(["tiny"], [f"run.folder={tmp_path}"])
    folder = RunFolder.of(str(tmp_path), "tiny")
    folder.create(Card(name="tiny", started=0.0))
    return Driver(config, folder, Console(("deduction",), Goal(), stream=io.StringIO(), terminal=False))


def test_parts_get_the_embedded_model_by_its_folder_and_the_run_keeps_its_name(driver: Driver) -> None:
    assert driver.config.model.path == str(shipped.folder())
    assert driver.asked.model.path == "tiny"


def test_engine_and_learner_that_agree_go_on(driver: Driver) -> None:
    driver._check_parity({})
    driver._check_parity({"off_policy/mismatch_k3": 1e-12})
    driver._check_parity({"off_policy/mismatch_k3": 5.0})  # compared once: later drift is the metrics' business


@pytest.mark.parametrize("gap", [0.5, float("nan")])
def test_engine_and_learner_that_differ_end_the_run_with_the_reason(driver: Driver, gap: float) -> None:
    with pytest.raises(AzrError, match=r"engine and learner differ by .* nats") as refused:
        driver._check_parity({"off_policy/mismatch_k3": gap})
    assert "rollout.dtype" in refused.value.mend
