"""The shipped model is the same model to transformers and to vLLM: tokens, text and log-probabilities."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from azr.tiny import shipped
from azr.tiny.evaluation import questions

#: Importing vLLM and starting its engine: some 20 s on a quiet machine, minutes on a busy one.
_SECONDS = 280


@pytest.fixture(scope="module")
def prompts() -> list[str]:
    """A prompt of every cell and several more."""
    return [prompt for question in questions(tasks=2, samples=0) for prompt in question.prompts]


@pytest.fixture(scope="module")
def samples(prompts: list[str]) -> dict[str, list[dict[str, Any]]]:
    """What vLLM's CPU engine answers, greedily and sampled; one engine for all tests, in a process of its own."""
    script = Path(__file__).with_name("vllm_samples.py")
    answer = subprocess.run(
        [sys.executable, str(script), str(shipped.folder())],
        input=json.dumps(prompts),
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr[-2000:]
    found: dict[str, list[dict[str, Any]]] = json.loads(answer.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def model() -> Any:
    return AutoModelForCausalLM.from_pretrained(shipped.folder(), dtype=torch.float32).eval()


@pytest.mark.parametrize("sampling", ["greedy", "sampled"])
def test_log_probabilities_agree_token_by_token(
    samples: dict[str, list[dict[str, Any]]], model: Any, sampling: str
) -> None:
    largest = 0.0
    for sample in samples[sampling]:
        ids = torch.tensor([sample["prompt_ids"] + sample["response_ids"]])
        with torch.no_grad():
            log_p = model(input_ids=ids).logits[0, :-1].log_softmax(-1)
        scored = log_p.gather(1, ids[0, 1:, None]).squeeze(1)[len(sample["prompt_ids"]) - 1 :]
        if sampling == "sampled":  # a greedy engine processes logits to a certainty
            largest = max(largest, float((scored - torch.tensor(sample["logprobs"])).abs().max()))
        else:
            choices = log_p[len(sample["prompt_ids"]) - 1 :].max(-1).values
            largest = max(largest, float((scored - choices).abs().max()))
    assert largest <= 1e-5


def test_both_read_and_write_the_same_tokens(samples: dict[str, list[dict[str, Any]]], prompts: list[str]) -> None:
    tokenizer = AutoTokenizer.from_pretrained(shipped.folder())
    for prompt, sample in zip(prompts, samples["sampled"], strict=True):
        assert tokenizer(prompt, add_special_tokens=False)["input_ids"] == sample["prompt_ids"]
        assert tokenizer.decode(sample["response_ids"], skip_special_tokens=True) == sample["text"]


def test_responses_end_by_the_end_token_and_not_by_a_limit(samples: dict[str, list[dict[str, Any]]]) -> None:
    tokenizer = AutoTokenizer.from_pretrained(shipped.folder())
    ended = [sample["response_ids"][-1] == tokenizer.eos_token_id for sample in samples["greedy"]]
    assert sum(ended) >= 0.9 * len(ended)
