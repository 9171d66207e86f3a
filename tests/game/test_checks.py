"""Names and options that only the game knows are told before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from azr.cli.main import main
from azr.config import load
from azr.errors import ConfigError
from azr.game import tasks
from azr.game.checks import check, unknown_names
from azr.game.rewards.registry import term_names
from azr.game.tasks import names
from azr.game.tasks.deduction import Deduction
from azr.plugins import TASKS
from sandbox_wasm.registry import make_backend
from tests.plugins import announce

TERM = "algorithm.proposer_reward.terms.{}.coefficient=0.5"


def test_all_that_is_registered_may_be_named() -> None:
    kinds = f"algorithm.game.task_types=[{','.join(names())}]"
    config = load([], [kinds, *(TERM.format(name) for name in term_names())])
    assert check(config) is config


def test_what_is_unknown_is_told_with_the_nearest_name_and_all_at_once() -> None:
    config = load([], ["algorithm.game.task_types=[deduction,inductoin]", TERM.format("complxity")])
    with pytest.raises(ConfigError) as error:
        check(config)
    told = str(error.value)
    assert "algorithm.game.task_types: no task type is called 'inductoin'; did you mean 'induction'?" in told
    assert "algorithm.proposer_reward.terms: no reward term is called 'complxity'; did you mean 'complexity'?" in told


def test_a_term_that_is_off_is_checked_as_well() -> None:
    config = load([], ["algorithm.proposer_reward.terms.nonsense.coefficient=0"])
    assert [problem.key for problem in unknown_names(config)] == ["algorithm.proposer_reward.terms"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("{distanse: 0.5}", "got an unexpected keyword argument 'distanse'"),
        ("{distance: abc}", "distance must be a number between 0 and 1, not 'abc'"),
        ("{distance: true}", "distance must be a number between 0 and 1, not True"),
        ("{distance: 2}", "distance must be a number between 0 and 1, not 2"),
    ],
)
def test_options_that_a_term_does_not_take_are_told_with_its_key_where_it_is_on(options: str, told: str) -> None:
    given = f"algorithm.proposer_reward.terms.cluster_share.options={options}"
    with pytest.raises(ConfigError) as error:
        check(load([], [given, TERM.format("cluster_share")]))
    assert "algorithm.proposer_reward.terms.cluster_share.options: " in error.value.what
    assert told in error.value.what
    config = load([], [given])
    assert check(config) is config, "a term that is off is not made"


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["sandbox.options.instanses=restored"], "has no option 'instanses'. Did you mean 'instances'?"),
        (["sandbox.options.instances=nosuch"], "instances must be one of fresh, restored, not 'nosuch'"),
        (["sandbox.options.canary_every=often"], "must be a whole number of at least 1, not 'often' (give"),
        (["sandbox.options.canary_every=0"], "canary_every must be a whole number of at least 1, not 0"),
        (["sandbox.options.canary_every=2.5"], "canary_every must be a whole number of at least 1, not 2.5"),
        (["sandbox.backend=process", "sandbox.options.instances=fresh"], "It takes: allow_unconfined."),
        (["sandbox.backend=process", "sandbox.options.allow_unconfined=maybe"], "must be true or false, not 'maybe'"),
    ],
)
def test_options_that_the_back_end_does_not_take_are_told(overrides: list[str], told: str) -> None:
    with pytest.raises(ConfigError) as error:
        check(load([], overrides))
    assert error.value.what.startswith("sandbox.options: ")
    assert told in error.value.what


@pytest.mark.parametrize(
    "overrides",
    [
        ["sandbox.options.instances=restored"],
        ["sandbox.options.canary_every=25"],
        ["sandbox.backend=process"],
        ["sandbox.backend=process", "sandbox.options.allow_unconfined=true"],
    ],
)
def test_options_that_the_back_end_takes_pass(overrides: list[str]) -> None:
    config = load([], overrides)
    assert check(config) is config


def test_numbers_among_them_may_be_written_as_numbers_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("sandbox:\n  options:\n    canary_every: 25\n")
    config = check(load([str(tmp_path / "own.yaml")], []))
    assert make_backend(config.sandbox.backend, config.sandbox.options).name == "wasm"


def test_a_back_end_of_others_is_asked_for_its_options_and_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "azr_costly.py").write_text("def costly(url=''):\n    raise AssertionError('it was made')\n")
    announce(tmp_path, "azr_costly", {"azr.sandboxes": {"costly": "azr_costly:costly"}}, monkeypatch)
    check(load([], ["sandbox.backend=costly", "sandbox.options.url=here"]))
    with pytest.raises(ConfigError, match=r"sandbox\.options: .*no option 'ulr'\. Did you mean 'url'\?"):
        check(load([], ["sandbox.backend=costly", "sandbox.options.ulr=here"]))


BROKEN = "def(\n"
RAISES = "class Mine:\n    def __init__(self, *given, **options):\n        raise RuntimeError('no licence')\n"


@pytest.mark.parametrize(
    ("group", "override", "key"),
    [
        ("azr.tasks", "algorithm.game.task_types=[deduction,mine]", "algorithm.game.task_types"),
        ("azr.safety", "safety.detectors=[mine]", "safety.detectors"),
        ("azr.trackers", "tracking.plugins=[mine]", "tracking.plugins"),
        ("azr.losses", "algorithm.loss.name=mine", "algorithm.loss.name"),
        ("azr.transports", "weights.transport=mine", "weights.transport"),
        ("azr.rewards", TERM.format("mine"), "the reward term"),
    ],
)
def test_a_plug_in_that_cannot_be_imported_is_told_before_anything_runs(
    group: str, override: str, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run would meet it in one of its parts: a player, the learner's rank, the driver."""
    (tmp_path / "azr_mine.py").write_text(BROKEN)
    announce(tmp_path, "azr_mine", {group: {"mine": "azr_mine:Mine"}}, monkeypatch)
    with pytest.raises(ConfigError) as error:
        check(load([], [override]))
    assert error.value.what.startswith(key)
    assert "'mine' cannot be loaded: SyntaxError: " in error.value.what
    assert f"mend its entry point in the group '{group}'" in error.value.what


