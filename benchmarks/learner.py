"""How fast the learner trains: tokens a second and what share of the machine's arithmetic that is, by model shape.

Owns the timing of whole steps (the product's own `Trainer`, random weights, packed sequences) and their breakdown.
Parts are timed alone on the same shapes, because a profiler's names tell forward from backward badly; what a device
waits for comes from the profiler.

    shape ──► Trainer under FSDP2 (a group of one) ──► steps ──► tokens/s, operations/s, share of the peak
                └──► attention, head, optimiser alone; collectives and idle time from one profiled step
    attention back ends take turns on the same packed rows
"""

from __future__ import annotations

import argparse
import gc
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from azr.bench import Report, interleave
from azr.cli.numbers import positive, whole
from azr.config.sections.algorithm import LossConfig, OptimiserConfig
from azr.config.sections.learner import LearnerConfig
from azr.errors import UsageError
from azr.run.stopping import leave_on_termination
from benchmarks.device_time import matmul_ceiling, peak_of, profiled, synchronised
from benchmarks.model_shapes import CONVENTION, SHAPES, Shape
from learner.attention.base import AttentionBackend, PackedRows
from learner.attention.registry import BACKENDS, choose, survey
from learner.logprob_head import token_logprobs
from learner.policy import load_policy
from learner.process_group import group_of_one
from learner.samples import Sample, StepBatch
from learner.sharding import compute_dtype
from learner.trainer import Trainer, supervised

SUMMARY = "tokens/s and share of the machine's arithmetic of learner steps, by model shape, with a breakdown"

#: Tokens of each sequence that are prompt, as a share: they go through the body and not through the head.
_PROMPT_SHARE = 0.125

#: Two roundings to bfloat16.
_ATTENTION_GAP = 2.0**-6

