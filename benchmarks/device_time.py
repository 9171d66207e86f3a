"""What a device could do and what it did: its peak, a measured ceiling, and how long it computed, sent and waited.

Helpers of `benchmarks.learner`; no benchmark by themselves.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch

#: Dense bf16 TFLOP/s by what a device's name holds (makers' data sheets, no sparsity).
_PEAKS = {"H200": 989.0, "H100": 989.0, "GH200": 989.0, "B200": 2250.0, "A100": 312.0, "L40S": 362.0}

#: Side of the square matrices whose product is the ceiling: large enough to be bound by arithmetic.
_SIDE = {"cuda": 8192, "cpu": 768}

_CEILING_LAPS = 10


@dataclass(frozen=True)
class Waiting:
    """Shares of a step's time."""

    collective: float
    """A collective ran and nothing else did."""
    idle: float
    """Nothing ran."""


def synchronised(call: Callable[[], object], device: torch.device) -> float:
    """Seconds from call to the end of all it put on the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    began = time.perf_counter()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


def peak_of(device: torch.device) -> float | None:
    """The maker's dense bf16 TFLOP/s, where it is known."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    return next((peak for mark, peak in _PEAKS.items() if mark in name), None)


def matmul_ceiling(device: torch.device, dtype: torch.dtype) -> float:
    """TFLOP/s of a large square product: what no model can exceed here."""
    side = _SIDE[device.type]
    one, other = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    best = min(synchronised(lambda: one @ other, device) for _ in range(_CEILING_LAPS))
    return 2.0 * side**3 / best / 1e12


def profiled(call: Callable[[], object], device: torch.device, usual: float) -> Waiting:
    """How the time of a call was spent that takes `usual` seconds when nobody looks.

    Kernels take as long under the profiler as without it, what lies between them does not: so idle is what they leave
    of the usual time. On a CPU it is the time in which this process did not run.
    """
    if device.type != "cuda":
        began, ran = time.perf_counter(), time.process_time()
        call()
        wall, own = time.perf_counter() - began, time.process_time() - ran
        return Waiting(0.0, max(0.0, 1.0 - own / wall / min(torch.get_num_threads(), os.cpu_count() or 1)))
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        synchronised(call, device)
    events = [event for event in profile.events() if str(event.device_type).endswith("CUDA")]
    spans = [(_span(event), "nccl" in event.name.lower()) for event in events]
    return waiting(spans, usual * 1e6)


def waiting(spans: Iterable[tuple[tuple[float, float], bool]], wall: float) -> Waiting:
    """Shares from the kernels' spans, of which each is a collective or not."""
    known = list(spans)
    covered = _length(_union(span for span, _ in known))
    computing = _length(_union(span for span, collective in known if not collective))
    return Waiting((covered - computing) / wall, max(0.0, 1.0 - covered / wall))


def _span(event: Any) -> tuple[float, float]:
    return event.time_range.start, event.time_range.end


def _union(spans: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """The spans without overlaps."""
    merged: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _length(spans: Iterable[tuple[float, float]]) -> float:
    return sum(end - start for start, end in spans)
