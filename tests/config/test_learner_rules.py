"""The section `learner` refuses what cannot run, with the key and the mend."""

from __future__ import annotations

import pytest

from azr.config import load
from azr.config.sections.learner import ATTENTIONS
from azr.errors import ConfigError


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["learner.checkpoint_every=0"], "learner.checkpoint_every: 0 is out of range (it must be at least 1)"),
        (["learner.ranks=0"], "learner.ranks: 0 is out of range (it must be at least 1)"),
        (["learner.threads=-1"], "learner.threads: -1 is out of range (it must be at least 0)"),
        (["learner.tokens_per_micro_batch=0"], "learner.tokens_per_micro_batch: 0 is out of range"),
        # 6,144 tokens of prompt and 8,096 of response, the last of which is not computed.
        (
            ["learner.tokens_per_micro_batch=14238"],
            "learner.tokens_per_micro_batch: 14238 does not hold the longest prompt (lengths.prompt, lengths.content) "
            "with its response (lengths.response) (set 14239 at least, or lower lengths.response)",
        ),
        (["lengths.content=9000"], "learner.tokens_per_micro_batch: 16384 does not hold the longest prompt"),
        (["learner.keep_every=-1"], "learner.keep_every: -1 is out of range (it must be at least 0)"),
        (["learner.restarts=-1"], "learner.restarts: -1 is out of range"),
        (["learner.health_check_seconds=0"], "learner.health_check_seconds: 0.0 is out of range"),
        (["learner.health_check_seconds=.nan"], "learner.health_check_seconds: nan is out of range"),
        (["learner.attention=flash"], "learner.attention: 'flash' is not known (choose one of auto, flash_attention_3"),
        (
            ["learner.compute_dtype=float32", "learner.attention=flash_attention_2"],
            "learner.attention: flash_attention_2 computes in half precision, and learner.compute_dtype is float32",
        ),
        (["learner.checkpointing=half"], "learner.checkpointing: 'half' is not known (choose one of none, selective"),
        (["learner.compute_dtype=int8"], "learner.compute_dtype: 'int8' is not known"),
        (["learner.lora.rank=-1"], "learner.lora.rank: -1 is out of range"),
        (["learner.lora.rank=8", "learner.lora.alpha=0"], "learner.lora.alpha: 0.0 leaves adapters without effect"),
        (["learner.lora.rank=8", "learner.lora.targets=[]"], "learner.lora.targets: no layer gets an adapter"),
    ],
)
def test_a_value_that_cannot_run_is_refused_with_its_key(overrides: list[str], told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load([], overrides)
    assert told in str(refused.value)


def test_adapters_that_are_off_need_neither_layers_nor_weight() -> None:
    assert load([], ["learner.lora.targets=[]", "learner.lora.alpha=0"]).learner.lora.rank == 0


def test_the_attention_back_ends_that_there_are_may_be_named() -> None:
    from learner.attention.registry import BACKENDS

    assert ("auto", *(backend.name for backend in BACKENDS)) == ATTENTIONS
