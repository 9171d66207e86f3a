"""Writes the programs out: `short.jsonl` and `long.jsonl` for benchmarks, `sample.jsonl` for a look at `azr exec`.

    python -m benchmarks.programs.make

The same templates and seed always give the same files; a test holds the files against them.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import msgspec
import numpy as np

from azr import files
from benchmarks.programs import classes, lists, mappings, numbers, recursion, short_data, short_text, strings
from benchmarks.programs.template import Template

HERE = Path(__file__).parent

#: Inputs a program: what `azr bench sandbox` gives a batch.
INPUTS = 16

_SEED = 20250506

#: The sets: `short` as in CRUXEval, one function of a few lines; `long` as models propose when they try to be hard.
SETS: dict[str, tuple[ModuleType, ...]] = {
    "short": (short_text, short_data),
    "long": (strings, lists, mappings, numbers, recursion, classes),
}

#: One program of each family, for people.
_SAMPLE = ("shift-letters-0", "spiral-0", "graph-distances-0", "sieve-1", "knapsack-0", "shapes-0")


class Program(msgspec.Struct, frozen=True):
    """A line of `azr exec` input."""

    id: str
    program: str
    inputs: list[str]


def templates(name: str) -> list[Template]:
    """All templates of a set, family by family."""
    return [template for family in SETS[name] for template in family.TEMPLATES]


def programs(name: str) -> list[Program]:
    """All programs of a set with their inputs."""
    rng = np.random.default_rng(_SEED)
    return [
        Program(name, text, [template.draw(rng) for _ in range(INPUTS)])
        for template in templates(name)
        for name, text in template.programs()
    ]


def content(name: str) -> bytes:
    """The content of a set's file."""
    return b"".join(msgspec.json.encode(program) + b"\n" for program in programs(name))


def sample() -> bytes:
    """The content of `sample.jsonl`: few programs, few inputs, and some that the sandbox has to stop."""
    chosen = [Program(p.id, p.program, p.inputs[:2]) for p in programs("long") if p.id in _SAMPLE]
    hostile = [
        Program("endless", "def f(x):\n    while True:\n        x += 1\n", ["0"]),
        Program("thief", "def f(path):\n    return open(path).read()\n", ["'/etc/passwd'"]),
        Program(
            "caller",
            "import socket\n\ndef f(host):\n    return socket.create_connection((host, 80))\n",
            ["'example.org'"],
        ),
        Program("glutton", "def f(n):\n    return len(bytearray(n))\n", ["1000000000"]),
        Program("abyss", "def f(n):\n    return f(n + 1)\n", ["0"]),
    ]
    return b"".join(msgspec.json.encode(program) + b"\n" for program in [*chosen, *hostile])


def main() -> None:
    """Write all files."""
    for name in SETS:
        files.write_bytes(HERE / f"{name}.jsonl", content(name))
    files.write_bytes(HERE / "sample.jsonl", sample())


if __name__ == "__main__":
    main()
