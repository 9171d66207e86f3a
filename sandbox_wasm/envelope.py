"""Jobs as the guest reads them and results as it writes them: the host's half of `guest/wire.py`.

Called by back ends. A result comes from an interpreter that ran hostile code, so it is decoded strictly by type and
anything unexpected is a `msgspec.MsgspecError` for the back end to call `crashed`.
"""

from __future__ import annotations

import json

import msgspec

from sandbox_wasm.protocol import InspectResult, Job, JobResult, LiteralJob, LiteralResult, Outcome, RunJob, RunResult

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[RunResult | LiteralResult | InspectResult] = msgspec.json.Decoder(
    RunResult | LiteralResult | InspectResult
)


def encode(job: Job) -> bytes:
    """The job as JSON. Texts may hold lone surrogates, which UTF-8 cannot: those travel escaped."""
    try:
        return _encoder.encode(job)
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(job)).encode()


def decode(response: bytes) -> JobResult:
    """The result the guest wrote. Raises `msgspec.MsgspecError` at anything else."""
    return _decoder.decode(response)


def failed(job: Job, outcome: Outcome) -> JobResult:
    """The result of a job whose guest gave none: the outcome stands for every input or text."""
    if isinstance(job, RunJob):
        return RunResult(outcomes=(outcome,) * len(job.inputs))
    if isinstance(job, LiteralJob):
        return LiteralResult(outcomes=(outcome,) * len(job.texts))
    return InspectResult(facts=None, reason="crashed", detail=f"{outcome.status}: {outcome.error}")
