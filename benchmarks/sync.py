"""How long sampling stands still when weights change: from the last token of the old to the first of the new.

One replica process with the engine alone on the machine (no learner beside it), 64 requests always in flight, weights
handed over exactly as a learner does: registry, transport, replica, checksums. The gap is taken from the engine's own
time stamps of its steps, so it holds the pause, the change, and the first step afterwards with its prefill.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from pathlib import Path
from typing import Any

import numpy as np

from azr.bench import Report
from azr.cli.numbers import whole
from azr.config.load import changed
from azr.config.root import Config
from benchmarks.replicas import model_folder, numbered_request, small_ray

SUMMARY = "gap between the last token of old weights and the first of new ones, by transport and treatment of caches"

#: DESIGN's bound for the tiny model with the engine alone, in milliseconds.
_GOAL_MS = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare model, transports and how often."""
    parser.add_argument(
        "--model", default="", help="folder, or a shape such as qwen2.5-1.5b (default: the embedded one)"
    )
    parser.add_argument("--treatment", action="append", choices=["recompute", "keep"], help="of caches (default: both)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override of the engine's settings"
    )
    parser.add_argument("--transport", action="append", help="may be repeated (default: shm, gloo)")
    parser.add_argument("--updates", type=whole(1), default=50, help="changes of weights (default: %(default)s)")
    parser.add_argument(
        "--in-flight", type=whole(1), default=64, help="requests always in flight (default: %(default)s)"
    )
    parser.add_argument("--tokens", type=whole(1), default=100, help="tokens of each response (default: %(default)s)")
    parser.add_argument(
        "--batched-tokens", type=whole(1), default=512, help="of one engine step (default: %(default)s)"
    )


def run(arguments: argparse.Namespace, report: Report) -> None:
    """Measure each transport with caches recomputed, and kept."""
    transports = arguments.transport or ["shm", "gloo"]
    report.settings |= {
        "model": arguments.model or "tiny",
        "updates": arguments.updates,
        "in_flight": arguments.in_flight,
        "tokens": arguments.tokens,
        "batched_tokens": arguments.batched_tokens,
        "overrides": " ".join(arguments.set),
    }
    with small_ray() as folder:
        model = model_folder(arguments.model, folder)
        for treatment in arguments.treatment or ("recompute", "keep"):
            _treatment(arguments, report, model, treatment, transports)


def _treatment(
    arguments: argparse.Namespace, report: Report, model: Path, treatment: str, transports: list[str]
) -> None:
    from actors.engine.settings import EngineSettings
    from actors.rollout.deployment import Rollouts

    plain = Config()
    plain.rollout.max_sequences, plain.rollout.max_batched_tokens = arguments.in_flight, arguments.batched_tokens
    # An engine is begun with vLLM's own transports or without; ours serve in either.
    own = [name for name in transports if name in ("nccl", "ipc")]
    plain.weights.transport, plain.weights.kv_on_update = (own or ["shm"])[0], treatment
    config = changed(plain, arguments.set)
    settings = EngineSettings.of(model, config.rollout, config.weights)
    report.progress(f"{treatment}: starting a replica")
    rollouts = Rollouts.start(f"azr-sync-{os.getpid()}-{treatment}", settings)
    try:
        for transport in transports:
            report.progress(f"{treatment}: {arguments.updates} updates by {transport}")
            gaps, reports, lost = asyncio.run(_updates(arguments, rollouts, model, transport, settings.dtype))
            name = f"{transport}, {treatment}"
            _measure(report, name, gaps, reports)
            report.check(f"{name}: every request completed", lost == 0, f"{lost} did not")
            report.check(f"{name}: every update confirmed", all(each.complete for each in reports))
    finally:
        rollouts.stop()


def _measure(report: Report, name: str, gaps: list[float], reports: list[Any]) -> None:
    p50, p99 = (float(np.percentile(gaps, q)) * 1e3 for q in (50, 99))
    report.measure(f"{name}: gap between tokens", "ms", [gap * 1e3 for gap in gaps], better="lower")
    report.measure(f"{name}: gap, p99", "ms", [p99], better="lower")
    report.measure(f"{name}: published to confirmed", "ms", [each.seconds * 1e3 for each in reports], better="lower")
    times = [each.times for update in reports for each in update.reports if each.times]
    for leg in ("stage", "pause", "apply"):
        report.measure(f"{name}: {leg}", "ms", [getattr(each, leg) * 1e3 for each in times], better="lower")
    report.goal(f"{name}: gap, p50", p50, at_most=_GOAL_MS, unit="ms")
    report.goal(f"{name}: gap, p99", p99, at_most=_GOAL_MS, unit="ms")


async def _updates(
    arguments: argparse.Namespace, rollouts: Any, model: Path, transport: str, dtype: str
) -> tuple[list[float], list[Any], int]:
    """Gaps, reports of updates, and how many requests did not complete."""
    from actors.rollout.client import RolloutClient
    from actors.weights.publisher import WeightPublisher
    from azr.config.sections.weights import WeightsConfig
    from azr.game.types import Version

    client = RolloutClient(rollouts.registry)
    publisher = WeightPublisher(
        rollouts.registry_name, WeightsConfig(transport=transport), transport=transport, dtype=dtype
    )
    ending = False
    asked = answered = 0

    async def lane(number: int) -> None:
        nonlocal asked, answered
        count = 0
        while not ending:
            count += 1
            asked += 1
            name = f"{transport}-{number}-{count}"
            request = numbered_request(name, number, arguments.tokens, seed=count * 1000 + number)
            generation = await client.generate(request, 300)
            answered += generation.responses[0].token_ids.size == arguments.tokens

    lanes = [asyncio.create_task(lane(number)) for number in range(arguments.in_flight)]
    weights = _weights(model)
    first = max((each.version.lineage for each in rollouts.members()), default=0) + 1
    gaps: list[float] = []
    reports = []
    await asyncio.sleep(2.0)
    known = len(_gaps(rollouts))
    for step in range(arguments.updates):
        scaled = {name: tensor * (1.0 + 1e-3 * (step % 5)) for name, tensor in weights.items()}
        reports.append(await asyncio.to_thread(publisher.publish, Version(first, step), scaled))
        await asyncio.sleep(0.2)
    ending = True
    await asyncio.gather(*lanes)
    await asyncio.sleep(2.5)  # the replica tells its gaps once a second
    gaps = _gaps(rollouts)[-arguments.updates :] if known else _gaps(rollouts)
    publisher.close()
    await client.close()
    return gaps, reports, asked - answered


def _gaps(rollouts: Any) -> list[float]:
    return [gap for status in rollouts.statuses() for gap in status.gaps]


def _weights(model: Path) -> dict[str, Any]:
    import torch
    from transformers import AutoModelForCausalLM

    loaded: Any = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    return dict(loaded.state_dict())
