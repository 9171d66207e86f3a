"""The section `rollout` refuses what cannot run, with the key and the mend."""

from __future__ import annotations

import pytest

from azr.config import load
from azr.errors import ConfigError


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("rollout.replicas=0", "rollout.replicas: 0 is out of range (it must be at least 1)"),
        ("rollout.proposer_replicas=0", "rollout.proposer_replicas: 0 is out of range"),
        ("rollout.standby=-1", "rollout.standby: -1 is out of range (it must be at least 0)"),
        ("rollout.tensor_parallel=0", "rollout.tensor_parallel: 0 is out of range"),
        ("rollout.threads=0", "rollout.threads: 0 is out of range"),
        ("rollout.replicas_per_node=-1", "rollout.replicas_per_node: -1 is out of range"),
        ("rollout.max_sequences=0", "rollout.max_sequences: 0 is out of range"),
        ("rollout.memory_fraction=0", "rollout.memory_fraction: 0.0 is out of range (it must be between 0.01 and 1)"),
        ("rollout.memory_fraction=85", "rollout.memory_fraction: 85.0 is out of range"),
        ("rollout.attempts=0", "rollout.attempts: 0 is out of range"),
        ("rollout.max_requests=0", "rollout.max_requests: 0 is out of range"),
        ("rollout.health_check_seconds=0", "rollout.health_check_seconds: 0.0 is out of range"),
        ("rollout.scale_up_wait=20", "rollout.scale_up_wait: 20.0 is out of range (it must be between 0 and 1)"),
        ("rollout.dtype=fp8", "rollout.dtype: 'fp8' is not known (choose one of auto, float32, bfloat16, float16)"),
    ],
)
def test_a_value_that_cannot_run_is_refused_with_its_key(override: str, told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load([], [override])
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["0.5"], "rollout.kv_cache_mb: engines that share a card cannot measure what it leaves them"),
        (["0.5", "rollout.tensor_parallel=2"], "rollout.gpus_per_replica: 0.5 does not go with 2 workers of an engine"),
        (["1", "rollout.tensor_parallel=2"], "rollout.gpus_per_replica: 1 does not go with 2 workers"),
        (["1.5"], "rollout.gpus_per_replica: 1.5 does not go with 1 workers"),
        ([".nan"], "rollout.gpus_per_replica: nan is out of range"),
        ([".inf"], "rollout.gpus_per_replica: inf does not go with 1 workers"),
    ],
)
def test_shares_of_cards_that_cannot_work_are_refused(overrides: list[str], told: str) -> None:
    share, *others = overrides
    with pytest.raises(ConfigError) as refused:
        load([], [f"rollout.gpus_per_replica={share}", *others])
    assert told in str(refused.value)


def test_a_part_of_a_card_passes_with_a_cache_of_its_own_size_and_several_cards_whole() -> None:
    load([], ["rollout.gpus_per_replica=0.25", "rollout.kv_cache_mb=4096"])
    load([], ["rollout.gpus_per_replica=2", "rollout.tensor_parallel=2"])
    load([], ["rollout.gpus_per_replica=0", "rollout.tensor_parallel=2"])


def test_engines_that_would_refuse_the_longest_prompts_are_refused() -> None:
    for override in ("rollout.max_model_len=14239", "lengths.response=8097", "lengths.content=6145"):
        with pytest.raises(ConfigError) as refused:
            load([], ["rollout.max_model_len=14240", override])
        assert "does not hold the longest prompt (lengths.prompt, lengths.content) with its" in str(refused.value)
    assert "rollout.max_model_len: 14240 does" in str(refused.value)
    assert "(set 14241 at least, or 0 for what the model allows, or lower lengths.response)" in str(refused.value)
    assert load([], ["rollout.max_model_len=14240"]).rollout.max_model_len == 14240


def test_numbers_that_leave_a_choice_to_others_pass() -> None:
    chosen = load([], ["rollout.gpus_per_replica=-1", "rollout.kv_cache_mb=0", "rollout.max_model_len=0"]).rollout
    assert (chosen.gpus_per_replica, chosen.kv_cache_mb, chosen.max_model_len) == (-1.0, 0, 0)
