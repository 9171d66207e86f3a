"""The Ray that a run lives in: one of its own on this machine, or a cluster that is there already.

Owns starting, joining and leaving. Ray's own files lie in the system's temporary folder, or in /tmp where that one's
path is too long for Ray's sockets, in a folder that the driver holds: the next run finds and removes what a killed
driver left.

    address "" ──► ray.init in /tmp/azr-ray-PID-… ──► … ──► ray.shutdown, folder removed, logs kept where it failed
                                                   └─ Ray died: the reaper ends what is left, and this process leaves
    address    ──► join                            ──► … ──► leave; our actors end with the job
"""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import os
import shlex
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from azr.config.root import Config
from azr.config.sections.rollout import most_engines
from azr.errors import AzrError
from azr.held_folders import hold, remove_abandoned_temporary, temporary_for_sockets
from azr.run.gpus import own_gpus
from azr.run.reaper import AGAIN, Reaper, reaping
from azr.run.stopping import StoppedError, outliving_terminal
from azr.text import shortened
from sandbox_wasm.cores import available_cores

logger = logging.getLogger(__name__)

PREFIX = "azr-ray-"
#: Bytes that a temporary folder's path may have: what lies below it up to Ray's sockets takes 89 of a socket's 107, in
#: azr-ray-PID-RANDOM/session_DATE_TIME_PID/sockets/plasma_store.
_LONGEST_TEMPORARY = 18
#: Files of Ray's own logs that are kept when a run fails: more would be noise, and a worker may have said much.
KEPT_LOG_BYTES = 1 << 20

#: How a run whose driver or Ray is gone goes on.
RESUMED = "azr train --resume goes on from the newest checkpoint"

#: Of Ray's own processes, those without which nothing goes on, by Ray's names for them.
_VITAL = {"raylet": "node manager", "gcs_server": "control store"}

#: Threads of the libraries in each of our processes: they share the cores, and each would take all.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


#: Ray's control store keeps records of the last hundred thousand calls, for a dashboard that a run does not have, and
#: grew by half a megabyte a second. 0: none are sent to it.
SYSTEM = {"task_events_report_interval_ms": 0}


def on_this_machine(variables: dict[str, str]) -> dict[str, Any]:
    """The runtime environment of a Ray of our own, whose processes are all on this machine.

    Ray starts each worker through `bash -c` and does not quote its interpreter, which may lie in a folder with a blank
    in its name. In a cluster that is joined each machine has an interpreter of its own, and this says nothing of it.
    What need not be said is left out: workers that Ray starts in advance serve none but the empty environment.
    """
    environment: dict[str, Any] = {"env_vars": variables} if variables else {}
    if (quoted := shlex.quote(sys.executable)) != sys.executable:
        environment["py_executable"] = quoted
    return environment


def driver_name(config: Config) -> str:
    """What this driver's parts are called in the cluster and in shared memory.

    Of its own for each driver: another run may bear the same name elsewhere, and what a killed driver left (weights
    of steps that are still to come, say) must never be taken for this one's.
    """
    place = blake2b(f"{socket.gethostname()}/{Path(config.run.folder).absolute()}".encode(), digest_size=3).hexdigest()
    return f"azr-{config.run.name}-{place}-{os.getpid()}"


class RayLostError(AzrError):
    """Ray itself died; nothing can be restarted in it any more."""


def lost_ray() -> str:
    """What of this driver's own Ray is dead that all others live by; empty while it lives. A cluster that was joined
    looks after itself."""
    from ray._private import worker

    node = worker._global_node
    dead = {kind for kind, _ in node.dead_processes()} if node else set()
    return " and ".join(f"{what} ({kind})" for kind, what in _VITAL.items() if kind in dead)


def check_ray() -> None:
    """Raise when Ray is dead: it would notice, too, after a minute in which every call hangs, by ending this process
    without a word."""
    if lost := lost_ray():
        raise RayLostError(
            f"Ray's {lost} died, and everything in it with them",
            f"{RESUMED}; logs/ray in the run's folder may say why it died",
        )


