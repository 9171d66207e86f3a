"""A tiny Qwen2 of random weights and batches for it: what the trainer's tests train."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForCausalLM, Qwen2Config

from azr.config.sections.algorithm import LossConfig, OptimiserConfig
from azr.config.sections.learner import LearnerConfig
from learner.policy import Policy, load_policy
from learner.samples import Sample, StepBatch
from learner.trainer import Trainer

VOCABULARY = 64


def save_tiny_model(folder: Path, *, tied: bool = True) -> Path:
    """A Hugging Face folder with a two-layer model of about 20k parameters."""
    config = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        tie_word_embeddings=tied,
    )
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder


def tiny_policy(folder: Path) -> Policy:
    return load_policy(folder, attention="sdpa")


def make_trainer(
    folder: Path,
    loss: LossConfig | None = None,
    *,
    learner: LearnerConfig | None = None,
    lr: float = 1e-3,
    seed: int = 0,
    caches_kept: bool = False,
) -> Trainer:
    """A trainer of the tiny model on the CPU."""
    return Trainer(
        tiny_policy(folder),
        loss or LossConfig(),
        OptimiserConfig(lr=lr),
        learner or LearnerConfig(tokens_per_micro_batch=64),
        device=torch.device("cpu"),
        seed=seed,
        caches_kept=caches_kept,
    )


def random_samples(seed: int, count: int = 12, *, step: int = 0) -> list[Sample]:
    """Responses of uneven lengths with invented advantages and behaviour log-probs."""
    generator = np.random.default_rng(seed)
    samples = []
    for index in range(count):
        prompt, response = generator.integers(1, 12), generator.integers(1, 20)
        samples.append(
            Sample(
                prompt_ids=generator.integers(0, VOCABULARY, prompt).astype(np.int32),
                response_ids=generator.integers(0, VOCABULARY, response).astype(np.int32),
                behaviour_logprobs=np.full(response, -np.log(VOCABULARY), dtype=np.float32),
                advantage=float(generator.normal()),
                prompt=index // 3,
                token_steps=np.full(response, step, dtype=np.int64),
            )
        )
    return samples


def on_policy_batch(trainer: Trainer, seed: int = 0, count: int = 12, *, step: int = 0) -> StepBatch:
    """The same samples with the trainer's own log-probs as behaviour: data of these very weights."""
    samples = random_samples(seed, count, step=step)
    scores = trainer.score(StepBatch(samples, step))
    return StepBatch(
        [
            Sample(
                sample.prompt_ids,
                sample.response_ids,
                score.numpy(),
                sample.advantage,
                sample.weight,
                sample.prompt,
                sample.token_steps,
            )
            for sample, score in zip(samples, scores, strict=True)
        ],
        step,
    )
