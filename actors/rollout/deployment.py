"""Replicas under Ray Serve: started, watched, replaced, scaled and stopped by it.

Serve owns the processes: how many there are, on which machines and GPUs, whether they are well, and that a dead one
is replaced. What they say to each other and to their callers is ours (`replica`, `client`, `actors.weights.registry`).

    Rollouts.open ──► registry actor;  .deploy ──► one deployment a pool ──► replicas + standbys
    Rollouts.start ─► both, and waits until enough serve
    Rollouts.scale ──► registry wants n, Serve runs n + standbys; who is taken away finishes what it has
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from actors.engine.settings import EngineSettings
from actors.logs import log_into
from actors.rollout.asking_registry import ORPHAN_SECONDS
from actors.rollout.replica import ReplicaStatus
from actors.weights.folders import remove_versions, versions_folder
from actors.weights.records import Member
from actors.weights.registry import find_registry, start_registry
from azr.errors import AzrError
from azr.text import shortened

logger = logging.getLogger(__name__)

#: Between two looks at how many replicas serve.
_LOOK_SECONDS = 0.1
#: For calls to the registry that answer at once.
_CALL_SECONDS = 60.0

#: Serve asks three times before it calls a replica unwell, each with this long to answer.
_HEALTH_TIMEOUT_SECONDS = 30.0

#: Engines that cannot be made before the start is given up: one more than the pool has places, so that one was tried
#: twice (a card may still hold what an engine before left there), but no more than so many.
_UNMADE_MOST = 8

#: Between two questions to Serve whether it has given up.
_SERVE_SECONDS = 1.0

#: Times that Serve is told to start the replicas, `_SERVE_SECONDS` apart, if its controller dies each time.
_DEPLOY_TRIES = 30

#: Characters of what Serve says, from its end, where a traceback has the error.
_MESSAGE_WIDTH = 600

#: Of the deployment's code, as Serve sees it: the same for a run's whole life.
_VERSION = "1"


def pools_of(settings: EngineSettings) -> dict[str, int]:
    """Replicas wanted by pool: one pool that both roles share, or one for each."""
    rollout = settings.rollout_config
    if rollout.separate_roles:
        return {"propose": rollout.proposer_replicas, "solve": rollout.replicas}
    return {"shared": rollout.replicas}


def pool_for(settings: EngineSettings, role: str) -> str:
    """The pool that answers a role's requests."""
    return role if settings.rollout_config.separate_roles else "shared"


def resources_of(settings: EngineSettings) -> dict[str, float]:
    """What Ray sets aside for a replica: all cards of its engine, so that they are on one machine."""
    rollout = settings.rollout_config
    gpus = rollout.gpus_per_replica
    if gpus < 0:
        gpus = float(rollout.tensor_parallel if settings.gpu else 0)
    return {"num_cpus": rollout.cpus_per_replica, "num_gpus": gpus}


def environment_of(own: Mapping[str, Any], variables: Mapping[str, str]) -> dict[str, Any]:
    """The runtime environment of a replica: the driver's own, with these variables. What is left out Ray takes from
    Serve's controller, and that is as the job which first started Serve was submitted, somebody else's maybe."""
    return {**own, "env_vars": {**own.get("env_vars", {}), **variables}}


