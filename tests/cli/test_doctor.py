"""`azr doctor` prints every finding with its mend, and its exit status says whether something is broken."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from azr.cli import doctor
from azr.cli.main import EXIT_ERROR, main
from azr.doctor import Finding

_FINE = Finding("packages", "python", "ok", "3.11.7")
_SLOW = Finding("machine", "cores", "warn", "1", "give it two")
_BROKEN = Finding("sandbox", "wasm", "fail", "trap \x1b[31m", "delete the cache")


def _finds(*findings: Finding, monkeypatch: pytest.MonkeyPatch) -> None:
    def examine(*, deep: bool) -> Iterator[Finding]:
        yield from findings

    monkeypatch.setattr(doctor, "examine", examine)


@pytest.mark.parametrize(
    ("findings", "status", "sum_"),
    [
        ((_FINE,), 0, "All is well."),
        ((_FINE, _SLOW), 0, "Ready, with 1 to look at."),
        ((_FINE, _SLOW, _BROKEN), EXIT_ERROR, "1 broken, 1 to look at"),
    ],
)
def test_only_what_is_broken_is_an_error(
    findings: tuple[Finding, ...],
    status: int,
    sum_: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _finds(*findings, monkeypatch=monkeypatch)
    assert main(["doctor"]) == status
    assert sum_ in capsys.readouterr().out


def test_findings_stand_under_their_group_with_their_mend(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _finds(_FINE, _SLOW, _BROKEN, monkeypatch=monkeypatch)
    main(["doctor"])
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[:2] == ["packages", "  ✓ python           3.11.7"]
    assert "                     → give it two" in lines
    assert "  ✗ wasm             trap \\x1b[31m" in lines, "what was found is shown, not obeyed"


def test_json_is_one_object_a_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    _finds(_FINE, _BROKEN, monkeypatch=monkeypatch)
    assert main(["doctor", "--json"]) == EXIT_ERROR
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["level"] for line in told] == ["ok", "fail"]
    assert told[1]["mend"] == "delete the cache"
