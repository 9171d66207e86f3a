"""Jobs as the guest reads them and results as it writes them: the host's half of `guest/wire.py`.

Called by back ends. A result comes from an interpreter that ran hostile code, which may have replaced the guest's own
functions; so it is decoded strictly, and anything an honest guest would not say is a `msgspec.MsgspecError`: of a run
the back end makes an `error`, the program's own doing, and of jobs that run nothing `crashed`. A job that ends its
guest by itself is `broken_by`, whatever it was to do.
"""

from __future__ import annotations

import json
from typing import Annotated

import msgspec

from sandbox_wasm.protocol import (
    PROCESS_EXIT,
    InspectResult,
    Job,
    JobResult,
    LiteralJob,
    LiteralResult,
    Outcome,
    RunJob,
    RunResult,
)


class _Code(msgspec.Struct, frozen=True, tag="code", forbid_unknown_fields=True):
    code: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9+/=]*$")]


_code_decoder = msgspec.json.Decoder(_Code)
_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[RunResult | LiteralResult | InspectResult] = msgspec.json.Decoder(
    RunResult | LiteralResult | InspectResult
)

#: What a guest can know of a run. Fuel, clocks and crashes are the host's to speak of: a program that could report
#: `retry` would have its failure forgiven.
GUEST_WORDS = frozenset({"ok", "error", "memory", "refused", "opaque"})

#: Longest error text taken from a guest. An honest one is far shorter: it cuts the message, if not the class's name.
LONGEST_ERROR = 2_000


def encode(job: Job, code: str = "") -> bytes:
    """The job as JSON. Texts may hold lone surrogates, which UTF-8 cannot: those travel escaped (a pair of
    them arrives as the character it stands for).

    `code`, from `decode_code`, stands in for a run's program.
    """
    if code:
        return _encoder.encode(job)[:-1] + b',"code":"' + code.encode() + b'"}'
    try:
        return _encoder.encode(job)
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(job)).encode()


def encode_compile(program: str) -> bytes:
    """A request for the program's code, so that a job's inputs share one compilation. Runs nothing."""
    return json.dumps({"type": "compile", "program": program}).encode()


def decode_code(response: bytes) -> str:
    """The code for `encode`, empty for a program that does not compile. Raises as `decode` does."""
    return _code_decoder.decode(response).code


def decode(response: bytes) -> JobResult:
    """The result the guest wrote. Raises `msgspec.MsgspecError` at anything else."""
    try:
        result = _decoder.decode(response)
    except (UnicodeDecodeError, RecursionError) as problem:  # msgspec lets these two through as they are
        raise msgspec.DecodeError(str(problem)) from None
    if isinstance(result, (RunResult, LiteralResult)):
        for outcome in result.outcomes:
            _check(outcome)
    return result


def longest_answer(job: Job) -> int:
    """A generous bound on what an honest guest writes: three texts a value, twelve bytes a character once escaped."""
    if isinstance(job, RunJob):
        return 48 * job.limits.output_bytes * len(job.inputs) + (64 << 10)
    if isinstance(job, LiteralJob):
        longest = (min(48 * (len(text) + len(job.signature)), 48 * job.output_bytes) + 4096 for text in job.texts)
        return sum(longest) + (64 << 10)
    return 64 * len(job.program) + (1 << 20)


def _check(outcome: Outcome) -> None:
    if outcome.status not in GUEST_WORDS:
        raise msgspec.ValidationError(f"{outcome.status!r} is not for a guest to say")
    if (outcome.status == "ok") != (outcome.value is not None):
        raise msgspec.ValidationError(f"{outcome.status!r} {'with' if outcome.value else 'without'} a value")
    if len(outcome.error) > LONGEST_ERROR or (outcome.value and len(outcome.value.type_name) > LONGEST_ERROR):
        raise msgspec.ValidationError("words beyond all measure")


#: What a program that was only to be parsed did to end so: `error` is the interpreter's stack, exhausted by its depth,
#: `refused` a reader that it broke, `opaque` an answer beyond all measure. The wall clock decides nothing here either.
_UNREADABLE = {
    "retry": "retry",
    "timeout": "too_large",
    "memory": "too_large",
    "opaque": "too_large",
    "error": "too_deep",
    "refused": "too_deep",
}


def broken_by(job: Job, words: str) -> Outcome:
    """What a job comes to that, as far as can be told, ended its interpreter by itself: never `crashed`."""
    if isinstance(job, RunJob):
        return Outcome("error", error=f"{PROCESS_EXIT}: {words}"[:LONGEST_ERROR])
    return Outcome("refused", error=f"it breaks its reader: {words}"[:LONGEST_ERROR])


def failed(job: Job, outcome: Outcome) -> JobResult:
    """The result of a job whose guest gave none: the outcome stands for every input or text."""
    if isinstance(job, RunJob):
        return RunResult(outcomes=(outcome,) * len(job.inputs))
    if isinstance(job, LiteralJob):
        return LiteralResult(outcomes=(outcome,) * len(job.texts))
    reason = _UNREADABLE.get(outcome.status, "crashed")
    return InspectResult(facts=None, reason=reason, detail=f"{outcome.status}: {outcome.error}")
