"""A pool is tried before it is relied on."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from actors.players.judge import SandboxUselessError, open_tried_pool
from azr.config.sections.sandbox import SandboxConfig
from tests.plugins import announce
from tests.run.wedged_backend import ENTRIES


def test_a_pool_that_runs_programs_is_handed_over(sandbox: object) -> None:
    with open_tried_pool(SandboxConfig(), 1) as pool:
        assert pool.statistics().executions == 1


def test_one_that_never_answers_is_told_in_seconds_and_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    announce(tmp_path, "azr_wedged", ENTRIES, monkeypatch)
    config = SandboxConfig(backend="wedged", wall_seconds=0.3, timeout_seconds=0.3, grace_seconds=0.3)
    began = time.monotonic()
    with pytest.raises(SandboxUselessError, match="the sandbox 'wedged' stands but runs no program") as told:
        open_tried_pool(config, 1)
    assert "azr doctor" in told.value.mend
    assert time.monotonic() - began < 60.0
