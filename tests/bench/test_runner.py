"""Benchmarks are found by reading, imported only to run, and exit with whether their numbers mean anything."""

from __future__ import annotations

import argparse
import json
import sys
import types
from pathlib import Path

import pytest

from azr.bench import Report, runner
from azr.bench.runner import benchmarks, load_benchmark
from azr.cli.main import EXIT_ERROR, EXIT_USAGE, main
from azr.errors import AzrError


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A benchmark called `demo` that measures what it is told."""
    module = types.ModuleType("benchmarks.demo")
    module.SUMMARY = "demo"  # type: ignore[attr-defined]
    module.add_arguments = lambda parser: parser.add_argument("--value", type=float, default=1.0)  # type: ignore[attr-defined]

    def run(arguments: argparse.Namespace, report: Report) -> None:
        report.measure("value", "1", [arguments.value])
        report.check("value is positive", arguments.value > 0)

    module.run = run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "benchmarks.demo", module)
    monkeypatch.setattr(runner, "benchmarks", lambda: {"demo": "demo"})
    return module


def test_every_benchmark_has_a_summary_and_the_interface() -> None:
    found = benchmarks()
    assert "sandbox" in found
    for name, summary in found.items():
        module = load_benchmark(name)
        assert summary == module.SUMMARY
        module.add_arguments(argparse.ArgumentParser())
        assert callable(module.run)


def test_helpers_of_benchmarks_are_not_listed() -> None:
    assert "contest" not in benchmarks()
    assert "unsafe-peers" not in benchmarks()


def test_listing_imports_no_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "benchmarks.sandbox", raising=False)
    benchmarks()
    assert "benchmarks.sandbox" not in sys.modules


def test_list_names_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "list"]) == 0
    told = capsys.readouterr().out
    assert all(name in told and summary in told for name, summary in benchmarks().items())


def test_an_unknown_benchmark_is_refused_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "sandbx"]) == EXIT_USAGE
    assert "did you mean 'sandbox'?" in capsys.readouterr().err


@pytest.mark.usefixtures("demo")
class TestMeasuring:
    """What `azr bench NAME` does around the benchmark."""

    def test_it_prints_a_table_and_writes_the_result(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["bench", "demo", "--value", "2", "--results", str(tmp_path)]) == 0
        [path] = tmp_path.glob("*.json")
        result = json.loads(path.read_bytes())
        assert result["command"] == f"azr bench demo --value 2 --results {tmp_path}"
        assert result["measures"][0]["rounds"] == [2.0]
        assert f"written: {path}" in capsys.readouterr().out.replace("\n", " ").replace("  ", " ")

    def test_without_writing_it_only_prints(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["bench", "demo", "--no-write", "--results", str(tmp_path)]) == 0
        assert list(tmp_path.iterdir()) == []
        assert "value" in capsys.readouterr().out

    def test_a_check_that_fails_is_written_down_and_is_an_error(self, tmp_path: Path) -> None:
        assert main(["bench", "demo", "--value", "-1", "--results", str(tmp_path)]) == EXIT_ERROR
        assert len(list(tmp_path.glob("*.json"))) == 1

    @pytest.mark.parametrize("error", [KeyboardInterrupt, AzrError("the engine died", "look at its log")])
    def test_what_ended_early_prints_what_it_had_measured_and_writes_nothing(
        self,
        error: BaseException | type[BaseException],
        demo: types.ModuleType,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        def run(_: argparse.Namespace, report: Report) -> None:
            report.measure("first transport", "ms", [46.5])
            raise error

        demo.run = run  # type: ignore[attr-defined]
        assert main(["bench", "demo", "--results", str(tmp_path)]) != 0
        assert "46.5" in capsys.readouterr().out
        assert list(tmp_path.iterdir()) == []

    def test_a_result_can_be_shown_again(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        main(["bench", "demo", "--results", str(tmp_path)])
        first = capsys.readouterr().out.partition("written:")[0]
        assert main(["bench", "show", *map(str, tmp_path.glob("*.json"))]) == 0
        assert capsys.readouterr().out == first

    def test_help_is_that_of_the_benchmark(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["bench", "demo", "--help"]) == 0
        assert "--value" in capsys.readouterr().out


@pytest.mark.parametrize(
    "written",
    [b"{", b'{"benchmark": "\xff"}', b'{"more": ' + b"[" * 200_000],
    ids=["no JSON", "no UTF-8", "nested without end"],
)
def test_a_file_that_is_no_result_is_refused(
    written: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "result.json").write_bytes(written)
    assert main(["bench", "show", str(tmp_path / "result.json")]) == EXIT_ERROR
    assert "result.json is not a benchmark result: " in capsys.readouterr().err


def test_results_that_are_kept_can_be_read() -> None:
    for path in sorted(runner.results_folder().glob("*.json")):
        assert main(["bench", "show", str(path)]) == 0, path
