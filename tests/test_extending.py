"""Every worked example of docs/extending.md does in a real run's parts what the page says."""

from __future__ import annotations

import re
import time
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

from azr.cli.main import main
from azr.config import load
from azr.config.sections.algorithm import LossConfig
from azr.config.sections.tracking import TrackingConfig
from azr.config.sections.weights import WeightsConfig
from azr.errors import ConfigError
from azr.game import tasks
from azr.game.checks import check
from azr.game.frames import frame
from azr.game.gate import GateRules
from azr.game.plan import drive
from azr.game.play import judge_attempt, judge_proposal
from azr.game.tasks import Ask
from azr.game.types import Candidate, Task, Version
from azr.game.verification import VerifyRules
from azr.plugins import LOSSES, load_plugin, plugin_names
from azr.run.folder import RunFolder
from azr.run.seeds import given_seeds
from sandbox_wasm import pool
from sandbox_wasm.protocol import Sandbox
from tests.plugins import EXAMPLES, announce, entries_of, install

PAGE = EXAMPLES.parent / "extending.md"

PROPOSED = "Yes. </think>\n<answer>\n```python\ndef f(a):\n    return {a}\n```\n```input\n3\n```\n</answer>"

FOLDERS = sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir())


@pytest.fixture
def example(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name: str = request.param
    install(name, tmp_path / "installed", monkeypatch)
    return name


def installed(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("example", [name], indirect=True)


@installed("own_task")
def test_a_task_type_of_ones_own_is_played(example: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "_TASK_TYPES", dict(tasks._TASK_TYPES))
    check(load([], ["algorithm.game.task_types=[deduction,type_name]"]))
    kind, shape = tasks.task_type("type_name"), frame("r1")
    assert "surprise" in kind.propose_prompt(Ask(), "full")
    accepted = drive(judge_proposal(kind, PROPOSED, Ask(), shape, GateRules()), sandbox)
    assert isinstance(accepted, Task), accepted
    assert accepted.outputs == ("set",)
    assert "f(3)" in kind.solve_prompt(accepted, "full")
    for answer, correct in (("set", True), ("list", False)):
        response = f"Hm. </think>\n<answer> {answer} </answer>"
        assert drive(judge_attempt(kind, accepted, response, shape, VerifyRules()), sandbox).correct is correct
    broken = PROPOSED.replace("{a}", "{a")
    assert not isinstance(drive(judge_proposal(kind, broken, Ask(), shape, GateRules()), sandbox), Task)
    kept = drive(
        kind.gate(Candidate(program=kind.example().program, inputs=kind.example().inputs), GateRules()), sandbox
    )
    assert isinstance(kept, Task)
    assert kept.outputs == kind.example().outputs


@installed("own_task")
def test_its_prompts_are_shown_like_those_of_the_others(
    example: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tasks, "_TASK_TYPES", dict(tasks._TASK_TYPES))
    assert main(["prompts", "show", "type_name/solve"]) == 0
    assert "f(3)" in capsys.readouterr().out


@installed("own_task")
def test_seeds_of_a_type_of_ones_own_are_made_as_the_page_says(
    example: str, tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "_TASK_TYPES", dict(tasks._TASK_TYPES))
    monkeypatch.setattr(pool, "open_sandbox", lambda *_, **__: nullcontext(sandbox))
    monkeypatch.chdir(tmp_path)
    [code] = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    exec(code, {})
    config = load(["tiny"], ["algorithm.game.task_types=[type_name]", "seeding.file=seeds.jsonl"])
    found = given_seeds(config, RunFolder(tmp_path / "run"))
    assert found is not None
    assert [(task.program, task.outputs) for task in found] == [("def f(a):\n    return {a}", ("set",))]


@installed("own_loss")
def test_a_loss_of_ones_own_trains(example: str, tmp_path: Path) -> None:
    from learner.losses.registry import make_loss
    from learner.samples import StepBatch
    from tests.learner.tiny import make_trainer, random_samples, save_tiny_model

    config = load([], ["algorithm.loss.name=asymmetric", "algorithm.loss.weight=token_tis"]).algorithm.loss
    trainer = make_trainer(save_tiny_model(tmp_path / "model"), config)
    before = [value.clone() for value in trainer.policy.parameters()]
    report = trainer.step(StepBatch(random_samples(0), 0))
    assert 0.0 < report.metrics["learner/gentle_fraction"] < 1.0
    assert any(not torch.equal(old, new) for old, new in zip(before, trainer.policy.parameters(), strict=True))
    assert type(make_loss(config)).__name__ == "Asymmetric"


@installed("own_loss")
def test_the_examples_loss_is_worked_out_by_hand(example: str) -> None:
    from learner.losses.base import TokenBatch
    from learner.losses.registry import make_loss

    zeros = torch.zeros(2)
    batch = TokenBatch(torch.tensor([-1.0, -2.0]), zeros, zeros, torch.tensor([3.0, -4.0]), torch.tensor([0, 0]), 1)
    output = make_loss(LossConfig(name="asymmetric"))(batch, torch.tensor([1.0, 0.5]))
    # -1 · 3 · -1, and -0.5 · (0.5 · -4) · -2.
    assert output.per_token.tolist() == [3.0, -2.0]


@installed("own_transport")
def test_a_transport_of_ones_own_copies_and_gives_the_order(
    example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from actors.weights.publisher import make_transport
    from actors.weights.records import Member, Order
    from actors.weights.transports.files import file_name

    class Listening:
        members: tuple[Member, ...] = ()
        orders: list[Order]

        def give(self, order: Order) -> int:
            self.orders.append(order)
            return 7

        def carried_out(self, number: int) -> None:
            raise AssertionError("nothing to wait for")

        def seconds_left(self) -> float:
            return 1.0

    for name in ("registry", "copies"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("AZR_COPIES", str(tmp_path / "copies"))
    version = Version(0, 3)
    (tmp_path / "registry" / file_name(version)).write_bytes(b"weights")
    fleet = Listening()
    fleet.orders = []
    transport = make_transport("copied", tmp_path / "registry", WeightsConfig(transport="copied"))
    assert transport.carry(version, "sum", {}, fleet) == 7
    assert [(order.action, order.version, order.checksum) for order in fleet.orders] == [("file", version, "sum")]
    assert (tmp_path / "copies" / file_name(version)).read_bytes() == b"weights"


def test_an_unknown_transport_is_refused_with_the_nearest(tmp_path: Path) -> None:
    from actors.weights.publisher import make_transport

    with pytest.raises(ConfigError, match="did you mean 'gloo'"):
        make_transport("glou", tmp_path, WeightsConfig())


@installed("own_transport")
def test_without_its_folder_the_example_is_made_all_the_same_and_fails_as_it_carries(
    example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from actors.weights.publisher import make_transport

    monkeypatch.delenv("AZR_COPIES", raising=False)
    transport = make_transport("copied", tmp_path, WeightsConfig(transport="copied"))
    with pytest.raises(KeyError, match="AZR_COPIES"):
        transport.carry(Version(0, 3), "sum", {}, None)  # type: ignore[arg-type]


@installed("own_tracker")
def test_a_tracker_of_ones_own_is_told(example: str, tmp_path: Path) -> None:
    from azr.run.tracking import RunInfo, TrackingBoard

    folder = RunFolder(tmp_path / "run")
    folder.root.mkdir()
    config = TrackingConfig(mlflow="off", plugins=["csv"])
    board = TrackingBoard.of(config, folder, tell=print, on_id=print)
    board.start(RunInfo(name="run", folder=str(folder.root), parameters={}))
    board.metrics(1, {"learner/lr": 0.5, "loss/policy": 3.0})
    board.metrics(2, {"learner/lr": 0.25, "loss/entropy": 1.5})
    board.finish("finished")
    deadline = time.monotonic() + 10
    while (folder.root / "table.csv").read_text().count("\n") < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert (folder.root / "table.csv").read_text().splitlines() == [
        "step,learner/lr,learner/grad_norm,loss/entropy",
        "1,0.5,,",
        "2,0.25,,1.5",
    ]


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_page_names_the_folder_its_group_and_its_name(folder: str) -> None:
    text = PAGE.read_text()
    assert f"examples/{folder}" in text
    for group, named in entries_of(EXAMPLES / folder).items():
        assert group in text
        assert all(name in text for name in named)


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_command_that_an_example_gives_composes(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(folder, tmp_path / "installed", monkeypatch)
    [source] = (EXAMPLES / folder).glob("*.py")
    found = re.search(
        r"^    (?:\w+=\S+ )?azr train --config (\S+) ((?:\S+ ?)+)$", source.read_text(), flags=re.MULTILINE
    )
    assert found, "the example's docstring holds the command, with a model"
    check(load([found[1]], found[2].split()))


def test_what_is_not_installed_is_refused_with_its_key_and_group() -> None:
    with pytest.raises(ConfigError, match=r"algorithm\.loss\.name: nothing is called 'asymmetric'.*(\n.*)*azr\.losses"):
        load_plugin(LOSSES, "asymmetric", "algorithm.loss.name", ("ppo",))
    assert plugin_names(LOSSES) == ()


def test_a_configuration_that_names_what_is_not_installed_is_refused_at_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["config", "show", "algorithm.loss.name=asymmetric"]) == 1
    assert "'asymmetric' is not known" in capsys.readouterr().err


def test_one_that_cannot_be_imported_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    announce(tmp_path / "installed", "broken", {LOSSES: {"broken": "nowhere_at_all:Loss"}}, monkeypatch)
    with pytest.raises(ConfigError, match=r"'broken' cannot be loaded: ModuleNotFoundError"):
        load_plugin(LOSSES, "broken", "algorithm.loss.name")


def test_one_that_two_packages_bring_is_not_chosen_between(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("one", "other"):
        announce(tmp_path / package, package, {LOSSES: {"twice": f"{package}:Loss"}}, monkeypatch)
    with pytest.raises(ConfigError, match=r"loss\.name: 'twice' is brought by one \(one:Loss\) and by other \(other:"):
        load_plugin(LOSSES, "twice", "algorithm.loss.name")


def test_a_task_type_under_another_name_than_its_own_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install("own_task", tmp_path / "one", monkeypatch)
    announce(tmp_path / "two", "alias", {"azr.tasks": {"alias": "own_task:TypeName"}}, monkeypatch)
    with pytest.raises(ConfigError, match="calls itself 'type_name'"):
        check(load([], ["algorithm.game.task_types=[deduction,alias]"]))
    assert main(["prompts", "show", "alias/solve"]) == 1
    assert "calls itself 'type_name'" in capsys.readouterr().err
