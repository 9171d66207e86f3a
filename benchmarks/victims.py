"""Whom to kill, and when: kinds of processes by what they call themselves, and lots drawn from a seed. Pure.

Shared by `benchmarks.kills` and `benchmarks.soak`. Processes are looked for among the descendants of the run that is
asked about, never on the whole machine: another run there has the same kinds.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

#: Kinds that are looked for by name elsewhere.
ENGINE, FORK_SERVER = "engine", "fork server"

#: What each kind's command line holds: kinds of ours. Ray calls an actor's process by its class, and adds the method
#: that it is in.
OURS: Mapping[str, str] = {
    ENGINE: "EngineCore",
    "replica": "ray::ServeReplica",
    "proposer": "ray::Proposer",
    "solver": "ray::Solver",
    "sandbox worker": "from sandbox_wasm.worker import main",
    "registry": "ray::Registry",
    "tasks": "ray::TaskShard",
    "experience": "ray::ExperienceShard",
    "learner rank": "ray::RayTrainWorker",
    "hub": "ray::Hub",
    "reaper": "azr.run.reaper",
    FORK_SERVER: "multiprocessing.forkserver",
}
#: Kinds that Ray brings along.
RAYS: Mapping[str, str] = {
    "serve controller": "ray::ServeController",
    "train controller": "ray::TrainController",
    "gcs": "gcs/gcs_server",
    "raylet": "raylet/raylet",
    "runtime env agent": "ray::RuntimeEnvAgent",
    "dashboard agent": "ray::DashboardAgent",
    "dashboard": "dashboard/dashboard.py",
    "log monitor": "_private/log_monitor.py",
    "autoscaler": "autoscaler/_private/monitor.py",
    "autoscaling coordinator": "ray::_AutoscalingCoordinatorActor",
    "placement group cleaner": "ray::PlacementGroupCleaner",
    "synchronization actor": "ray::SynchronizationActor",
    "dataset manager": "ray::DatasetManager",
    "preemption watcher": "ray::PreemptionWatcher",
}

TITLES: Mapping[str, str] = {**OURS, **RAYS}

#: The process that `azr train` is; everything else descends from it.
DRIVER = "driver"


def kind_of(title: str) -> str:
    """The kind of a process by its command line; empty for one that is none of these."""
    return next((kind for kind, word in TITLES.items() if word in title), "")


def drawn(kinds: Sequence[str], count: int, lot: random.Random) -> list[str]:
    """So many of these kinds in a random order: each equally often as far as it goes, the rest by lot."""
    whole, rest = divmod(count, len(kinds))
    chosen = [*kinds] * whole + lot.sample(list(kinds), rest)
    lot.shuffle(chosen)
    return chosen


def moments(seconds: float, every: float, lot: random.Random) -> list[float]:
    """When to kill: once in each stretch of `every` seconds, anywhere in its middle half."""
    return [every * (number + lot.uniform(0.25, 0.75)) for number in range(int(seconds / every))]
