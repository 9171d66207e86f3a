"""The corpus of attacks: what an attack file may declare, and how all of them are found.

Each file under `tests/attacks/<class>/` holds one attack: its docstring says what it tries, its `ATTACK` says what must
happen and how to see that the same thing succeeds against bare `exec`. Read by the tests beside this module and by
`azr bench attacks`.

    <class>/<name>.py ──load()──► Entry ──bare.py───► effects on planted things, against bare exec
                                    └────judge.py──► Finding: stated outcome or not, against a sandbox

Texts may name planted things (see `world.py`) as `$SECRET_FILE`, `$MARKER`, `$MODULE_FILE`, `$PORT`, `$VICTIM_PID`.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

from sandbox_wasm.protocol import FUEL_PER_SECOND, Limits, Status

#: The classes of attack, in the order of the summary table; each is a folder.
CLASSES = ("escapes", "bombs", "leaks", "determinism", "verifier", "gate", "parser")

#: What can be seen of an attack that succeeds against bare `exec`.
Effect = Literal[
    "read",  # something planted (file, environment variable, host memory) came out
    "wrote",  # the marker file exists
    "connected",  # the loopback listener was called
    "killed",  # the sacrificial process is gone
    "forged",  # another answer than the right one was taken for it
    "hung",  # nothing came back by the deadline
    "died",  # the process that ran it ended without an answer
    "memory",  # it took all the memory there was
    "flooded",  # it answered with more than a driver should have to read
    "leaked",  # what one program did changed what the next one returned
    "differs",  # two processes gave different values, and the check let both in
    "accepted",  # the usual check let it in
    "raised",  # the usual reading of model text raised what its caller does not catch
]

#: Small limits, so that bombs are stopped in a fraction of a second: about 0.1 s of fuel, and memory as by default.
TIGHT = Limits(fuel=FUEL_PER_SECOND // 10, wall_seconds=3.0)

#: Ends that mean "stopped, and the rest of the system never noticed". Each decides something: `crashed` and `retry`
#: would be our failure, for which a wrong answer goes unpunished.
STOPPED: tuple[Status, ...] = ("error", "timeout", "memory", "refused", "opaque")


@dataclass(frozen=True, kw_only=True)
class Attack:
    """What every attack states."""

    must: str
    """What must happen, in words."""
    bare: Effect | None
    """How its success against bare `exec` is seen; None where it cannot be shown, and then `why_not` says why."""
    why_not: str = ""


@dataclass(frozen=True, kw_only=True)
class RunAttack(Attack):
    """A hostile program, run on one input."""

    program: str
    input: str = "'x'"
    status: tuple[Status, ...] = ("error",)
    """Ends that are allowed in the WASM back end."""
    error: str = ""
    """Text that the error must contain."""
    value: str | None = None
    """Where `ok` is allowed: the only literal that may come out (any, when None)."""
    process_status: tuple[Status, ...] = (*STOPPED, "ok")
    """Ends that are allowed in the process back end, whose promise is weaker."""
    without_landlock: tuple[Effect, ...] = ()
    """Effects that the process back end cannot prevent on a kernel without Landlock (`docs/security.md` says so)."""
    alarm: bool = False
    """Bare `exec` gets the usual SIGALRM time-out, to show that the program outlives it."""
    limits: Limits = TIGHT


@dataclass(frozen=True, kw_only=True)
class LeakAttack(Attack):
    """What one run leaves behind for another. `then` must return `clean`, whatever ran before it."""

    first: str
    """The program that leaves something behind."""
    then: str = ""
    """The program that would notice; empty: the same program again, on its next input."""
    inputs: tuple[str, str] = ("1", "1")
    """Input of the first and of the second run."""
    clean: str
    """What an undisturbed run of the second returns."""
    bare: Effect | None = "leaked"


@dataclass(frozen=True, kw_only=True)
class GateAttack(Attack):
    """A proposal that must not become a task, or is harmless for a stated reason."""

    program: str
    inputs: tuple[str, ...] = ("3",)
    task: str = "deduction"
    message: str = ""
    reasons: tuple[str, ...]
    """The gate's reasons that are allowed; `accepted` where it is harmless."""
    outputs: tuple[str, ...] = ()
    """Where `accepted` is allowed: the literals that must have come out, the same in every snapshot."""
    known: str = ""
    """A program that is already in the buffer, for duplicates."""
    bare: Effect | None = "accepted"


@dataclass(frozen=True, kw_only=True)
class VerifyAttack(Attack):
    """An answer that must not be judged correct."""

    task: str
    program: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    answer: str
    shown: int = 0
    """Induction: how many of the pairs are shown."""
    reasons: tuple[str, ...]
    """The verifier's reasons that are allowed, each as a prefix: `wrong`, `malformed`, `error`, `timeout`."""
    bare: Effect | None = "accepted"


@dataclass(frozen=True, kw_only=True)
class ParserAttack(Attack):
    """A text that hurts whoever reads it. Goes through inspection, reading as a literal, and running."""

    text: str
    reader: Literal["parse", "compile", "literal", "bytes", "lines"] = "parse"
    """What reads it in the bare process: `ast.parse`, `compile`, `ast.literal_eval`, or `exec` of the text as bytes or
    of its lines joined again; the last two are seen to fail when another value than `value` comes out (`forged`)."""
    inspect: tuple[str, ...]
    """Reasons of refusal that are allowed in inspection; an empty string where it may parse."""
    literal: tuple[Status, ...] = ("refused",)
    run: tuple[Status, ...] = STOPPED
    value: str | None = None
    """Where running may be `ok`: the only literal that may come out."""
    input: str = "1"
    bare: Effect | None = "raised"


@dataclass(frozen=True)
class Entry:
    """One attack, its place in the corpus and the first line of its docstring."""

    group: str
    name: str
    tries: str
    attack: Attack = field(repr=False)

    @property
    def id(self) -> str:
        """How tests and tables name it."""
        return f"{self.group}/{self.name}"


@cache
def load() -> tuple[Entry, ...]:
    """All attacks, by class and name."""
    return tuple(
        _read(path, group)
        for group in CLASSES
        for path in sorted((Path(__file__).parent / group).glob("*.py"))
        if path.name != "__init__.py"
    )


def _read(path: Path, group: str) -> Entry:
    spec = importlib.util.spec_from_file_location(f"tests.attacks.{group}.{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot read the attack {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    attack = module.ATTACK
    if not isinstance(attack, Attack):
        raise TypeError(f"{path}: ATTACK is a {type(attack).__name__}, not an Attack")
    if not module.__doc__:
        raise ValueError(f"{path}: say in the docstring what it tries")
    return Entry(group, path.stem, module.__doc__.strip(), attack)