#: Wanted: the share of its peak that one such card reaches at 4k, by shape and what is recomputed.
_GOAL_CARD, _GOAL_LENGTH = "H200", 4096
_GOALS = {("qwen2.5-7b", "full"): 0.51, ("qwen2.5-1.5b", "none"): 0.60, ("qwen2.5-3b", "none"): 0.60}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare shapes, lengths and memory savers."""
    known = ", ".join(SHAPES)
    parser.add_argument("--shapes", nargs="+", default=None, help=f"of {known} (default: all on a GPU, tiny on a CPU)")
    parser.add_argument(
        "--lengths", nargs="+", type=whole(1), default=None, help="tokens a sequence (default: 4096 8192)"
    )
    parser.add_argument("--uneven", action="store_true", help="lengths between a quarter and the whole of that")
    parser.add_argument("--micro-batches", type=whole(1), default=4, help="micro-batches a step (default: %(default)s)")
    parser.add_argument(
        "--budget", type=whole(1), default=None, help="tokens of a micro-batch (default: the shape's own)"
    )
    parser.add_argument("--checkpointing", choices=["none", "selective", "full"], default=None)
    parser.add_argument("--compile", action="store_true", help="torch.compile each layer")
    parser.add_argument("--attention", default="auto", help="back end of the whole steps (default: the best)")
    parser.add_argument("--loss", default="supervised", help="supervised, or a loss of the learner (with its defaults)")
    parser.add_argument("--peak", type=positive(), default=None, help="TFLOP/s of the device, where it is not known")
    parser.add_argument(
        "--rounds", type=whole(1), default=3, help="rounds that count, after one to warm up (default: 3)"
    )


def run(arguments: argparse.Namespace, report: Report) -> None:
    """Whole steps of each shape and length, their parts, and all attention back ends side by side."""
    leave_on_termination()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    shapes = arguments.shapes or (["tiny"] if device.type == "cpu" else [name for name in SHAPES if name != "tiny"])
    lengths = arguments.lengths or ([128, 256] if device.type == "cpu" else [4096, 8192])
    if unknown := set(shapes) - set(SHAPES):
        raise UsageError(f"no shape is called {sorted(unknown)[0]!r}", f"choose among {', '.join(SHAPES)}")
    ceiling = matmul_ceiling(device, compute_dtype(LearnerConfig(), device))
    peak = arguments.peak or peak_of(device) or ceiling
    report.settings |= {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "torch": str(torch.__version__),
        "threads": torch.get_num_threads(),
        "attention": choose(arguments.attention).name,
        "compile": arguments.compile,
        "checkpointing": arguments.checkpointing or "the shape's own",
        "loss": arguments.loss,
        "micro-batches": arguments.micro_batches,
        "uneven": arguments.uneven,
        "peak TFLOP/s": peak,
        "measured ceiling TFLOP/s": round(ceiling, 2),
    }
    report.note(CONVENTION)
    for backend, reason in survey().items():
        if reason:
            report.note(f"attention back end {backend} left out: {reason}")
    with group_of_one(device):
        for name in shapes:
            for length in lengths:
                try:
                    _measure_steps(name, length, arguments, device, peak, report)
                except torch.cuda.OutOfMemoryError:
                    report.note(
                        f"{name} at {length} does not fit this device; try --checkpointing full, --budget {length}"
                    )
                gc.collect()  # the next model needs the room of this one
                if device.type == "cuda":
                    torch.cuda.empty_cache()
    for length in lengths:
        _measure_attention(SHAPES[shapes[-1]], shapes[-1], length, device, arguments.rounds, report)


def _measure_steps(
    name: str, length: int, arguments: argparse.Namespace, device: torch.device, peak: float, report: Report
) -> None:
    """One shape at one length: rounds of a step, then its parts."""
    shape, label = SHAPES[name], f"{name} at {length}"
    budget = max(length, arguments.budget or shape.budget)
    config = LearnerConfig(
        tokens_per_micro_batch=budget,
        attention=arguments.attention,
        checkpointing=arguments.checkpointing or shape.checkpointing,
        keep_gathered=shape.keep_gathered,
        compile=arguments.compile,
        report_entropy=False,
    )
    lengths = list(_lengths(length, budget * arguments.micro_batches, uneven=arguments.uneven))
    batch = StepBatch(list(_samples(lengths, shape.vocabulary)), 0)
    scored = int(batch.response_lengths().sum())
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    trainer = _trainer(shape, config, arguments.loss, device)

    def step_once() -> None:
        trainer.step(batch)

    def step() -> float:
        return synchronised(step_once, device)

    seconds = interleave({label: step}, arguments.rounds, progress=report.progress)[label]
    operations = shape.operations(lengths, scored)
    shares = [operations / each / 1e12 / peak for each in seconds]
    report.measure(f"{label}: tokens/s", "tokens/s", [sum(lengths) / each for each in seconds])
    report.measure(f"{label}: share of the peak", "share", shares)
    if device.type == "cuda":
        held = torch.cuda.max_memory_allocated() / 2**30
        report.measure(f"{label}: memory", "GiB", [held], better="lower")
        promised = goal_of(name, length, config.checkpointing, arguments, torch.cuda.get_device_name())
        if promised is not None:
            report.goal(f"{label}: share of the peak", float(np.median(shares)), at_least=promised)
    whole = float(np.median(seconds))
    parts = _parts(shape, config, lengths, scored, trainer, device)
    waiting = profiled(step_once, device, whole)
    parts |= {"collective": waiting.collective * whole, "idle": waiting.idle * whole}
    parts["products and the rest"] = max(0.0, whole - sum(parts.values()))
    for part, spent in parts.items():
        report.measure(f"{label}: {part}", "share of a step", [spent / whole], better="lower")


def goal_of(name: str, length: int, checkpointing: str, arguments: argparse.Namespace, card: str) -> float | None:
    """What is wanted of these settings; nothing of others: another card, another loss, uneven lengths, a peak that
    the caller names."""
    asked = (length, arguments.uneven, arguments.loss, arguments.peak)
    if asked != (_GOAL_LENGTH, False, "supervised", None) or _GOAL_CARD not in card:
        return None
    return _GOALS.get((name, checkpointing))


def _trainer(shape: Shape, config: LearnerConfig, loss: str, device: torch.device) -> Trainer:
    settings = supervised(LossConfig()) if loss == "supervised" else replace(LossConfig(), name=loss, minibatches=1)
    if loss in ("ppo", "cispo", "dppo_tv"):
        settings = replace(settings, weight="none")
    with tempfile.TemporaryDirectory() as folder, device:
        policy = load_policy(shape.save(Path(folder)), attention=config.attention, random_weights=True)
    return Trainer(policy, settings, OptimiserConfig(), config, device=device)


def _lengths(length: int, tokens: int, *, uneven: bool) -> Iterator[int]:
    """Lengths of sequences that fill so many tokens."""
    generator, left = np.random.default_rng(0), tokens
    while left >= length:
        drawn = int(generator.integers(length // 4, length + 1)) if uneven else length
        yield drawn
        left -= drawn


def _samples(lengths: Sequence[int], vocabulary: int) -> Iterator[Sample]:
    generator = np.random.default_rng(1)
    for index, length in enumerate(lengths):
        tokens = generator.integers(0, vocabulary, length).astype(np.int32)
        prompt = max(1, int(length * _PROMPT_SHARE))
        logprobs = np.full(length - prompt, -np.log(vocabulary), np.float32)
        yield Sample(tokens[:prompt], tokens[prompt:], logprobs, float(generator.normal()), prompt=index)


def _parts(
    shape: Shape, config: LearnerConfig, lengths: Sequence[int], scored: int, trainer: Trainer, device: torch.device
) -> dict[str, float]:
    """Seconds of attention, head and optimiser, each alone on what a step gives it."""
    dtype = compute_dtype(config, device)
    forwards = 2 if config.checkpointing != "none" else 1
    attention = _attention_lap(choose(config.attention), shape, lengths, device, forwards=forwards)
    hidden = torch.randn(scored, shape.width, dtype=dtype, device=device, requires_grad=True)
    weight = torch.randn(shape.vocabulary, shape.width, dtype=dtype, device=device, requires_grad=True)
    targets = torch.zeros(scored, dtype=torch.long, device=device)

    def head() -> None:
        token_logprobs(hidden, weight, targets)[0].sum().backward()  # type: ignore[no-untyped-call]
        hidden.grad = weight.grad = None

    def best(call: Callable[[], object]) -> float:
        return min(synchronised(call, device) for _ in range(3))

    # Gradients of the last step are still there: the update can be taken again.
    optimiser = best(trainer.optimiser.step)
    return {"attention": shape.layers * best(attention), "head": best(head), "optimiser": optimiser}


def _attention_lap(
    backend: AttentionBackend, shape: Shape, lengths: Sequence[int], device: torch.device, *, forwards: int = 1
) -> Callable[[], Tensor]:
    """Forward and backward of one layer's attention over all sequences; returns the output."""
    dtype = compute_dtype(LearnerConfig(), device)
    generator = torch.Generator(device).manual_seed(0)

    def drawn(heads: int) -> Tensor:
        size = (sum(lengths), heads, shape.head_width)
        return torch.randn(size, dtype=dtype, device=device, generator=generator).requires_grad_()

    query, key, value = drawn(shape.heads), drawn(shape.kv_heads), drawn(shape.kv_heads)
    cumulative = torch.tensor([0, *np.cumsum(lengths)], dtype=torch.int32, device=device)
    rows = PackedRows.alone(cumulative, max(lengths))
    slope = torch.ones_like(query)

    def lap() -> Tensor:
        for _ in range(forwards):
            output = backend.attend(query, key, value, rows, shape.head_width**-0.5)
        output.backward(slope)  # type: ignore[no-untyped-call]
        query.grad = key.grad = value.grad = None
        return output.detach()

    return lap


def _measure_attention(shape: Shape, name: str, length: int, device: torch.device, rounds: int, report: Report) -> None:
    """All back ends that can run here on the same packed rows, and whether they agree."""
    lengths = list(_lengths(length, max(length, shape.budget), uneven=True))
    operations = shape.attention(lengths) / shape.layers / 1e12
    able = [backend for backend in BACKENDS if backend.unavailable() is None]
    laps = {backend.name: _attention_lap(backend, shape, lengths, device) for backend in able}
    timed = {backend: (lambda lap=lap: operations / synchronised(lap, device)) for backend, lap in laps.items()}
    for backend, values in interleave(timed, rounds, progress=report.progress).items():
        report.measure(f"attention {backend}, {name} at {length}", "TFLOP/s", values)
    reference = laps["sdpa"]().float()
    for backend, lap in laps.items():
        if backend != "sdpa":
            gap = float(((lap().float() - reference).abs() / (1.0 + reference.abs())).max())
            detail = f"largest difference {gap:.1e} of 1 + value"
            report.check(f"{backend} agrees with sdpa at {length}", gap < _ATTENTION_GAP, detail)
