"""Answers one request of the host. What the WebAssembly component exports and the forked child calls."""

from __future__ import annotations

from typing import Any

from . import harness, literals, signature, syntax, values, wire, world

install = world.install

#: The protocol's defaults, for fields a request leaves out.
_OUTPUT_BYTES = 64 << 10
_RECURSION = 400
_CLOCK = 1_700_000_000.0


def handle(request: bytes) -> bytes:
    """The response to a request, both as the documents of `wire`. Several inputs share this interpreter."""
    job = wire.read_request(request)
    kind = job["type"]
    if kind == "run":
        return wire.write_outcomes("run", _run(job))
    if kind == "literal":
        return wire.write_outcomes("literal", _literals(job))
    if kind == "inspect":
        return _inspect(job)
    if kind == "compile":
        return wire.write_code(harness.marshalled(job["program"]))
    raise ValueError(f"no such job: {kind}")


def _run(job: dict[str, Any]) -> list[wire.Outcome]:
    limits = job.get("limits", {})
    code = harness.unmarshalled(job["code"]) if job.get("code") else None
    return [
        harness.run(
            job["program"],
            code,
            arguments,
            job.get("entry", "f"),
            limits.get("output_bytes", _OUTPUT_BYTES),
            limits.get("recursion", _RECURSION),
            job.get("random_seed", 0),
            job.get("clock", _CLOCK),
        )
        for arguments in job["inputs"]
    ]


def _literals(job: dict[str, Any]) -> list[wire.Outcome]:
    limit = job.get("output_bytes", _OUTPUT_BYTES)
    is_value = job.get("form", "value") == "value"
    parameters = None if is_value else signature.parsed(job.get("signature", ""))
    return [_literal(text, limit, is_value, parameters) for text in job["texts"]]


def _literal(text: str, limit: int, is_value: bool, parameters: signature.Parameters | None) -> wire.Outcome:
    try:
        if is_value:
            return "ok", values.describe(literals.read_value(text, limit), limit), ""
        positional, named = literals.read_arguments(text, limit)
        if parameters is not None:
            positional, named = signature.bound(parameters, positional, named)
        return "ok", values.describe_arguments(positional, named, limit), ""
    except (literals.TooLargeError, values.OpaqueError) as reason:
        return "opaque", None, reason.args[0]
    except literals.RefusedError as refusal:
        return "refused", None, refusal.args[0]


def _inspect(job: dict[str, Any]) -> bytes:
    try:
        return wire.write_facts(syntax.facts(job["program"], job.get("entry", "f")))
    except syntax.NotAProgramError as problem:
        return wire.write_no_facts(*problem.args)
