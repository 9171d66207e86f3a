"""Does correcting for age matter? A tiny language model learns from data that is eight steps old, corrected and not.

Owns the toy and its table. The world is small enough to be summed up exactly: every prompt has VOCABULARY² responses
of two tokens, and a response earns 1 when a sum says so (`(x + 2y) mod VOCABULARY = prompt`), else 0. So the curve is
the true expected reward of the weights, not an estimate, and the best policy earns 1.

    weights of step t - η ──sample──► responses, exact log μ ──► Trainer.step ──► weights of step t + 1
              ▲                                               the product's own         │
              └──────────────────────── η steps in line ◄───────────────────────────────┘
"""

from __future__ import annotations

import argparse
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from transformers import AutoModelForCausalLM, Qwen3Config

from azr.bench import Report
from azr.cli.numbers import whole
from azr.config.sections.algorithm import LossConfig, OptimiserConfig
from azr.config.sections.learner import LearnerConfig
from learner.attention.registry import IMPLEMENTATION, install
from learner.policy import Policy
from learner.samples import Sample, StepBatch
from learner.trainer import Trainer

SUMMARY = "learning from data of old weights: corrected losses reach the optimum, the uncorrected one does not"

VOCABULARY = 12
PROMPTS = 6

#: Responses to each prompt that a step is trained on.
_RESPONSES = 32
#: High enough that eight steps change the policy much: with steps so small that old data is nearly on policy, nobody
#: needs a correction. It falls along a cosine, so that a curve ends where its weights are and not where they tremble.
_LEARNING_RATE = 3e-3

#: A corrected loss has reached the optimum when the end of its curve is above this; the uncorrected one has to fail.
_REACHED = 0.95

_COLOURS = ("#c44e52", "#4c72b0", "#55a868", "#8172b2", "#ccb974", "#da8bc3", "#64b5cd")


@dataclass(frozen=True)
class Contender:
    """A loss with its correction."""

    name: str
    loss: LossConfig
    corrected: bool = True