class Rollouts:
    """All replicas of a run; made by `Rollouts.open` or `Rollouts.start` in the driver, with Ray up."""

    def __init__(self, name: str, settings: EngineSettings, folder: Path) -> None:
        self.name = name
        self.settings = settings
        self.folder = folder
        self.registry_name = f"{name}-weights"
        self.registry: Any = None
        self._counts: dict[str, int] = pools_of(settings)
        self._logs = ""
        self._asked_serve: dict[str, float] = {}
        """When, by pool."""

    @classmethod
    def open(cls, name: str, settings: EngineSettings, *, logs: Path | None = None) -> Rollouts:
        """Start the registry alone, to which a learner may publish; `deploy` starts replicas. In the folder `logs` each
        gets a file of its own."""
        weights = settings.weights_config
        folder = versions_folder(weights.folder, name)
        rollouts = cls(name, settings, folder)
        rollouts._logs = str(logs.absolute()) if logs else ""
        rollouts.registry = start_registry(
            rollouts.registry_name, folder, keep=weights.keep_versions, pools=rollouts._counts, logs=rollouts._logs
        )
        rollouts._call("forget_all")
        return rollouts

    @classmethod
    def start(
        cls, name: str, settings: EngineSettings, *, tell: Callable[[str], None] = lambda _text: None
    ) -> Rollouts:
        """Start registry and replicas; comes back when all of them serve."""
        rollouts = cls.open(name, settings)
        rollouts.deploy()
        rollouts.wait(tell=tell)
        return rollouts

    def deploy(self) -> None:
        """Have Serve start the replicas, and come back at once.

        Another run that has just ended may be shutting Serve down. Its controller then takes nothing, and dies under
        who waits for it; the next one has to be told anew, and another run may be first to start that.
        """
        from ray import serve
        from ray.exceptions import ActorAlreadyExistsError, RayActorError

        for left in reversed(range(_DEPLOY_TRIES)):
            try:
                serve.start(proxy_location="Disabled")
                for pool in self._counts:
                    self._deploy(pool)
                return
            except (RayActorError, ActorAlreadyExistsError) as error:
                if not left:
                    raise AzrError(
                        f"Ray Serve's controller was gone {_DEPLOY_TRIES} times when it was to start engines: {error}",
                        "look whether other runs of the cluster end all the time, or what ends it (serve status)",
                    ) from error
                time.sleep(_SERVE_SECONDS)

    def wait(self, *, tell: Callable[[str], None] = lambda _text: None) -> None:
        """Wait until every pool has the replicas it wants; tells what it waits for, at most once a second."""
        limit = self.settings.rollout_config.start_seconds
        began = told = time.monotonic()
        while missing := self._missing():
            self.require_makeable()
            now = time.monotonic()
            if now - began > limit:
                raise AzrError(
                    f"replicas did not stand within {limit:g} s: {missing}",
                    "look into their logs under the run's folder, or raise rollout.start_seconds on a slow machine",
                )
            if now - told >= 1.0:
                told = now
                tell(f"waiting for engines: {missing}")
            time.sleep(_LOOK_SECONDS)

    def require_makeable(self) -> None:
        """Raise where it shows that no engine can be made, rather than wait for one; or where Serve, which tries three
        times a place before any has stood, has given up."""
        lost = self.lost()
        for pool, count in self._counts.items():
            failed = [member for member in lost if member.pool == pool and member.unmade]
            logs = f"{self._logs}/engine-{pool}-*.log" if self._logs else "its replica's log"
            if len(failed) > min(count + self.settings.rollout_config.standby, _UNMADE_MOST - 1):
                said = failed[-1].why.removeprefix(f"{failed[-1].name}: no engine: ")
                raise AzrError(
                    f"{len(failed)} times no engine could be made: {said}",
                    "change the key that it speaks of (rollout.max_model_len, rollout.kv_cache_mb and"
                    " rollout.memory_fraction say what must fit, model.path which model), or mend the machine; the"
                    f" whole error is in {logs}",
                )
            if told := self._serve_gave_up(pool):
                whys = [member.why for member in lost if member.pool == pool]
                raise AzrError(
                    f"Ray Serve starts no more engines, so many have failed: {whys[-1] if whys else told}",
                    f"look into {logs}, and whether something ends their processes (want of memory, say)",
                )

    def scale(self, count: int, *, pool: str = "shared") -> None:
        """Have so many replicas serve a pool. Comes back when Serve and the registry have been told, which may take
        either a minute; a new replica serves when it has the newest weights, one that is taken away finishes what it is
        sampling. Telling it once more does no harm."""
        self._counts[pool] = count
        self._deploy(pool)
        self._call("want", pool, count)

    def count(self, pool: str = "shared") -> int:
        """Replicas that a pool should have."""
        return self._counts[pool]

    def members(self, pool: str = "") -> list[Member]:
        """Replicas as the registry knows them."""
        found: list[Member] = self._call("members", pool)
        return found

    def lost(self) -> list[Member]:
        """Replicas that died lately, the newest last, each with the reason."""
        found: list[Member] = self._call("lost")
        return found

    def replaced(self) -> int:
        """Replicas lost since the registry began; those that were told to go are not."""
        return int(self._call("replaced"))

    def statuses(self) -> list[ReplicaStatus]:
        """How each replica is, as it said within the last second or so."""
        return [msgspec.msgpack.decode(status, type=ReplicaStatus) for status in self._call("statuses")]

    def stop(self) -> None:
        """End replicas and registry, and remove their files."""
        from ray import kill, serve

        for pool in self._counts:
            with contextlib.suppress(Exception):
                serve.delete(self._application(pool))
        with contextlib.suppress(Exception):
            self._call("clear")
        with contextlib.suppress(Exception):
            kill(self.registry)
        remove_versions(self.folder)

    # --- inside -----------------------------------------------------------------------------------------------------

    def _application(self, pool: str) -> str:
        return f"{self.name}-{pool}"

    def _deploy(self, pool: str) -> None:
        """Tell Serve how many replicas the pool has. Nothing but the number changes from call to call, so that those
        which run stay untouched."""
        from ray import get_runtime_context, serve

        rollout = self.settings.rollout_config
        deployment: Any = serve.deployment(
            name="engine",
            health_check_period_s=rollout.health_check_seconds,
            health_check_timeout_s=_HEALTH_TIMEOUT_SECONDS,
            graceful_shutdown_wait_loop_s=0.2,
            graceful_shutdown_timeout_s=rollout.drain_seconds + 30.0,
            ray_actor_options={
                **resources_of(self.settings),
                "runtime_env": environment_of(get_runtime_context().runtime_env, self.settings.environment()),
            },
            max_replicas_per_node=rollout.replicas_per_node or None,
        )(ServedReplica)
        # Without a version of its own each call would count as new code, and replace all replicas.
        deployment = deployment.options(
            num_replicas=self._counts[pool] + rollout.standby, version=_VERSION, _internal=True
        )
        settings = msgspec.msgpack.encode(self.settings)
        application = deployment.bind(settings, self.registry_name, pool, self._logs, str(self.folder))
        serve._run(application, name=self._application(pool), route_prefix=None, _blocking=False)

    def _serve_gave_up(self, pool: str) -> str:
        """What Serve says of a pool that it starts nothing for any more; empty while it does, or cannot be asked."""
        from ray import is_initialized, serve

        # Asked without a Ray, Serve would start one.
        if time.monotonic() - self._asked_serve.get(pool, 0.0) < _SERVE_SECONDS or not is_initialized():
            return ""
        self._asked_serve[pool] = time.monotonic()
        with contextlib.suppress(Exception):  # its controller is away; the replicas are waited for all the same
            application = serve.status().applications.get(self._application(pool))
            if application is not None and _gave_up(application):
                return shortened(" ".join(application.message.split())[-_MESSAGE_WIDTH:], _MESSAGE_WIDTH)
        return ""

    def _missing(self) -> str:
        members = self.members()
        parts = []
        for pool, wanted in self._counts.items():
            states = [member.state for member in members if member.pool == pool]
            serving = states.count("serving")
            if serving < wanted:
                parts.append(f"{serving} of {wanted} {pool} serve, {states.count('starting')} make their engine")
        return "; ".join(parts)

    def _call(self, method: str, *arguments: Any) -> Any:
        """Ask the registry; one that is being restarted is asked again until the time is over."""
        import ray

        ends = time.monotonic() + _CALL_SECONDS
        while True:
            try:
                return ray.get(getattr(self.registry, method).remote(*arguments), timeout=_CALL_SECONDS)
            except ray.exceptions.RayTaskError:
                raise
            except ray.exceptions.RayActorError as error:
                if time.monotonic() > ends or isinstance(error, ray.exceptions.ActorDiedError):
                    raise
                time.sleep(_LOOK_SECONDS)


