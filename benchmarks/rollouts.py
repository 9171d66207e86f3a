"""Self-play without a learner: do all cells fill, are the engines kept busy, what do proposals fail at, how fast is it.

players ──► engines (busy share, tokens/s) ──► sandbox ──► services ──► batches of a stand-in that learns nothing
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import time
from collections import Counter
from pathlib import Path

from actors.players import start as players
from azr.bench import Report
from azr.cli.numbers import positive, whole
from azr.config.load import changed
from azr.game.batch import quotas
from azr.metrics.accumulator import Accumulator, merged
from azr.run.gathering import tell_books, trained_share
from benchmarks.replicas import model_folder
from benchmarks.self_play import SelfPlay, self_play, small_config

SUMMARY = "self-play without a learner: cells filled, engines busy, refusals by reason, tokens a second"

#: Engines with something to do, of the time measured.
GOAL_BUSY = 0.9

#: Between two looks at everybody.
LOOK_SECONDS = 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the model, how long to measure, and how many of each actor."""
    parser.add_argument(
        "--model", default="tiny", help="folder, or a shape such as qwen2.5-1.5b (default: the embedded one)"
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override of the settings")
    parser.add_argument("--seconds", type=positive(), default=300.0, help="how long to measure (default: %(default)s)")
    parser.add_argument("--warm-up", type=float, default=10.0, help="not measured, at first (default: %(default)s)")
    parser.add_argument("--replicas", type=whole(1), default=1, help="engines (default: %(default)s)")
    parser.add_argument("--shards", type=whole(1), default=1, help="shards of each service (default: %(default)s)")


def run(arguments: argparse.Namespace, report: Report) -> None:
    """Play for a while and look."""
    report.settings |= {"seconds": arguments.seconds, "replicas": arguments.replicas, "shards": arguments.shards}
    report.settings |= {"model": arguments.model, "overrides": " ".join(arguments.set)}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="azr-rollouts-")))
        config = small_config(str(model_folder(arguments.model, folder)), "bench-rollouts")
        config.rollout.replicas = arguments.replicas
        config.actors.experience_shards = config.actors.task_shards = arguments.shards
        play = stack.enter_context(self_play(changed(config, arguments.set), folder, tell=report.progress))
        play.play()
        play.learner.start()
        time.sleep(arguments.warm_up)
        watch = _Watch(play)
        watch.look_for(arguments.seconds, report)
        play.learner.stop()
        play.services.experience.assert_closed()
        watch.tell(report)


class _Watch:
    """What happens from its making on."""

    def __init__(self, play: SelfPlay) -> None:
        self.play = play
        self.began = time.monotonic()
        self.steps = play.learner.step
        self.engines = {status.name: status.engine for status in play.rollouts.statuses()}
        self.collected: list[Accumulator] = []
        self.running: list[int] = []
        self._reports = players.Reports(play.players)
        self._reports()  # what was counted before belongs to nobody

    def look_for(self, seconds: float, report: Report) -> None:
        """Look at everybody now and then, for so long."""
        while (gone := time.monotonic() - self.began) < seconds:
            time.sleep(LOOK_SECONDS)
            self.running += [status.engine.running for status in self.play.rollouts.statuses()]
            self.collected += players.metrics(self._reports()).values()
            report.progress(f"{gone:.0f} of {seconds:.0f} s, step {self.play.learner.step}")

    def tell(self, report: Report) -> None:
        """Everything that was seen."""
        seconds = time.monotonic() - self.began
        after = {status.name: status.engine for status in self.play.rollouts.statuses()}
        pairs = [(self.engines[name], engine) for name, engine in after.items() if name in self.engines]
        busy = sum(late.busy_seconds - early.busy_seconds for early, late in pairs) / max(
            1e-9, sum(late.seconds - early.seconds for early, late in pairs)
        )
        tokens = sum(late.generated_tokens - early.generated_tokens for early, late in pairs)
        report.measure("tokens generated", "tokens/s", [tokens / seconds])
        report.measure("requests", "1/s", [sum(late.requests - early.requests for early, late in pairs) / seconds])
        report.measure("running responses", "responses", [float(count) for count in self.running])
        report.measure("learner steps", "1/min", [60 * (self.play.learner.step - self.steps) / seconds])
        report.goal("engines with something to do", busy, at_least=GOAL_BUSY, unit="of the time")
        numbers = merged({str(place): each for place, each in enumerate(self.collected)}).report()
        self._cells(report)
        for name in sorted(numbers):
            if name.startswith(("proposal/refused/", "player/failures/")):
                report.note(f"{name.removesuffix('.mean')}: {numbers[name]:.0f}")
            elif name.startswith(("proposal/valid/", "solve/accuracy/", "solve/malformed/")):
                report.note(f"{name}: {numbers[name]:.1%}")
            elif name.startswith(("player/", "sandbox/executions")):
                report.note(f"{name}: {numbers[name]:.4g}")

    def _cells(self, report: Report) -> None:
        """Whether every cell had its quota in the batches, and where samples went."""
        learner, wanted = self.play.learner, quotas(self.play.config.algorithm)
        books = self.play.services.experience.statistics()
        trained: Counter[str] = Counter()
        for part in books:
            for cell, account in part.accounts.items():
                trained[cell] += account.trained.samples
        steps = max(1, learner.step)
        for quota in wanted:
            got = trained[str(quota.cell)] / steps
            report.check(
                f"{quota.cell} filled its quota",
                abs(got - quota.sequences) < 0.5,
                f"{got:.1f} of {quota.sequences} a step",
            )
        report.check("no sample was trained on twice", not learner.twice, ", ".join(learner.twice[:5]))
        report.measure("share of generated tokens trained on", "share", [trained_share(books, 0.0) or 0.0])
        ledger = Accumulator()
        tell_books(ledger, books, self.play.config.staleness)
        for name, value in ledger.report().items():
            if name.startswith(("ledger/discarded/", "service/longest_sync", "service/loop_lag")):
                report.note(f"{name}: {value:.4g}")