CONTENDERS = (
    Contender("reinforce, uncorrected", LossConfig(name="reinforce", weight="none"), corrected=False),
    Contender("reinforce + sequence_tis", LossConfig(name="reinforce", weight="sequence_tis")),
    Contender("reinforce + vtrace", LossConfig(name="reinforce", weight="vtrace")),
    Contender("ppo", LossConfig(name="ppo", weight="none")),
    Contender("decoupled_ppo + token_tis", LossConfig(name="decoupled_ppo", weight="token_tis")),
    Contender("cispo", LossConfig(name="cispo", weight="none")),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare staleness, steps, seeds and where the curves are drawn."""
    parser.add_argument("--staleness", type=whole(0), default=8, help="age of the data in steps (default: %(default)s)")
    parser.add_argument("--steps", type=whole(1), default=300, help="learner steps of a run (default: %(default)s)")
    parser.add_argument("--seeds", type=whole(1), default=5, help="runs of each contender (default: %(default)s)")
    parser.add_argument("--curves", type=Path, default=None, help="draw the curves into this file (.png, .svg)")


def run(arguments: argparse.Namespace, report: Report) -> None:
    """Every contender with old data, the uncorrected one with fresh data beside them; the ends of the curves judged."""
    report.settings |= {
        "staleness": arguments.staleness,
        "steps": arguments.steps,
        "seeds": arguments.seeds,
        "learning rate": _LEARNING_RATE,
        "responses a prompt": _RESPONSES,
    }
    fresh = replace(CONTENDERS[0], name="reinforce, fresh data")
    curves: dict[str, list[npt.NDArray[np.float64]]] = {}
    for contender, staleness in [*((each, arguments.staleness) for each in CONTENDERS), (fresh, 0)]:
        for seed in range(arguments.seeds):
            report.progress(f"{contender.name}, seed {seed}")
            curve = np.fromiter(learn(contender.loss, staleness, arguments.steps, seed), np.float64)
            curves.setdefault(contender.name, []).append(curve)
    for name, runs in curves.items():
        report.measure(name, "expected reward at the end", [end_of(curve) for curve in runs])
    for contender in CONTENDERS:
        ends = [end_of(curve) for curve in curves[contender.name]]
        if contender.corrected:
            report.goal(f"{contender.name}, median of seeds", float(np.median(ends)), at_least=_REACHED)
        else:
            report.goal(f"{contender.name}, best of seeds", max(ends), at_most=_REACHED)
    report.note(
        "the expected reward is summed over all responses; its end is the mean over the last tenth of the steps"
    )
    if arguments.curves:
        draw(curves, arguments.curves, arguments.staleness)


def end_of(curve: npt.NDArray[np.float64]) -> float:
    """Mean over the last tenth."""
    return float(curve[-max(1, len(curve) // 10) :].mean())


def rewards() -> npt.NDArray[np.float64]:
    """What each response earns: [prompt, response], response = first · VOCABULARY + second."""
    prompt, first, second = np.ogrid[:PROMPTS, :VOCABULARY, :VOCABULARY]
    return np.asarray((first + 2 * second) % VOCABULARY == prompt, np.float64).reshape(PROMPTS, -1)


def learn(loss: LossConfig, staleness: int, steps: int, seed: int) -> Iterator[float]:
    """The true expected reward before each step."""
    trainer = Trainer(
        _policy(seed),
        replace(loss, minibatches=1, entropy_coefficient=0.0),
        OptimiserConfig(lr=_LEARNING_RATE, decay_updates=steps, weight_decay=0.0),
        LearnerConfig(tokens_per_micro_batch=4 * PROMPTS * VOCABULARY**2, report_entropy=False),
        device=torch.device("cpu"),
        seed=seed,
    )
    generator, earned = np.random.default_rng(seed), rewards()
    everything = StepBatch(
        [_sample(prompt, response) for prompt in range(PROMPTS) for response in range(VOCABULARY**2)], 0
    )
    in_line: deque[npt.NDArray[np.float32]] = deque(maxlen=staleness + 1)
    for step in range(steps):
        scores = torch.stack(trainer.score(everything)).numpy().reshape(PROMPTS, VOCABULARY**2, 2)
        in_line.append(scores)
        yield float((_probabilities(scores) * earned).sum(axis=1).mean())
        trainer.step(StepBatch(list(_drawn(in_line[0], earned, max(0, step - staleness), generator)), step))


def _drawn(
    log_mu: npt.NDArray[np.float32], earned: npt.NDArray[np.float64], step: int, generator: np.random.Generator
) -> Iterator[Sample]:
    """Responses of the weights with these log-probabilities, with leave-one-out advantages."""
    probabilities = _probabilities(log_mu)
    for prompt in range(PROMPTS):
        chances = probabilities[prompt] / probabilities[prompt].sum()
        responses = generator.choice(VOCABULARY**2, _RESPONSES, p=chances)
        reward = earned[prompt, responses]
        others = (reward.sum() - reward) / (_RESPONSES - 1)
        for response, advantage in zip(responses.tolist(), (reward - others).tolist(), strict=True):
            yield replace(
                _sample(prompt, response),
                behaviour_logprobs=log_mu[prompt, response],
                advantage=advantage,
                token_steps=np.full(2, step),
            )


def _probabilities(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """[prompt, response] of [prompt, response, token] log-probabilities."""
    return np.asarray(np.exp(scores.astype(np.float64).sum(axis=-1)))


def _sample(prompt: int, response: int) -> Sample:
    pair = np.array(divmod(response, VOCABULARY), np.int32)
    return Sample(np.array([VOCABULARY + prompt], np.int32), pair, np.zeros(2, np.float32), 0.0, prompt=prompt)


def _policy(seed: int) -> Policy:
    """A one-layer transformer of random weights; prompts are tokens after those of responses."""
    torch.manual_seed(seed)
    install("sdpa")
    config = Qwen3Config(
        vocab_size=VOCABULARY + PROMPTS,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=8,
        tie_word_embeddings=False,
    )
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation=IMPLEMENTATION)
    return Policy(model)


def draw(curves: dict[str, list[npt.NDArray[np.float64]]], path: Path, staleness: int) -> None:
    """Mean over seeds as a line, all seeds as a band."""
    import matplotlib

    from azr.files import replacing

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    try:
        for (name, runs), colour in zip(curves.items(), _COLOURS, strict=True):
            stacked = np.stack(runs)
            axis.plot(stacked.mean(axis=0), label=name, color=colour)
            axis.fill_between(
                range(stacked.shape[1]), stacked.min(axis=0), stacked.max(axis=0), color=colour, alpha=0.12
            )
        axis.set_xlabel("learner steps")
        axis.set_ylabel("true expected reward")
        axis.set_title(f"data {staleness} steps old; band: all {len(next(iter(curves.values())))} seeds", fontsize=10)
        axis.legend(fontsize=8, loc="lower right")
        axis.spines[["top", "right"]].set_visible(False)
        with replacing(path) as file:
            figure.savefig(file, format=path.suffix.removeprefix("."), dpi=120)
    finally:
        pyplot.close(figure)