@pytest.mark.parametrize(
    ("group", "override"),
    [
        ("azr.tasks", "algorithm.game.task_types=[deduction,mine]"),
        ("azr.rewards", TERM.format("mine")),
    ],
)
def test_one_that_cannot_be_made_is_told_as_well(
    group: str, override: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "azr_raises.py").write_text(RAISES)
    announce(tmp_path, "azr_raises", {group: {"mine": "azr_raises:Mine"}}, monkeypatch)
    with pytest.raises(ConfigError, match="'mine' cannot be made: RuntimeError: no licence"):
        check(load([], [override]))


def test_a_detector_that_finds_nothing_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    announce(tmp_path, "azr_blind", {"azr.safety": {"mine": "builtins:object"}}, monkeypatch)
    with pytest.raises(ConfigError, match="'mine' has no method `find`"):
        check(load([], ["safety.detectors=[mine]"]))


def test_a_detector_is_made_where_the_batches_are_and_not_to_look_at_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may hold a model on a card that the driver's machine does not have."""
    (tmp_path / "azr_judge.py").write_text(f"{RAISES}    def find(self, text):\n        return []\n")
    announce(tmp_path, "azr_judge", {"azr.safety": {"mine": "azr_judge:Mine"}}, monkeypatch)
    check(load([], ["safety.detectors=[mine]"]))


def test_parts_of_our_own_are_not_loaded_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Built-in losses and transports need torch, for which `azr config` does not wait."""
    monkeypatch.delattr("azr.game.checks.load_plugin")
    for transport, loss in (("auto", "decoupled_ppo"), ("nccl", "gspo")):
        config = load(
            ["tiny"],
            [
                f"weights.transport={transport}",
                f"algorithm.loss.name={loss}",
                "algorithm.loss.aggregation=sequence_mean",
            ],
        )
        assert check(config) is config


def test_a_dry_run_refuses_what_the_run_would_die_of(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--config", "tiny", "--dry-run", "sandbox.options.instanses=restored"]) != 0
    assert "Did you mean 'instances'?" in capsys.readouterr().err


def test_commands_refuse_what_is_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "show", "algorithm.game.task_types=[deducton]"]) != 0
    assert "did you mean 'deduction'" in capsys.readouterr().err


class Building(Deduction):
    """A task type that cannot be proposed without a known task."""

    name = "building"
    least_references = 1


def test_types_that_must_be_shown_known_tasks_are_refused_where_nobody_makes_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of their proposals would be dropped, for the whole run."""
    monkeypatch.setattr(tasks, "_TASK_TYPES", dict(tasks._TASK_TYPES))
    announce(tmp_path, "building", {TASKS: {"building": f"{__name__}:Building"}}, monkeypatch)
    with pytest.raises(ConfigError, match="proposers of building must be shown known tasks") as refused:
        check(load([], ["algorithm.game.task_types=[building]"]))
    assert "seeding.file" in refused.value.what
    monkeypatch.delattr(Building, "least_references")
    check(load([], ["algorithm.game.task_types=[building]"]))  # one that says nothing of it needs none
    monkeypatch.setattr(Building, "least_references", 1, raising=False)
    for others in ("building,induction", "building,error"):
        check(load([], [f"algorithm.game.task_types=[{others}]"]))
    check(load([], ["algorithm.game.task_types=[building]", f"seeding.file={tmp_path / 'seeds.jsonl'}"]))
