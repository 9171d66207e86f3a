"""The bytes between host and guest: JSON documents that map one to one onto the jobs and results of the protocol.

The only file that knows the encoding. `handle` reads requests and writes responses through it; on the other side
`sandbox_wasm.envelope` does the same with msgspec. Requests are read before any program runs, so the standard parser
will do; responses are written after, so they are joined by hand from pieces captured here.

A run request is the document of a `RunJob`; fields may be absent, which gives them the protocol's defaults, and `code`
may stand in for the program. `code` is what an earlier request of the type `compile` for the same program was answered
with by the same guest: so inputs that each want an interpreter of their own share one compilation.
"""

from __future__ import annotations

import json
from json.encoder import encode_basestring_ascii
from json.scanner import make_scanner
from typing import Any

_scan = make_scanner(json.JSONDecoder())  # type: ignore[arg-type]  # typeshed has it wrong
_dumps = json.dumps
_quote = encode_basestring_ascii

#: An outcome before encoding: status, the four texts of a value or None, error.
Outcome = tuple[str, "tuple[str, str, str, str] | None", str]


def read_request(request: bytes) -> dict[str, Any]:
    """The request as a document."""
    document: dict[str, Any] = _scan(request.decode(), 0)[0]
    return document


def write_outcomes(tag: str, outcomes: list[Outcome]) -> bytes:
    """A `RunResult` or `LiteralResult`."""
    return (
        '{"type":"' + tag + '","outcomes":[' + ",".join([_outcome(*outcome) for outcome in outcomes]) + "]}"
    ).encode()


def _outcome(status: str, value: tuple[str, str, str, str] | None, error: str) -> str:
    if value is None:
        return '{"status":"' + status + '","error":' + _quote(printable(error)) + "}"
    literal, exact, key, type_name = value
    return (
        '{"status":"' + status + '","value":{"literal":' + _quote(literal)
        + ',"exact":' + _quote(exact)
        + ',"key":' + _quote(key)
        + ',"type_name":' + _quote(printable(type_name))
        + "}}"
    )  # fmt: skip


def write_code(code: str) -> bytes:
    """The answer to `compile`: empty for a program that does not compile, whose runs will say why."""
    return ('{"type":"code","code":"' + code + '"}').encode()


def write_facts(facts: dict[str, Any]) -> bytes:
    """An `InspectResult` of a program that parses."""
    return _dumps({"type": "inspect", "facts": facts}).encode()


def write_no_facts(reason: str, detail: str) -> bytes:
    """An `InspectResult` of a program that does not parse."""
    return _dumps({"type": "inspect", "facts": None, "reason": reason, "detail": printable(detail)}).encode()


def printable(text: str) -> str:
    """The text without lone surrogates, which no UTF-8 and no msgspec string can hold."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()
