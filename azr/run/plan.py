"""What a run will be, in words: the answer of `azr train --dry-run`. Pure; nothing is started or downloaded.

Config ──► actors and processes, batches, queues and the staleness bound, when it ends ──► lines
"""

from __future__ import annotations

from collections.abc import Iterator

from azr.config.root import Config
from azr.config.sections.rollout import RolloutConfig
from azr.game.batch import quotas
from azr.game.seeding import SeedingSettings
from azr.staleness.admission import Limits, capacity
from azr.text import counted


def plan_lines(config: Config) -> list[str]:
    """The plan, a line a fact."""
    return [f"{label:<12} {text}" for label, text in (*_parts(config), *_data(config), *_end(config))]


def _parts(config: Config) -> Iterator[tuple[str, str]]:
    rollout, actors, learner = config.rollout, config.actors, config.learner
    yield "run", f"{config.run.folder}/{config.run.name}, seed {config.run.seed}"
    yield "model", f"{config.model.path}, frame {config.model.frame}"
    where = f"joins {config.cluster.address}" if config.cluster.address else "a Ray of its own on this machine"
    yield "cluster", where
    yield (
        "engines",
        (
            f"{_engines(rollout)}, {rollout.dtype}, up to {rollout.max_sequences} responses at a time each; "
            f"weights by {config.weights.transport}, caches {config.weights.kv_on_update}"
        ),
    )
    proposers = actors.proposers if config.algorithm.game.train_propose else 0
    yield (
        "players",
        (
            f"{counted(proposers, 'proposer')} of {counted(actors.proposer_lanes, 'lane')}, "
            f"{counted(actors.solvers, 'solver')} of {actors.solver_lanes}; "
            f"{counted(actors.sandbox_workers, 'sandbox worker')} each ({config.sandbox.backend})"
        ),
    )
    yield "filling", _filling(config, proposers)
    yield "services", f"{actors.experience_shards} of experience, {actors.task_shards} of tasks"
    yield "learner", f"{counted(learner.ranks, 'rank')}, {learner.tokens_per_micro_batch:,} tokens a micro-batch"


def _filling(config: Config, proposers: int) -> str:
    """How many responses the players keep under way, beside the places of the engines they are to fill."""
    rollout, actors, algorithm = config.rollout, config.actors, config.algorithm
    # Solvers rate new tasks with one number of attempts and play old ones with another; the fewer fill less.
    attempts = min(algorithm.batch.attempts_per_task, algorithm.rating.attempts)
    under_way = proposers * actors.proposer_lanes + actors.solvers * actors.solver_lanes * attempts
    engines = rollout.replicas + (rollout.proposer_replicas if rollout.separate_roles else 0)
    places = engines * rollout.max_sequences
    less = "; more lanes would fill them (actors.solver_lanes)" if under_way < places else ""
    return f"up to {under_way:,} responses under way, {places:,} places in the engines{less}"


def _engines(rollout: RolloutConfig) -> str:
    """How many engines there are, of each role where they are apart, and how many more there may be."""
    most = f" (up to {rollout.max_replicas})" if rollout.max_replicas > rollout.replicas else ""
    if rollout.separate_roles:
        shown, each = f"{rollout.proposer_replicas} for proposing and {rollout.replicas}{most} for solving", " each"
    else:
        shown, each = f"{rollout.replicas}{most}", ""
    return shown + (f" and {rollout.standby}{each} standing by" if rollout.standby else "")


def _data(config: Config) -> Iterator[tuple[str, str]]:
    algorithm, limits = config.algorithm, Limits.of(config.algorithm, config.staleness)
    wanted = quotas(algorithm)
    cells = ", ".join(f"{quota.cell} {quota.sequences}" for quota in wanted)
    yield "batch", f"{sum(quota.sequences for quota in wanted)} sequences a step: {cells}"
    loss = algorithm.loss
    updates = counted(loss.minibatches, "update")
    yield "loss", f"{loss.name}, weight {loss.weight}, {updates} a step, lr {algorithm.optimiser.lr:g}"
    eta = config.staleness.max_staleness
    room = ", ".join(f"{q.cell} {capacity(eta, q.sequences, 0)}" for q in wanted)
    yield (
        "staleness",
        (
            "0 steps: synchronous, each batch is made by the weights that train on it"
            if eta == 0
            else f"at most {counted(eta, 'step')} between a sample's oldest token and the step that trains on it"
        ),
    )
    yield "queues", f"at most {eta + 1} batches admitted and not yet part of published weights: {room}"
    rating = "trained on as well" if limits.rating_trained else "thrown away"
    yield "rating", f"{limits.attempts} attempts at each accepted task, {rating}"


def _end(config: Config) -> Iterator[tuple[str, str]]:
    wanted = SeedingSettings.of(config)
    counts = ((wanted.triplets, "triplets"), (wanted.inductions, "inductions"))
    made = ", ".join(f"{count} {noun}" for count, noun in counts if count)
    none = "none: of the types in play the model makes none"
    yield "seeds", config.seeding.file or (f"made by the model: {made}" if made else none)
    evaluation = config.evaluation
    when = [name for name in ("before", "after") if getattr(evaluation, name)]
    if evaluation.suite != "none" and when:
        yield "evaluation", f"suite {evaluation.suite}, {evaluation.tasks} tasks of each type, {' and '.join(when)}"
    ends = [f"{config.run.steps} steps"] if config.run.steps else []
    ends += [f"{config.run.minutes:g} minutes"] if config.run.minutes else []
    yield "ends", f"after {' or '.join(ends)}" if ends else "when it is told to (Ctrl-C)"
    yield "checkpoint", f"every {config.learner.checkpoint_every} steps, the newest {config.learner.keep_last} are kept"
