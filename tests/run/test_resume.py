"""What a resume may change is a list of keys; everything else is refused by name."""

from __future__ import annotations

from fnmatch import fnmatch

import pytest
from omegaconf import OmegaConf

from azr.config import load, resolved_yaml
from azr.config.load import known_keys
from azr.errors import AzrError
from azr.run.resume import ALLOWED, allowed, changed_keys, check_changes


def plain(*overrides: str) -> dict[str, object]:
    return dict(OmegaConf.to_container(OmegaConf.create(resolved_yaml(load([], overrides)))))  # type: ignore[arg-type]


def test_no_change_is_no_change() -> None:
    assert check_changes(plain(), plain()) == {}


@pytest.mark.parametrize(
    "override",
    ["run.minutes=60", "rollout.replicas=2", "learner.ranks=2", "algorithm.optimiser.lr=2e-6", "evaluation.tasks=7"],
)
def test_how_fast_where_and_how_long_may_change(override: str) -> None:
    changes = check_changes(plain(), plain(override))
    assert list(changes) == [override.partition("=")[0]]


@pytest.mark.parametrize(
    "override",
    [
        "staleness.max_staleness=2",
        "algorithm.batch.propose=32",
        "run.seed=3",
        "run.name=other",
        "model.path=else",
        "model.frame=chat",
        "gating.equality=exact",
        "sandbox.timeout_seconds=9",
        "evaluation.suite=tiny",
        "actors.experience_shards=2",
        "learner.lora.rank=8",
    ],
)
def test_what_the_books_and_the_experiment_rest_on_may_not(override: str) -> None:
    with pytest.raises(AzrError, match="these keys differ") as refused:
        check_changes(plain(), plain(override))
    assert override.partition("=")[0] in refused.value.what
    assert "run.minutes" in refused.value.mend


def test_all_refused_keys_are_named_with_both_values() -> None:
    with pytest.raises(AzrError) as refused:
        check_changes(plain(), plain("run.seed=3", "gating.equality=exact", "run.minutes=3"))
    assert "run.seed: 0 -> 3" in refused.value.what
    assert "gating.equality: python -> exact" in refused.value.what
    assert "run.minutes" not in refused.value.what


def test_a_key_that_one_side_lacks_differs() -> None:
    assert changed_keys({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}) == {"a.c": ("—", "2")}


def test_each_pattern_names_keys_that_exist() -> None:
    keys = known_keys()
    assert [pattern for pattern in ALLOWED if not any(fnmatch(key, pattern) for key in keys)] == []
    assert allowed("cluster.cpus")
