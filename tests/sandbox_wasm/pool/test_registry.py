"""Back ends are found by name, and mistakes are told with their mend."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import azr
from azr.config import load
from azr.game.checks import check
from sandbox_wasm.pool import open_sandbox
from sandbox_wasm.registry import (
    BackendConfigurationError,
    UnknownBackendError,
    find_backend,
    known_backends,
    make_backend,
)
from tests.plugins import announce
from tests.sandbox_wasm.pool.jobs import run, said


def test_the_built_in_back_ends_are_known_without_being_installed() -> None:
    assert {"process", "wasm"} <= set(known_backends())


def test_a_plug_in_is_found_by_name_through_its_distributions_metadata(plugin_site: Path) -> None:
    assert "rehearsal" in known_backends()
    assert make_backend("rehearsal", {}).name == "rehearsal"


def test_the_command_of_the_page_composes_on_a_preset_that_has_options_for_its_own_back_end(plugin_site: Path) -> None:
    page = (Path(azr.__file__).parents[1] / "docs" / "extending-sandbox.md").read_text()
    assert load(["tiny"]).sandbox.options
    [words] = re.findall(r"^\$ azr train --config tiny (sandbox\.backend=mine .+)$", page, flags=re.MULTILINE)
    own = words.replace("mine", "rehearsal").replace("options.url", "options.log").split()
    assert check(load(["tiny"], own)).sandbox.options == {"log": "http://sandbox:8000"}
    assert check(load(["tiny"], own[:1])).sandbox.options == {}


def test_a_plug_in_runs_jobs_in_worker_processes_that_find_it_too(plugin_site: Path) -> None:
    with open_sandbox("rehearsal", 1) as pool:
        assert [said(result) for result in pool.run_many([run("say", "hello")])] == [["hello"]]


def test_no_plug_in_can_take_the_name_of_a_built_in_back_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    about = tmp_path / "impostor-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: impostor\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[azr.sandboxes]\nwasm = impostor:Backend\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert known_backends()["wasm"].value.startswith("sandbox_wasm.")


def test_a_back_end_that_two_distributions_bring_is_not_chosen_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "other"):
        announce(tmp_path / name, name, {"azr.sandboxes": {"twice": f"{name}:Backend"}}, monkeypatch)
    with pytest.raises(BackendConfigurationError, match=r"'twice' is brought by one \(one:.*\) and by other \(other:"):
        find_backend("twice")


def test_an_unknown_name_is_refused_with_the_nearest_and_all_known_ones() -> None:
    with pytest.raises(UnknownBackendError) as refusal:
        find_backend("wasn")
    assert "Did you mean 'wasm'?" in str(refusal.value)
    assert "process, " in str(refusal.value)


def test_an_unknown_option_is_refused_before_any_process_is_started(plugin_site: Path) -> None:
    with pytest.raises(BackendConfigurationError, match=r"no option 'lag'\. Did you mean 'log'\?"):
        open_sandbox("rehearsal", 1, lag="x")


def test_a_back_end_that_cannot_be_imported_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    about = tmp_path / "broken-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[azr.sandboxes]\nbroken = no_such_module:Backend\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(BackendConfigurationError, match="No module named 'no_such_module'"):
        find_backend("broken")
