"""What a request costs through client, connection and replica, over the same request to the bare engine.

Both sides run the same engine with the same requests, 64 in flight, taking turns: the bare engine in a process of its
own that this one starts, and a replica under Serve. Responses are short, so that the way there and back weighs beside
the sampling. What is told is the time of the whole machine that a request takes: a round's seconds over its requests.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from azr.bench import Report
from azr.bench.rounds import turned
from azr.cli.numbers import whole
from benchmarks.replicas import model_folder, numbered_request, small_ray

SUMMARY = "overhead of client and replica per request, over the bare engine, at 64 in flight"

#: A name, how it is asked, and where its times go.
_Side = tuple[str, Callable[[Any], Awaitable[Any]], list[float]]

#: What our actors may add to a request, in milliseconds.
_GOAL_MS = 3.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare model, load and rounds."""
    parser.add_argument("--model", default="", help="model folder (default: the embedded tiny model)")
    parser.add_argument(
        "--in-flight", type=whole(1), default=64, help="requests always in flight (default: %(default)s)"
    )
    parser.add_argument("--requests", type=whole(1), default=2000, help="of one round (default: %(default)s)")
    parser.add_argument("--rounds", type=whole(1), default=5, help="each side takes turns (default: %(default)s)")
    parser.add_argument("--tokens", type=whole(1), default=16, help="of each response (default: %(default)s)")


def run(arguments: argparse.Namespace, report: Report) -> None:
    """Measure both sides in turns."""
    report.settings |= {
        "model": arguments.model or "tiny",
        "in_flight": arguments.in_flight,
        "requests": arguments.requests,
        "tokens": arguments.tokens,
    }
    with small_ray() as folder:
        bare, ours = asyncio.run(_measure(arguments, report, model_folder(arguments.model, folder)))
    report.measure("bare engine: time of a request", "ms of the machine", bare, better="lower")
    report.measure("through client and replica", "ms of the machine", ours, better="lower")
    over = sorted(one - other for one, other in zip(ours, bare, strict=True))
    report.measure("overhead of a request", "ms", over, better="lower")
    report.goal("overhead of a request, median", over[len(over) // 2], at_most=_GOAL_MS, unit="ms")


async def _measure(arguments: argparse.Namespace, report: Report, model: Path) -> tuple[list[float], list[float]]:
    """Milliseconds of the machine that a request takes, round by round: the bare engine's, and ours."""
    from actors.engine.engine import Engine
    from actors.engine.settings import EngineSettings
    from actors.rollout.client import RolloutClient
    from actors.rollout.deployment import Rollouts
    from azr.config.sections.rollout import RolloutConfig
    from azr.config.sections.weights import WeightsConfig

    settings = EngineSettings.of(
        model, RolloutConfig(max_sequences=arguments.in_flight), WeightsConfig(transport="shm")
    )
    report.progress("starting the bare engine")
    engine = await Engine.start(settings, name="bare")
    report.progress("starting a replica")
    rollouts = await asyncio.to_thread(Rollouts.start, f"overhead-{os.getpid()}", settings)
    client = RolloutClient(rollouts.registry)
    await client.ready(1, 60)
    bare: list[float] = []
    ours: list[float] = []

    async def asked(request: Any) -> Any:
        return await client.generate(request, 300)

    sides: list[_Side] = [("bare", engine.generate, bare), ("replica", asked, ours)]
    try:
        # The first warms up. Sides take turns at going first, so that a load that falls favours neither.
        for turn in range(arguments.rounds + 1):
            for name, ask, found in turned(sides, turn):
                report.progress(f"round {turn}/{arguments.rounds}: {name}")
                taken = await _round(arguments, f"{name}-{turn}", ask)
                if turn:
                    found.append(taken * 1e3 / arguments.requests)
    finally:
        await client.close()
        await engine.close()
        await asyncio.to_thread(rollouts.stop)
    return bare, ours


async def _round(arguments: argparse.Namespace, name: str, ask: Callable[[Any], Awaitable[Any]]) -> float:
    """Seconds that all of a round's requests take together."""
    numbers = iter(range(arguments.requests))

    async def lane() -> None:
        for number in numbers:
            await ask(numbered_request(f"{name}-{number}", number, arguments.tokens, seed=number))

    began = time.perf_counter()
    await asyncio.gather(*(lane() for _ in range(arguments.in_flight)))
    return time.perf_counter() - began
