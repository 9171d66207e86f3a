"""Runs tests against mutated modules and tells which mutations nobody noticed.

    python -m tests.mutation.run [--short] [TEXT]        TEXT: only modules whose path holds it

One parent imports what is heavy and unmutated, then forks a child for each mutation, one on each core. The child puts a
finder before all others that answers for the mutated module alone, runs that mutation's tests in-process and exits with
pytest's status. No file of the checkout is touched, and the parent never imports a module of azr.

    parent ── fork ──► child: finder(azr.x = mutated text) ─► pytest ─► 1 noticed · 0 survived · other: BROKEN
       │                 └─ more than CPU_SECONDS of processor time: HUNG, which passes only for a mutation listed with
       │                    `may_hang`; a busy machine makes the child slow, but spends none of its time
       └─ waits at most WALL_SECONDS, for a child that sleeps for ever: HUNG as well
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import signal
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.metadata import entry_points
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

# Imported here so that every child has them already.
import hypothesis
import msgspec
import numpy as np
import omegaconf
import psutil
import pytest
import scipy.cluster.hierarchy

import sandbox_wasm.protocol
from tests.mutation.mutation import ROOT, Mutation, all_mutations, short

for _plugin in entry_points(group="pytest11"):
    _plugin.load()
PRELOADED = (hypothesis, msgspec, np, omegaconf, psutil, sandbox_wasm.protocol, scipy.cluster.hierarchy)

#: Processor time, far more than any of the test files takes.
CPU_SECONDS = 60
#: For tests that wait and burn nothing; so long that no busy machine reaches it.
WALL_SECONDS = 600.0
POLL_SECONDS = 0.01
#: Hypothesis' examples a property: what is wrong is mostly wrong everywhere.
EXAMPLES = 30


class Outcome(NamedTuple):
    """What became of one mutation."""

    mutation: Mutation
    status: int
    """pytest's: 1 when a test failed; the negative number of the signal that ended it."""
    output: str

    @property
    def word(self) -> str:
        """What is printed for it."""
        words = {0: "SURVIVED", 1: "noticed", -signal.SIGXCPU: "HUNG", -signal.SIGKILL: "HUNG"}
        word = words.get(self.status, "BROKEN")
        return "hung" if word == "HUNG" and self.mutation.may_hang else word

    @property
    def passes(self) -> bool:
        """A test failed, or the tests never ended and may do so."""
        return self.word in ("noticed", "hung")


class MutatedFinder(MetaPathFinder):
    """Finds one module in another file."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self.path = path

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The mutated file for the mutated module, nothing for all others."""
        return spec_from_file_location(fullname, self.path) if fullname == self.name else None


class Child:
    """The mutation's tests, running."""

    def __init__(self, mutation: Mutation) -> None:
        self._mutation = mutation
        self._folder = tempfile.TemporaryDirectory(prefix="azr-mutation-")
        self._log = Path(self._folder.name) / "log"
        mutated = Path(self._folder.name) / "mutated.py"
        mutated.write_text(mutation.source())
        self._process = os.fork()
        if self._process == 0:
            os._exit(_in_child(mutation, mutated, self._log))

    def outcome(self) -> Outcome:
        """Wait until they have ended."""
        with self._folder:
            return Outcome(self._mutation, _wait(self._process), self._log.read_text(errors="replace"))


def judge(mutation: Mutation) -> Outcome:
    """Run the mutation's tests in a child."""
    return Child(mutation).outcome()


def judge_all(mutations: Iterable[Mutation]) -> Iterator[Outcome]:
    """The same of all, in order, with a child on each core."""
    running: deque[Child] = deque()
    for mutation in mutations:
        if len(running) == len(os.sched_getaffinity(0)):
            yield running.popleft().outcome()
        running.append(Child(mutation))
    while running:
        yield running.popleft().outcome()


def _in_child(mutation: Mutation, mutated: Path, log: Path) -> int:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 5))
    with log.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    for name in [name for name in sys.modules if name == "azr" or name.startswith("azr.")]:
        del sys.modules[name]
    sys.meta_path.insert(0, MutatedFinder(mutation.dotted, mutated))
    # A counterexample need not be small, and no other run may learn of it.
    hypothesis.settings.register_profile(
        "mutation",
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
    )
    hypothesis.settings.load_profile("mutation")
    # Only the status counts: nothing is explained, so nothing need be prepared for explaining it.
    options = ["-x", "-q", "--no-header", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:unraisableexception"]
    options += ["-m", "not soak", f"--rootdir={ROOT}"]
    return int(pytest.main([*options, *(str(ROOT / test) for test in mutation.tests)]))


def _wait(child: int) -> int:
    until = time.monotonic() + WALL_SECONDS
    while time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(POLL_SECONDS)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when every mutation was noticed, or hung and may."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation.run", description="Which mutations go unnoticed?")
    parser.add_argument("only", nargs="?", default="", help="only modules whose path holds this text")
    parser.add_argument("--short", action="store_true", help="the first mutation of each module")
    parsed = parser.parse_args(arguments)
    chosen = [mutation for mutation in all_mutations() if parsed.only in mutation.module]
    words: Counter[str] = Counter()
    failed = 0
    for outcome in judge_all(short(chosen) if parsed.short else chosen):
        words[outcome.word] += 1
        failed += not outcome.passes
        print(f"{outcome.word:<8} {outcome.mutation}")
        if outcome.word == "BROKEN":
            print(outcome.output)
        sys.stdout.flush()
    print(", ".join(f"{count} {word}" for word, count in words.most_common()) or "no mutation is listed")
    return 1 if failed else 0


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
