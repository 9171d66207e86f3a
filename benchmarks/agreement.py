"""Do engine and learner agree: log-probs that the engine records beside those that the learner computes for them.

The gap is what importance ratios hold beside staleness, so it bounds how well off-policy corrections can work. Same
weights, same tokens, no training between.

    prompts ──► engine: responses, log-probs ──► the same tokens, packed ──► learner: log-probs ──► gap, k3
                                                       └─ `--exact`: in double precision ──► how far each is from that

Two ways of computing in single precision cannot be nearer to each other than each is to the truth; `--exact` says how
near that is. It runs the whole model once more in double precision, so it is for small ones.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from actors.engine.engine import Engine
from actors.engine.records import GenerateRequest, Generation
from actors.engine.settings import EngineSettings
from azr.bench import Report
from azr.cli.numbers import whole
from azr.config.load import changed
from azr.config.root import Config
from azr.run.stopping import leave_on_termination
from benchmarks.replicas import model_folder, numbered_request
from learner.attention.registry import fitting
from learner.policy import load_policy
from learner.process_group import group_of_one
from learner.samples import Sample, StepBatch
from learner.sharding import compute_dtype
from learner.trainer import Trainer, supervised

SUMMARY = "the gap between the engine's log-probs and the learner's, on the same tokens and weights"

#: One for each token, of all responses.
Logprobs = np.ndarray[tuple[int], np.dtype[np.float64]]

#: What is wanted at most: the largest gap in full precision, and the divergence in half.
_GOAL_GAP, _GOAL_K3 = 1e-5, 1e-3

#: An engine that has not started by then will not: imports, loading, compilation and graphs.
_START_SECONDS = 300.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the model, precisions and how much is sampled."""
    parser.add_argument(
        "--model", default="", help="folder, or a shape such as qwen2.5-1.5b (default: the embedded one)"
    )
    parser.add_argument("--dtype", action="append", choices=["float32", "bfloat16"], help="of both (default: float32)")
    parser.add_argument("--prompts", type=whole(1), default=32, help="different ones (default: %(default)s)")
    parser.add_argument("--samples", type=whole(1), default=4, help="responses to each (default: %(default)s)")
    parser.add_argument("--tokens", type=whole(1), default=128, help="of a response (default: %(default)s)")
    parser.add_argument("--exact", action="store_true", help="also each side's distance from double precision")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override of the settings")


def run(arguments: argparse.Namespace, report: Report) -> None:
    """Sample with an engine, then score with a learner, in each precision."""
    leave_on_termination()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    names = ("prompts", "samples", "tokens", "exact")
    report.settings |= {"model": arguments.model or "tiny", "overrides": " ".join(arguments.set)}
    report.settings |= {name: getattr(arguments, name) for name in names}
    with tempfile.TemporaryDirectory(prefix="azr-agreement-") as scratch:
        model = model_folder(arguments.model, Path(scratch))
        for dtype in arguments.dtype or ["float32"]:
            plain = Config()
            plain.rollout.dtype = plain.learner.compute_dtype = dtype
            plain.weights.transport = "shm"
            config = changed(plain, arguments.set)
            report.progress(f"{dtype}: the engine samples")
            requests = [_request(number, arguments) for number in range(arguments.prompts)]
            generations = asyncio.run(_sampled(EngineSettings.of(model, config.rollout, config.weights), requests))
            report.progress(f"{dtype}: the learner scores")
            with group_of_one(device):
                attention = fitting(config.learner.attention, device, compute_dtype(config.learner, device))
                trainer = Trainer(
                    load_policy(model, attention=attention),
                    supervised(config.algorithm.loss),
                    config.algorithm.optimiser,
                    config.learner,
                    device=device,
                )
                batch = _batch(requests, generations)
                engine, learner = _told(batch), _scored(trainer, batch)
            _tell(report, dtype, learner - engine)
            if arguments.exact:
                report.progress(f"{dtype}: double precision")
                exact = _exact(model, batch)
                for side, told in (("engine", engine), ("learner", learner)):
                    _tell_distance(report, f"{dtype}: {side} to double precision", np.abs(told - exact))


def _request(number: int, arguments: argparse.Namespace) -> GenerateRequest:
    plain = numbered_request(f"agreement-{number}", number, arguments.tokens, seed=number)
    return GenerateRequest(
        id=plain.id,
        prompt_ids=plain.prompt_ids,
        samples=arguments.samples,
        seed=plain.seed,
        max_tokens=plain.max_tokens,
        ignore_end=True,
    )


async def _sampled(settings: EngineSettings, requests: Sequence[GenerateRequest]) -> list[Generation]:
    engine = await asyncio.wait_for(Engine.start(settings, name="agreement"), _START_SECONDS)
    try:
        return list(await asyncio.gather(*(engine.generate(request) for request in requests)))
    finally:
        await engine.close()


def _batch(requests: Sequence[GenerateRequest], generations: Sequence[Generation]) -> StepBatch:
    """All responses, as a learner gets them."""
    samples = [
        Sample(np.asarray(request.prompt_ids, np.int32), response.token_ids, response.logprobs, 0.0, prompt=number)
        for number, (request, generation) in enumerate(zip(requests, generations, strict=True))
        for response in generation.responses
    ]
    return StepBatch(samples, 0)


def _told(batch: StepBatch) -> Logprobs:
    """The engine's log-prob of each token sampled."""
    return np.concatenate([sample.behaviour_logprobs.astype(np.float64) for sample in batch.samples])


def _scored(trainer: Trainer, batch: StepBatch) -> Logprobs:
    """The learner's."""
    return np.concatenate([score.double().numpy() for score in trainer.score(batch)])


def _exact(model: str | Path, batch: StepBatch) -> Logprobs:
    """In double precision, one response at a time: as near to the truth as a machine comes."""
    from transformers import AutoModelForCausalLM

    policy = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float64, attn_implementation="eager")
    found = []
    with torch.inference_mode():
        for sample in batch.samples:
            tokens = torch.from_numpy(np.concatenate([sample.prompt_ids, sample.response_ids])).long()
            length = len(sample.response_ids)
            scores = policy(tokens[None]).logits[0, -length - 1 : -1].log_softmax(-1)
            found.append(scores.gather(-1, tokens[-length:, None])[:, 0].numpy())
    return np.concatenate(found)


def _tell(report: Report, dtype: str, gaps: Logprobs) -> None:
    largest, divergence = float(np.abs(gaps).max()), k3(gaps)
    report.measure(f"{dtype}: tokens compared", "tokens", [float(gaps.size)])
    report.measure(f"{dtype}: largest gap", "nats", [largest], better="lower")
    report.measure(f"{dtype}: mean gap", "nats", [float(np.abs(gaps).mean())], better="lower")
    report.measure(f"{dtype}: k3", "nats a token", [divergence], better="lower")
    if dtype == "float32":
        report.goal("largest gap in full precision", largest, at_most=_GOAL_GAP, unit="nats")
    else:
        report.goal("k3 in half precision", divergence, at_most=_GOAL_K3, unit="nats a token")


def _tell_distance(report: Report, name: str, distances: Logprobs) -> None:
    report.measure(f"{name}, largest", "nats", [float(distances.max())], better="lower")
    report.measure(f"{name}, mean", "nats", [float(distances.mean())], better="lower")


def k3(gaps: Logprobs) -> float:
    """Schulman's estimate of KL(engine || learner) from tokens that the engine sampled: the mean of r - 1 - log r."""
    return float((np.expm1(gaps) - gaps).mean())
