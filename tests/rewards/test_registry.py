"""Terms by name: ours, and users' own through entry points."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest

import azr
from azr.config.sections.algorithm import ProposerRewardConfig, TermConfig
from azr.errors import ConfigError
from azr.game.rewards import ProposerReward, RatedProposal
from azr.game.rewards.registry import BUILT_IN, GROUP, find_term, make_term, term_names
from tests.plugins import announce

EXAMPLE = Path(azr.__file__).parents[1] / "docs" / "examples" / "own_reward"


def install(folder: Path, entries: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What installing a distribution leaves on the path as far as entry points go."""
    information = folder / "own_reward-0.1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: own-reward\nVersion: 0.1.0\n")
    lines = [f"[{GROUP}]", *(f"{name} = {target}" for name, target in entries.items())]
    (information / "entry_points.txt").write_text("\n".join(lines) + "\n")
    monkeypatch.syspath_prepend(str(folder))


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    install(tmp_path, project["entry-points"][GROUP], monkeypatch)
    monkeypatch.syspath_prepend(str(EXAMPLE))
    monkeypatch.delitem(sys.modules, "own_reward", raising=False)


def test_the_documented_example_is_found_by_name_and_judges(example: None) -> None:
    assert "brevity" in term_names()
    config = ProposerRewardConfig(
        learnability="min_p", terms={"brevity": TermConfig(coefficient=0.1, cap=0.1, options={"lines": 4})}
    )
    batch = [RatedProposal(valid=True, right=4, attempts=8, program=text) for text in ("one", "one\ntwo\nthree")]
    # ½ + 0.1·1 and ½ + 0.1·(1 - 2/4).
    assert [judged.reward for judged in ProposerReward(config).rewards(batch)] == pytest.approx([0.6, 0.55])


def test_the_example_is_not_imported_while_it_is_off(example: None) -> None:
    ProposerReward(ProposerRewardConfig(terms={"brevity": TermConfig(coefficient=0.0)}))
    assert "own_reward" not in sys.modules


def test_every_term_of_ours_can_be_made_without_options() -> None:
    for name in BUILT_IN:
        make_term(name, TermConfig(coefficient=1.0))


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'complexity'"):
        find_term("complexty")


def test_ours_goes_before_a_users_of_the_same_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, {"complexity": "nowhere:Nothing"}, monkeypatch)
    assert find_term("complexity") is BUILT_IN["complexity"]


def test_one_that_two_packages_bring_is_refused_with_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("one", "other"):
        announce(tmp_path / package, package, {GROUP: {"twice": f"{package}:Term"}}, monkeypatch)
    with pytest.raises(ConfigError, match=r"'twice' is brought by one \(one:Term\) and by other \(other:Term\)"):
        find_term("twice")


@pytest.mark.parametrize("target", ["nowhere_at_all:Nothing", "json:Nothing"])
def test_a_term_that_cannot_be_loaded_is_named_with_its_group(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, {"lost": target}, monkeypatch)
    with pytest.raises(ConfigError, match=r"'lost' cannot be loaded.*(\n.*)*azr\.rewards"):
        find_term("lost")


@pytest.mark.parametrize("options", [{"scal": 3.0}, {"scale": -1.0}])
def test_wrong_options_are_told_with_their_key(options: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=r"algorithm\.proposer_reward\.terms\.complexity\.options"):
        make_term("complexity", TermConfig(coefficient=1.0, options=dict(options)))


def test_a_class_that_is_no_term_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, {"odd": "pathlib:Path"}, monkeypatch)
    with pytest.raises(ConfigError, match="has no method `values`"):
        make_term("odd", TermConfig(coefficient=1.0))
