"""What the sections of the run itself may not be set to: model, ends, staleness, evaluation, checkpoint, cluster.

Called by `azr.config.rules`.
"""

from __future__ import annotations

from collections.abc import Iterator

from azr.config.sections.checking import Problem, at_least, between, one_of
from azr.config.sections.checkpoint import CheckpointConfig
from azr.config.sections.cluster import ClusterConfig
from azr.config.sections.evaluation import SUITES, TINY_TASKS, EvaluationConfig
from azr.config.sections.model import FRAMES, ModelConfig
from azr.config.sections.run import LARGEST_SEED, RunConfig
from azr.config.sections.staleness import StalenessConfig

PLACEMENTS = ("PACK", "SPREAD", "STRICT_PACK", "STRICT_SPREAD")


def problems(
    run: RunConfig,
    model: ModelConfig,
    staleness: StalenessConfig,
    evaluation: EvaluationConfig,
    checkpoint: CheckpointConfig,
    cluster: ClusterConfig,
    ranks: int,
) -> Iterator[Problem]:
    """Everything wrong with these sections, for so many learner ranks."""
    yield from one_of("model.frame", model.frame, FRAMES)
    yield from one_of("evaluation.suite", evaluation.suite, SUITES)
    yield from one_of("cluster.placement", cluster.placement, PLACEMENTS)
    for key, number, low in (
        ("run.steps", run.steps, 0),
        ("run.minutes", run.minutes, 0),
        ("run.parity_limit", run.parity_limit, 0),
        ("run.batch_seconds", run.batch_seconds, 1),
        ("staleness.max_staleness", staleness.max_staleness, 0),
        ("staleness.max_tries", staleness.max_tries, 1),
        ("staleness.sweep_alarm", staleness.sweep_alarm, 0),
        ("staleness.sweep_window", staleness.sweep_window, 1),
        ("evaluation.tasks", evaluation.tasks, 1),
        ("evaluation.samples", evaluation.samples, 0),
        ("checkpoint.free_gb", checkpoint.free_gb, 0),
        ("cluster.cpus", cluster.cpus, 0),
        ("cluster.learner_cpus", cluster.learner_cpus, 0),
        ("cluster.learner_gpus", cluster.learner_gpus, 0),
        ("cluster.object_store_mb", cluster.object_store_mb, 80),
        ("cluster.start_seconds", cluster.start_seconds, 1),
        ("cluster.work_seconds", cluster.work_seconds, 1),
        ("cluster.stop_seconds", cluster.stop_seconds, 1),
    ):
        yield from at_least(key, number, low)
    yield from between("run.seed", run.seed, 0, LARGEST_SEED)
    if evaluation.suite == "tiny" and evaluation.tasks > TINY_TASKS:
        yield Problem(
            "evaluation.tasks",
            f"{evaluation.tasks} are more than the suite tiny has of each type",
            f"it must be at most {TINY_TASKS}",
        )
    if "://" in cluster.address:
        yield Problem(
            "cluster.address",
            f"{cluster.address!r} is a server for clients; a run's driver has to be on a node of its cluster",
            "write HOST:PORT of the head, or submit the run with ray job submit and cluster.address=auto",
        )
    if cluster.learner_gpus > 1:
        yield Problem(
            "cluster.learner_gpus",
            "a rank uses one GPU",
            "set 1, or with one rank a fraction to share a card; learner.ranks takes more",
        )
    apart = cluster.placement == "STRICT_SPREAD"
    if ranks > 1 and 0 < cluster.learner_gpus <= 0.5 and not apart:
        yield Problem(
            "cluster.learner_gpus",
            f"{cluster.learner_gpus} may put two ranks on one card, where NCCL cannot join them",
            "set it above 0.5, or learner.ranks: 1",
        )
    yield from _name(run.name)


def _name(name: str) -> Iterator[Problem]:
    """A run's name is a folder's."""
    if not name or name in (".", "..") or "/" in name or name != name.strip() or not name.isprintable():
        yield Problem("run.name", f"{name!r} cannot name a folder", "use letters, digits, dots and dashes")
