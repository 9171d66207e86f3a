"""The learner's ranks as a Ray Train job: started together, restarted together when one is lost.

Owns the `TorchTrainer` and its settings. Called by the run; blocking, so it runs in a thread beside the rollouts. A
lost rank costs the steps since the newest checkpoint: Ray Train starts all ranks anew, and `learner.loop` resumes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import torch

from azr.config.sections.cluster import ClusterConfig
from azr.config.sections.learner import LearnerConfig
from learner.loop import LearnerPlan, run
from learner.process_group import HOST_AND_GPU
from learner.trainer import StepReport
from sandbox_wasm.cores import available_cores


def train(plan: LearnerPlan, cluster: ClusterConfig | None = None) -> Any:
    """Run the plan on `plan.learner.ranks` ranks and return Ray Train's result; raises when restarts are used up.

    `cluster` says what each rank asks of Ray, and how ranks are laid over machines.
    """
    cluster = cluster or ClusterConfig()
    # Read by Ray Train's controller when it is made: with its own 2 s, every report would wait that long.
    os.environ["RAY_TRAIN_HEALTH_CHECK_INTERVAL_S"] = str(plan.learner.health_check_seconds)
    # Ranks keep the working directory: in a folder of Ray's own, to which it would move them, relative paths are wrong.
    os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"
    from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    plan.folder.mkdir(parents=True, exist_ok=True)
    trainer = TorchTrainer(
        _rank,
        train_loop_config={"plan": plan},
        torch_config=TorchConfig(backend=HOST_AND_GPU if plan.gpu and plan.learner.cpu_offload else None),
        scaling_config=ScalingConfig(
            num_workers=plan.learner.ranks,
            use_gpu=plan.gpu,
            resources_per_worker=rank_resources(cluster, gpu=plan.gpu),
            placement_strategy=cluster.placement,
        ),
        run_config=RunConfig(
            name="learner",
            storage_path=str((plan.folder / "ray_train").absolute()),
            failure_config=FailureConfig(max_failures=plan.learner.restarts),
            checkpoint_config=CheckpointConfig(num_to_keep=1),
        ),
    )
    return trainer.fit()


def places_held() -> bool:
    """Whether Ray has set aside what the ranks of this job's training ask for: from then on nobody else gets it."""
    from ray.util import placement_group_table

    return any(found["state"] == "CREATED" for _, found in _places(placement_group_table()))


def release_places() -> None:
    """Give back what Ray has set aside for a training of this job that is over, and end ranks that outlived it.

    A controller that ends by itself does so. One that is killed leaves its placement group behind: Ray Train's cleaner
    asks Ray's dashboard whether the controller lives, and a run's own Ray has none. After a second such death no rank
    would ever be placed again.
    """
    import ray
    from ray.util import placement_group_table, remove_placement_group
    from ray.util.placement_group import PlacementGroup

    if not ray.is_initialized():
        return
    for identity, found in _places(placement_group_table()):
        if found["state"] != "REMOVED":
            remove_placement_group(PlacementGroup(ray.PlacementGroupID(bytes.fromhex(identity))))


def _places(table: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Ray's placement groups of this job, each by its identity. Nothing but its learner has any."""
    import ray

    job = ray.get_runtime_context().get_job_id()
    for found in table.values():
        if found["placement_group_id"].endswith(job):
            yield found["placement_group_id"], found


def rank_resources(cluster: ClusterConfig, *, gpu: bool) -> dict[str, float]:
    """What Ray sets aside for a rank."""
    cores = {"CPU": cluster.learner_cpus}
    return {**cores, "GPU": cluster.learner_gpus} if gpu else cores


#: On a GPU, what is left for cores is casting, check sums and an offloaded optimiser: bound by memory, not by cores.
_GPU_THREADS = 8


def rank_threads(learner: LearnerConfig, cores: int, *, here: int, gpu: bool = False) -> int:
    """Threads of a rank. The ranks that are here share the machine's cores, of which each would otherwise take all;
    beside a GPU they leave half to players and sandboxes."""
    share = max(1, cores // here)
    return learner.threads or (max(1, min(share // 2, _GPU_THREADS)) if gpu else share)


def _rank(config: dict[str, LearnerPlan]) -> None:
    """What each rank runs; Ray Train has set up the process group."""
    from ray import train as ray_train
    from ray.train.torch import get_device

    def report(step: int, result: StepReport) -> None:
        ray_train.report({"step": step, **result.metrics})

    # Where Ray sets no card aside, its answer is the first card of whoever sees one.
    device = get_device() if config["plan"].gpu else torch.device("cpu")
    cores, here = available_cores(), ray_train.get_context().get_local_world_size()
    torch.set_num_threads(rank_threads(config["plan"].learner, cores, here=here, gpu=device.type != "cpu"))
    run(config["plan"], device, report)
