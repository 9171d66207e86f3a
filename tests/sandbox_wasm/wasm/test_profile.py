"""The breakdown of a program's time prints each of its parts."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from sandbox_wasm.wasm import profile


def test_every_part_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    programs = tmp_path / "programs.jsonl"
    programs.write_text(json.dumps({"program": "def f(x): return x", "inputs": ["1"]}) + "\n")
    monkeypatch.setattr(sys, "argv", ["profile", str(programs), "--rounds", "1"])
    profile.main()
    printed = capsys.readouterr().out
    for part in ("instantiate", "first call", "drop", "fuel"):
        assert part in printed
