"""Self-play whose parts are killed at random: does it go on, does it lose or repeat anything, how long does it take?

kill -9 one of: proposer, solver, sandbox worker, experience, tasks, registry, replica, engine
    └── until the learner's stand-in has done two more steps ── what the books said before must still be true
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import tempfile
import time
from collections.abc import Callable, Container, Sequence
from pathlib import Path
from typing import NamedTuple

from azr.bench import Report
from azr.cli.numbers import whole
from azr.config.root import Config
from azr.config.sections.run import LARGEST_SEED
from azr.ledger import events
from benchmarks.processes import of_kind
from benchmarks.self_play import SelfPlay, self_play, small_config
from benchmarks.victims import drawn

SUMMARY = "kill -9 of anything in a self-play: recovery, and that nothing acknowledged is lost or trained on twice"

KINDS = ("proposer", "solver", "sandbox worker", "experience", "tasks", "registry", "replica", "engine")

#: Two steps after a kill must be done within this time, on a machine that is busy with other things as well.
PATIENCE_SECONDS = 150.0


class Recovery(NamedTuple):
    """What came of one kill."""

    kind: str
    seconds: float
    """Until the stand-in had done two more steps."""
    lost: tuple[str, ...]
    """Ids of samples that the books had acknowledged before, and did not know after."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how often to kill, and with how many engines."""
    parser.add_argument("--model", default="tiny", help="model folder (default: the embedded one)")
    parser.add_argument("--kills", type=whole(1), default=60, help="at random (default: %(default)s)")
    parser.add_argument("--replicas", type=whole(1), default=2, help="engines (default: %(default)s)")
    parser.add_argument(
        "--seed", type=whole(0, LARGEST_SEED), default=7, help="of whom to kill and when (default: %(default)s)"
    )


def run(arguments: argparse.Namespace, report: Report) -> None:
    """Kill, and hold the books to what they said."""
    report.settings |= {"kills": arguments.kills, "replicas": arguments.replicas, "seed": arguments.seed}
    lot = random.Random(arguments.seed)
    kinds = drawn(KINDS, arguments.kills, lot)
    with (
        tempfile.TemporaryDirectory(prefix="azr-kills-") as folder,
        self_play(config_for_kills(arguments.model, arguments.replicas), Path(folder), seed_programs=24) as play,
    ):
        begin(play)
        recoveries = strike(play, kinds, lot, report.progress)
        play.learner.stop()
        play.services.experience.assert_closed()
        report.check("the ledger closes", True)
        report.check("no sample was trained on twice", not play.learner.twice)
        report.check("books and learner agree on what was trained on", trained(play) == len(play.learner.trained))
    report.check("nothing acknowledged was lost", not any(each.lost for each in recoveries))
    for kind in KINDS:
        if seconds := [each.seconds for each in recoveries if each.kind == kind]:
            report.measure(f"{kind} killed: two steps later", "s", seconds, better="lower")


def config_for_kills(model: str, replicas: int) -> Config:
    """A small game with quick heartbeats."""
    config = small_config(model, "kills")
    config.algorithm.batch.propose, config.algorithm.batch.solve = 4, 40
    config.rollout.replicas = replicas
    actors = config.actors
    actors.heartbeat_seconds, actors.silence_seconds, actors.grace_seconds = 0.5, 8.0, 3.0
    actors.proposer_lanes, actors.solver_lanes = 8, 12
    return config


def begin(play: SelfPlay) -> None:
    """Let players and stand-in in, and wait until they are under way."""
    play.play()
    play.learner.start()
    play.learner.until(2, PATIENCE_SECONDS)


def strike(
    play: SelfPlay, kinds: Sequence[str], lot: random.Random, tell: Callable[[str], None] = lambda _: None
) -> list[Recovery]:
    """Kill one after the other, at random moments."""
    recoveries: list[Recovery] = []
    for number, kind in enumerate(kinds, start=1):
        time.sleep(lot.uniform(0.0, 0.5))
        before, step = known(play), play.learner.step
        kill(kind, lot.randrange(1000))
        began = time.monotonic()
        play.learner.until(step + 2, PATIENCE_SECONDS)
        seconds, after = time.monotonic() - began, known(play)
        recoveries.append(Recovery(kind, seconds, missing(before, after, play.learner.trained)))
        tell(f"{number} of {len(kinds)}: {kind}, {seconds:.1f} s")
    return recoveries


def kill(kind: str, number: int, wait_seconds: float = 60.0) -> int:
    """SIGKILL one process of this kind, waiting for one to be there; returns its id."""
    deadline = time.monotonic() + wait_seconds
    while not (found := pids(kind)):
        if time.monotonic() > deadline:
            raise TimeoutError(f"there is no {kind} to kill, waited {wait_seconds:g} s for one")
        time.sleep(0.1)
    victim = found[number % len(found)]
    os.kill(victim, signal.SIGKILL)
    return victim


def pids(kind: str) -> list[int]:
    """Process ids of this kind. Sandbox workers are those of players: this process may have a pool of its own."""
    below = ("proposer", "solver") if kind == "sandbox worker" else ()
    return [process.pid for process in of_kind(os.getpid(), kind, below)]


class Known(NamedTuple):
    """The samples that the books know."""

    made_by: dict[str, int]
    """Those in flight, trained on or done with, each by its id, and the step of the oldest weights that made it."""
    since: int
    """The books may have forgotten what older weights made: nobody would take it any more."""


def known(play: SelfPlay) -> Known:
    """What the books of all shards know now."""
    made_by: dict[str, int] = {}
    since = 0
    for shard in play.services.experience.shards:
        first, *_bodies = shard.call("snapshot")
        [snapshot] = events.decode(first)
        assert isinstance(snapshot, events.Snapshot)
        ledger = snapshot.ledger
        made_by |= ledger.settled
        for sample in (*ledger.in_flight, *(sample for _, sample in ledger.trained)):
            made_by[sample.id] = sample.oldest.step
        since = max(since, snapshot.checkpoints[0] - play.config.staleness.max_staleness)
    return Known(made_by, since)


def missing(before: Known, after: Known, trained_on: Container[str]) -> tuple[str, ...]:
    """Samples that were known and are not any more, though neither trained on nor old enough to be forgotten. One that
    is there by other weights was lost as well: its group was given out again, and it was made anew under its id."""
    lost = []
    for sample, step in before.made_by.items():
        found = after.made_by.get(sample)
        forgotten = step < after.since or sample in trained_on
        if found != step and not (found is None and forgotten):
            lost.append(sample)
    return tuple(lost)


def trained(play: SelfPlay) -> int:
    """Samples that the books say were trained on."""
    books = play.services.experience.statistics()
    return sum(account.trained.samples for part in books for account in part.accounts.values())