async def _require_run(registry_name: str, folder: Path) -> None:
    """Raise where the run is gone already, having Serve make no more replicas for it: one that Serve started in a dead
    one's place may find that nobody is left to end the application."""
    began = time.monotonic()
    while True:
        try:
            find_registry(registry_name)
            return
        except ValueError:
            if time.monotonic() - began > ORPHAN_SECONDS:
                _end_application(folder)
                raise
            await asyncio.sleep(_SERVE_SECONDS)


def _gave_up(application: Any) -> bool:
    """Whether Serve starts no more replicas of an application. It calls one failed as well of which a replica died
    before all had stood; that replica it makes anew."""
    if application.status != "DEPLOY_FAILED":
        return False
    failed = [one for one in application.deployments.values() if one.status == "DEPLOY_FAILED"]
    return not failed or any(one.status_trigger != "HEALTH_CHECK_FAILED" for one in failed)


def _end_application(folder: Path) -> None:
    """The run died without ending its replicas: have Serve end those of this pool, and remove the versions in `folder`.

    The registry died with the run's driver, and its files in this machine's memory are nobody's.
    In a thread, because asking Serve blocks, and this process has an event loop to keep.
    """
    from ray import serve

    application = serve.get_replica_context().app_name

    def end() -> None:
        remove_versions(folder)
        serve.delete(application, _blocking=False)

    threading.Thread(target=end, name="end-application", daemon=True).start()


class ServedReplica:
    """What Serve makes in each replica's process: a `Replica`, and the few things Serve itself asks of it."""

    async def __init__(self, settings: bytes, registry_name: str, pool: str, logs: str, folder: str) -> None:  # type: ignore[misc]
        """Serve awaits this on the loop that will serve; the replica counts as started when it comes back."""
        from ray import serve

        from actors.rollout.replica import Replica

        log_into(logs, f"engine-{pool}-{serve.get_replica_context().rank.rank}")
        await _require_run(registry_name, Path(folder))
        name = f"{pool}-{serve.get_replica_context().replica_id.unique_id}"
        self._replica = await Replica.start(
            msgspec.msgpack.decode(settings, type=EngineSettings),
            registry_name,
            name=name,
            pool=pool,
            orphaned=partial(_end_application, Path(folder)),
        )

    async def check_health(self) -> None:
        """Serve's question; an error three times in a row has it replace the replica."""
        await self._replica.check()

    async def __del__(self) -> None:
        """Serve awaits this when the replica is taken away."""
        if replica := getattr(self, "_replica", None):
            await replica.stop()
