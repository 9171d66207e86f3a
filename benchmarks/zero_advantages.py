"""What leaving samples without an advantage out of the updates saves the learner, by how many of them there are.

Owns the comparison: the product's own `Trainer` takes the same step, groups of responses to one prompt each of which a
share is all right or all wrong, with `learner.skip_zero_advantages` and without, in turns, as one mini-batch. The
proximal policy is recomputed, as by default: what is left out of the update is scored all the same.

    share of silent groups ──► one batch ──┬─► trainer that leaves them out ──► seconds of a step ──► ratio
                                           └─► trainer that does not       ──► seconds of a step
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace

import torch

from azr.bench import Report, interleave
from azr.config.sections.learner import LearnerConfig
from azr.errors import UsageError
from benchmarks.device_time import synchronised
from benchmarks.model_shapes import SHAPES, Shape
from benchmarks.shared_prompts import Group, samples_of, trainer_of
from learner.process_group import group_of_one
from learner.samples import Sample, StepBatch

SUMMARY = "learner steps whose updates leave out samples without an advantage, beside those that compute all"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare model, lengths and shares."""
    parser.add_argument("--shape", default=None, help=f"of {', '.join(SHAPES)} (default: tiny on a CPU, else 1.5b)")
    parser.add_argument(
        "--lengths",
        default=None,
        metavar="PROMPT:RESPONSE",
        help="tokens (default: 28:5 on a CPU, 512:2048 on a GPU)",
    )
    parser.add_argument(
        "--silent",
        nargs="+",
        type=float,
        default=[0.3, 0.5, 0.7],
        metavar="SHARE",
        help="of groups, without an advantage (default: 0.3 0.5 0.7)",
    )
    parser.add_argument("--responses", type=int, default=8, help="to each prompt (default: %(default)s)")
    parser.add_argument("--groups", type=int, default=0, help="prompts a step (default: as many as fill two budgets)")
    parser.add_argument("--rounds", type=int, default=5, help="each side takes turns (default: %(default)s)")


def run(arguments: argparse.Namespace, report: Report) -> None:
    """Both sides in turns, at each share."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    name = arguments.shape or ("tiny" if device.type == "cpu" else "qwen2.5-1.5b")
    if name not in SHAPES:
        raise UsageError(f"no shape is called {name!r}", f"choose among {', '.join(SHAPES)}")
    if bad := [share for share in arguments.silent if not 0.0 <= share <= 1.0]:
        raise UsageError(f"{bad[0]:g} is no share", "write one from 0 to 1, e.g. 0.5")
    group = Group.parse(arguments.lengths or ("28:5" if device.type == "cpu" else "512:2048"))
    report.settings |= {
        "shape": name,
        "lengths": f"{group.prompt}:{group.response}",
        "responses": arguments.responses,
        "threads": torch.get_num_threads(),
    }
    with group_of_one(device):
        for share in arguments.silent:
            _measure(SHAPES[name], group, share, arguments, device, report)


def _measure(
    shape: Shape, group: Group, share: float, arguments: argparse.Namespace, device: torch.device, report: Report
) -> None:
    """One share."""
    budget = max(shape.budget, group.prompt + arguments.responses * group.response)
    each = group.prompt + group.response
    count = arguments.groups or max(1, 2 * budget // (arguments.responses * each))
    samples = silenced(samples_of(group, arguments.responses, count, shape.vocabulary), share)
    batch = StepBatch(samples, 0)
    label = f"{share:.0%} without an advantage"
    sides = {f"{label}: left out": True, f"{label}: computed": False}
    trainers = {
        side: trainer_of(shape, device, LearnerConfig(tokens_per_micro_batch=budget, skip_zero_advantages=skip))
        for side, skip in sides.items()
    }
    tokens = int(batch.lengths().sum())
    updated: dict[str, float] = {}

    def step(side: str) -> Callable[[], float]:
        def once() -> None:
            updated[side] = trainers[side].step(batch).metrics["learner/updated_share"]

        return lambda: tokens / synchronised(once, device)

    rounds = interleave({side: step(side) for side in sides}, arguments.rounds, progress=report.progress)
    report.measures("tokens/s", rounds)
    left_out, computed = sides
    report.ratio(f"{label}: left out over computed", left_out, computed)
    report.measure(f"{label}: tokens updated from", "share", [updated[left_out]], better="lower")


def silenced(samples: list[Sample], share: float) -> list[Sample]:
    """The samples with the first groups' advantages 0, so many as come nearest to the share."""
    groups = 1 + max(sample.prompt for sample in samples)
    return [replace(sample, advantage=0.0) if sample.prompt < round(share * groups) else sample for sample in samples]
