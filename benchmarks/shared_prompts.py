"""What computing a prompt once for all its responses saves the learner, by how long prompts and responses are.

Owns the comparison: the product's own `Trainer` takes the same step, groups of responses to one prompt each, with
`learner.share_prompts` and without, in turns, as one mini-batch. Weights are random and advantages invented: neither
changes what it costs.

    prompt:response x responses, groups ──► one batch ──┬─► trainer that shares   ──► seconds of a step ──► ratio
                                                        └─► trainer that does not ──► seconds of a step
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from azr.bench import Report, interleave
from azr.cli.numbers import whole
from azr.config.sections.algorithm import LossConfig, OptimiserConfig
from azr.config.sections.learner import LearnerConfig
from azr.errors import UsageError
from benchmarks.device_time import synchronised
from benchmarks.model_shapes import SHAPES, Shape
from learner.policy import load_policy
from learner.process_group import group_of_one
from learner.samples import Sample, StepBatch
from learner.trainer import Trainer

SUMMARY = "learner steps that compute a shared prompt once, beside those that compute it for each response"


class Group(NamedTuple):
    """Responses to one prompt, by lengths."""

    prompt: int
    response: int

    @classmethod
    def parse(cls, text: str) -> Group:
        """From `prompt:response`."""
        prompt, _, response = text.partition(":")
        if not (prompt.isdigit() and response.isdigit() and int(prompt) and int(response)):
            raise UsageError(f"{text!r} is no pair of lengths", "write tokens of prompt and response, e.g. 512:2048")
        return cls(int(prompt), int(response))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare model, lengths and number of responses."""
    parser.add_argument("--shape", default=None, help=f"of {', '.join(SHAPES)} (default: tiny on a CPU, else 1.5b)")
    parser.add_argument(
        "--lengths",
        nargs="+",
        default=None,
        metavar="PROMPT:RESPONSE",
        help="tokens (default: 28:5 64:64 64:256 on a CPU; 512:512 512:2048 512:8192 on a GPU)",
    )
    parser.add_argument("--responses", type=whole(1), default=8, help="to each prompt (default: %(default)s)")
    parser.add_argument(
        "--groups", type=whole(0), default=0, help="prompts a step (default: as many as fill two budgets)"
    )
    parser.add_argument("--rounds", type=whole(1), default=5, help="each side takes turns (default: %(default)s)")


def run(arguments: argparse.Namespace, report: Report) -> None:
    """Both sides in turns, at each pair of lengths."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    name = arguments.shape or ("tiny" if device.type == "cpu" else "qwen2.5-1.5b")
    if name not in SHAPES:
        raise UsageError(f"no shape is called {name!r}", f"choose among {', '.join(SHAPES)}")
    usual = ["28:5", "64:64", "64:256"] if device.type == "cpu" else ["512:512", "512:2048", "512:8192"]
    report.settings |= {"shape": name, "responses": arguments.responses, "threads": torch.get_num_threads()}
    with group_of_one(device):
        for group in [Group.parse(text) for text in arguments.lengths or usual]:
            _measure(SHAPES[name], group, arguments, device, report)


def _measure(shape: Shape, group: Group, arguments: argparse.Namespace, device: torch.device, report: Report) -> None:
    """One pair of lengths."""
    budget = max(shape.budget, group.prompt + arguments.responses * group.response)
    each = group.prompt + group.response
    count = arguments.groups or max(1, 2 * budget // (arguments.responses * each))
    batch = StepBatch(samples_of(group, arguments.responses, count, shape.vocabulary), 0)
    label = f"{group.prompt} + {group.response}"
    sides = {f"{label}: shared": True, f"{label}: alone": False}
    trainers = {side: _trainer(shape, budget, device, share=share) for side, share in sides.items()}
    tokens = int(batch.lengths().sum())
    computed: dict[str, float] = {}

    def step(side: str) -> Callable[[], float]:
        def once() -> None:
            computed[side] = trainers[side].step(batch).metrics["learner/computed_share"]

        return lambda: tokens / synchronised(once, device)

    rounds = interleave({side: step(side) for side in sides}, arguments.rounds, progress=report.progress)
    report.measures("tokens/s", rounds)
    shared, alone = sides
    report.ratio(f"{label}: shared over alone", shared, alone)
    report.measure(f"{label}: tokens computed", "share", [computed[shared]], better="lower")


def samples_of(group: Group, responses: int, count: int, vocabulary: int) -> list[Sample]:
    """So many groups of invented tokens."""
    generator = np.random.default_rng(0)
    samples = []
    for number in range(count):
        prompt = generator.integers(0, vocabulary, group.prompt).astype(np.int32)
        for _ in range(responses):
            response = generator.integers(0, vocabulary, group.response).astype(np.int32)
            logprobs = np.full(group.response, -np.log(vocabulary), np.float32)
            steps = np.zeros(group.response, np.int64)
            samples.append(Sample(prompt, response, logprobs, float(generator.normal()), 1.0, number, steps))
    return samples


def _trainer(shape: Shape, budget: int, device: torch.device, *, share: bool) -> Trainer:
    config = LearnerConfig(
        tokens_per_micro_batch=budget, checkpointing=shape.checkpointing, report_entropy=False, share_prompts=share
    )
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder, device:
        policy = load_policy(shape.save(Path(folder)), random_weights=True)
    return Trainer(policy, LossConfig(minibatches=1), OptimiserConfig(lr=1e-6), config, device=device)
