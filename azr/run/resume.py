"""What a resume may change, and where it takes up. Pure; called by `azr train --resume` before anything starts.

A run's books, buffers and optimiser were made under its configuration. Keys that only say how fast, where or for how
long may change between two drivers; others would silently mix two experiments in one run and are refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatch

from azr.errors import AzrError
from azr.run.tracking.base import flattened

#: Keys that may differ between two drivers of one run, as shell-style patterns of dotted names.
ALLOWED = (
    "run.steps",
    "run.minutes",
    "run.batch_seconds",
    "run.parity_limit",
    "rollout.*",
    "weights.*",
    "actors.proposers",
    "actors.solvers",
    "actors.*lanes",
    "actors.*seconds",
    "actors.*tries",
    "actors.sandbox_workers",
    "actors.journal_sync",
    "actors.shorten_mb",
    "sandbox.workers",
    "sandbox.queue_jobs",
    "sandbox.*seconds",
    "learner.ranks",
    "learner.threads",
    "learner.tokens_per_micro_batch",
    "learner.share_prompts",
    "learner.attention",
    "learner.checkpointing",
    "learner.compile",
    "learner.cpu_offload",
    "learner.report_entropy",
    "learner.checkpoint_every",
    "learner.keep_*",
    "learner.restarts",
    "learner.health_check_seconds",
    "algorithm.optimiser.*",
    "algorithm.loss.aggregation",
    "staleness.max_tries",
    "staleness.sweep_*",
    "checkpoint.*",
    "evaluation.*",
    "tracking.*",
    "cluster.*",
    "safety.*",
)
#: Keys that say where a run is: it may be moved.
PLACE = ("run.name", "run.folder")
#: Among what the patterns allow, these decide what programs mean, and which of them may be no tasks because they are
#: held out (the buffers may hold those of another suite by now): they stay as they were.
_FIXED = ("sandbox.timeout_seconds", "evaluation.suite")


def changed_keys(before: Mapping[str, object], now: Mapping[str, object]) -> dict[str, tuple[str, str]]:
    """Keys whose values differ, each with both values; one that is on one side only differs from `—`."""
    old, new = flattened(before), flattened(now)
    return {
        key: (old.get(key, "—"), new.get(key, "—"))
        for key in sorted({*old, *new})
        if old.get(key, "—") != new.get(key, "—")
    }


def allowed(key: str) -> bool:
    """Whether a resume may change this key."""
    return key not in _FIXED and any(fnmatch(key, pattern) for pattern in ALLOWED)


def check_changes(before: Mapping[str, object], now: Mapping[str, object]) -> dict[str, tuple[str, str]]:
    """The changes, all of them allowed; or an error that names those that are not."""
    changes = changed_keys(before, now)
    refused = {key: values for key, values in changes.items() if not allowed(key)}
    if refused:
        listed = "\n".join(f"  {key}: {old} -> {new}" for key, (old, new) in refused.items())
        raise AzrError(
            f"a resumed run keeps what it was begun with, but these keys differ:\n{listed}",
            f"leave them as they were, or begin a new run; keys that may change, but for {' and '.join(_FIXED)}: "
            + ", ".join(ALLOWED),
        )
    return changes