def cores_of(config: Config, available: int) -> int:
    """Cores that Ray may hand out: what is configured or there, and never fewer than the parts ask for."""
    replicas = config.rollout.cpus_per_replica * most_engines(config.rollout)
    wanted = config.cluster.learner_cpus * config.learner.ranks + replicas
    # Ray Train's controller and Serve's ask for none; one more lets a restarted part stand beside a dying one.
    return config.cluster.cpus or max(available, int(-(-wanted // 1)) + 1)


def require_reachable(address: str) -> None:
    """Refuse a `cluster.address` that Ray would take for another, because RAY_ADDRESS names one.

    Ray follows it wherever no address is named, and then refuses to be told of cores and memory; where the cluster is
    to be found by itself (`auto`), it would go there even as a client. It is set in every submitted job, and by users
    for `ray job submit`. Called before anything is made for a run, and where Ray starts.
    """
    named = os.environ.get("RAY_ADDRESS", "")
    serves_others = "://" in named  # jobs or clients: a run can join no cluster by it
    if named in ("", "local") or not (address == "" or (address == "auto" and serves_others)):
        return
    inside = "submit azr with ray job submit and cluster.address=auto" if serves_others else "set cluster.address=auto"
    raise AzrError(
        f"cluster.address is {address or 'empty'}, but Ray would follow RAY_ADDRESS={shortened(named, 300)}",
        f"{inside} to be part of that cluster; unset RAY_ADDRESS (env -u RAY_ADDRESS azr …) to do without it",
    )


@contextlib.contextmanager
def ray_of(config: Config, logs: Path, weights: Sequence[Path] = (), mend: str = AGAIN) -> Iterator[None]:
    """Ray for the run, gone or left when the block ends. Versions in `weights` go should this process be killed, and
    `mend` is what a person is told then."""
    import ray

    if ray.is_initialized():
        raise AzrError("this process is in a Ray already", "start a run from a process of its own")
    require_reachable(config.cluster.address)
    variables = _variables()
    namespace = driver_name(config)
    remove_abandoned_temporary()
    if config.cluster.address:
        _join(config.cluster.address, namespace, variables)
        try:
            yield
        finally:
            _leave_serve()
            ray.shutdown()
        return
    _hush_raylet()
    temporary = _folder_of_its_own()
    failed = True
    with hold(temporary), reaping(os.getpid(), [temporary], weights, mend) as reaper:
        try:
            with outliving_terminal():
                ray.init(
                    num_cpus=cores_of(config, available_cores()),
                    num_gpus=own_gpus(),
                    include_dashboard=False,
                    object_store_memory=config.cluster.object_store_mb << 20,
                    namespace=namespace,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    _system_config=SYSTEM,
                    runtime_env=on_this_machine(variables),
                    _temp_dir=str(temporary),
                )
            yield
            failed = False
        except (StoppedError, KeyboardInterrupt) as told:
            failed = _came_upon_an_error(told)
            raise
        finally:
            if failed:
                _keep_logs(temporary, logs / "ray")
            if lost_ray():
                # Leaving it would wait a minute for what is dead, now and once more when Python ends.
                reaper.end_all()
                atexit.register(_leave)
            else:
                _shut_down(reaper)
                shutil.rmtree(temporary, ignore_errors=True)


def _variables() -> dict[str, str]:
    """What our processes find in their environment, but for what the job that this process is in was submitted with:
    Ray refuses to be told of a name twice, even with the same value."""
    from ray._private.runtime_env.constants import RAY_JOB_CONFIG_JSON_ENV_VAR

    job = json.loads(os.environ.get(RAY_JOB_CONFIG_JSON_ENV_VAR) or "{}").get("runtime_env") or {}
    return {name: value for name, value in ENVIRONMENT.items() if name not in (job.get("env_vars") or ())}


def _folder_of_its_own() -> Path:
    """Where Ray's files go: its sockets are there, too."""
    parent = temporary_for_sockets(_LONGEST_TEMPORARY)
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=parent))


def _join(address: str, namespace: str, variables: dict[str, str]) -> None:
    """Become part of a cluster that is there already."""
    import ray

    try:
        ray.init(address=address, namespace=namespace, log_to_driver=False, runtime_env={"env_vars": variables})
    except (OSError, RuntimeError, ValueError) as error:  # all of them for an address where no cluster answers
        if "Failed to merge" in str(error):
            raise AzrError(
                f"the job's runtime environment and azr's do not agree: {shortened(str(error), 300)}",
                f"leave {', '.join(variables)} out of the environment that the job was submitted with",
            ) from error
        raise AzrError(
            f"cluster.address: no cluster can be joined at {address!r}: {shortened(str(error), 300)}",
            "write HOST:PORT of its head, auto on one of its machines, or nothing for a Ray of the run's own",
        ) from error


def _shut_down(reaper: Reaper) -> None:
    """End Ray; where somebody insists in the middle of that, the reaper ends what is left of it."""
    import ray

    try:
        ray.shutdown()
    except BaseException:
        reaper.end_all()
        atexit.register(_leave)
        raise


def _leave() -> None:
    """The last act of a process whose Ray is dead: whatever Ray has registered for the end is passed over."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


def _leave_serve() -> None:
    """Serve outlives the job that started it: end it, unless it serves somebody else's applications as well."""
    from ray import serve

    with contextlib.suppress(Exception):  # the cluster may be going down; then so is Serve
        if not serve.status().applications:
            serve.shutdown()


def _hush_raylet() -> None:
    """Keep the raylet's advice off the console: it warns of more than four processes a core, and counts our actors.

    There is no switch for it; what it says stands in Ray's own logs, which are kept when a run fails.
    """
    from ray._private import worker

    if hasattr(worker, "print_to_stdstream"):
        worker.print_to_stdstream = lambda *_words, **_options: None


def _came_upon_an_error(told: BaseException) -> bool:
    """Whether somebody insisted on the end of a run that was failing: of one that was well nobody wants logs."""
    before: BaseException | None = told
    while isinstance(before, KeyboardInterrupt):
        before = before.__context__
    return before is not None and not isinstance(before, StoppedError)


def _keep_logs(session: Path, to: Path) -> None:
    """Copy the ends of what Ray's processes said to where the user looks, in place of what those of an earlier driver
    did: each has names of its own for its files, which would add up."""
    with contextlib.suppress(OSError):
        said = [path for path in (session / "session_latest" / "logs").glob("*") if path.is_file()]
        said = [path for path in said if path.stat().st_size > 0]
        if said:
            shutil.rmtree(to, ignore_errors=True)
            to.mkdir(parents=True, exist_ok=True)
        for path in said:
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - KEPT_LOG_BYTES))
                (to / path.name).write_bytes(file.read())
