"""What the sections of the run itself may not be set to: model, ends, staleness, evaluation, checkpoint, cluster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from azr.config.sections.evaluation import SUITES, TINY_TASKS
from azr.config.sections.model import FRAMES
from azr.config.sections.run import LARGEST_SEED

if TYPE_CHECKING:
    from azr.config.root import Config

PLACEMENTS = ("PACK", "SPREAD", "STRICT_PACK", "STRICT_SPREAD")


def problems(config: Config) -> Iterator[tuple[str, str, str]]:
    """Everything wrong with these sections, as (key, what is wrong, how to mend it)."""
    for key, value, known in (
        ("model.frame", config.model.frame, FRAMES),
        ("evaluation.suite", config.evaluation.suite, SUITES),
        ("cluster.placement", config.cluster.placement, PLACEMENTS),
    ):
        if value not in known:
            yield key, f"{value!r} is not known", f"choose one of {', '.join(known)}"
    for key, number, low in (
        ("run.steps", config.run.steps, 0),
        ("run.minutes", config.run.minutes, 0),
        ("run.parity_limit", config.run.parity_limit, 0),
        ("run.batch_seconds", config.run.batch_seconds, 1),
        ("staleness.max_staleness", config.staleness.max_staleness, 0),
        ("staleness.max_tries", config.staleness.max_tries, 1),
        ("staleness.sweep_alarm", config.staleness.sweep_alarm, 0),
        ("staleness.sweep_window", config.staleness.sweep_window, 1),
        ("evaluation.tasks", config.evaluation.tasks, 1),
        ("evaluation.samples", config.evaluation.samples, 0),
        ("checkpoint.free_gb", config.checkpoint.free_gb, 0),
        ("cluster.cpus", config.cluster.cpus, 0),
        ("cluster.learner_cpus", config.cluster.learner_cpus, 0),
        ("cluster.learner_gpus", config.cluster.learner_gpus, 0),
        ("cluster.object_store_mb", config.cluster.object_store_mb, 80),
        ("cluster.start_seconds", config.cluster.start_seconds, 1),
        ("cluster.work_seconds", config.cluster.work_seconds, 1),
        ("cluster.stop_seconds", config.cluster.stop_seconds, 1),
    ):
        if not number >= low:
            yield key, f"{number} is out of range", f"it must be at least {low}"
    if not 0 <= config.run.seed <= LARGEST_SEED:
        yield "run.seed", f"{config.run.seed} is out of range", f"it must be between 0 and {LARGEST_SEED}"
    if config.evaluation.suite == "tiny" and config.evaluation.tasks > TINY_TASKS:
        yield (
            "evaluation.tasks",
            f"{config.evaluation.tasks} are more than the suite tiny has of each type",
            f"it must be at most {TINY_TASKS}",
        )
    if "://" in config.cluster.address:
        yield (
            "cluster.address",
            f"{config.cluster.address!r} is a server for clients; a run's driver has to be on a node of its cluster",
            "write HOST:PORT of the head, or submit the run with ray job submit and cluster.address=auto",
        )
    if config.cluster.learner_gpus > 1:
        yield (
            "cluster.learner_gpus",
            "a rank uses one GPU",
            "set 1, or with one rank a fraction to share a card; learner.ranks takes more",
        )
    apart = config.cluster.placement == "STRICT_SPREAD"
    if config.learner.ranks > 1 and 0 < config.cluster.learner_gpus <= 0.5 and not apart:
        yield (
            "cluster.learner_gpus",
            f"{config.cluster.learner_gpus} may put two ranks on one card, where NCCL cannot join them",
            "set it above 0.5, or learner.ranks: 1",
        )
    if config.weights.transport == "ipc" and config.learner.ranks > 1:
        yield (
            "weights.transport",
            f"ipc serves one learner rank, not {config.learner.ranks}: its sender would run into the others' training",
            "use shm or nccl, or set learner.ranks: 1",
        )
    yield from _name(config.run.name)


def _name(name: str) -> Iterator[tuple[str, str, str]]:
    """A run's name is a folder's."""
    if not name or name in (".", "..") or "/" in name or name != name.strip() or not name.isprintable():
        yield "run.name", f"{name!r} cannot name a folder", "use letters, digits, dots and dashes"
