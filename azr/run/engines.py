"""The run's engines: started, asked for by name, taken down. What they are is `actors.rollout`'s business.

Called by the driver. Clients belong to the event loop that made them, so each user makes its own: the driver inside
`asyncio.run`, players in their processes (`for_players` travels to them and becomes a client there).
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from actors.engine.settings import EngineSettings
from actors.players.engines import Replicas
from actors.rollout.client import RolloutClient
from actors.rollout.deployment import Rollouts, pool_for, pools_of
from actors.rollout.replica import ReplicaStatus
from actors.rollout.scaling import ScalingState, decide
from actors.weights.folders import remove_versions, versions_folder
from actors.weights.records import Member
from azr.config.root import Config
from azr.doctor.packages import require_cpu_kernels
from azr.errors import AzrError
from azr.run.gathering import EnginesStand
from azr.run.gpus import on_gpus
from azr.run.local_ray import driver_name
from azr.run.shares import Asked
from azr.text import shortened

#: Between two looks at who serves.
LOOK_SECONDS = 0.2
#: Characters of why an engine was lost.
WHY_WIDTH = 300
#: What Serve needs to delete an application that has nothing left to do.
STOP_SECONDS = 10.0


class Publishing(NamedTuple):
    """What rank 0 needs to hand weights on; picklable."""

    registry: str
    transport: str
    dtype: str


class Engines:
    """The replicas of a run."""

    def __init__(self, config: Config, rollouts: Rollouts, asked: Asked) -> None:
        self._config, self._rollouts, self._asked = config, rollouts, asked
        self._scaling = ScalingState(config.rollout.replicas)
        self._scaled = config.rollout.replicas
        """As many as Serve and the registry were told to have."""
        self._wish: _Wish | None = None

    @property
    def wanted(self) -> int:
        """How many should serve, of all roles."""
        return sum(map(self._rollouts.count, pools_of(self._rollouts.settings)))

    @property
    def gpu(self) -> bool:
        """Whether they run on GPUs."""
        return self._rollouts.settings.gpu

    def deploy(self) -> None:
        """Have Serve start them, and come back at once: from now on cards and cores are theirs as they find them."""
        self._rollouts.deploy()

    def ready(self, remaining: Callable[[], float], now: Callable[[str], None]) -> None:
        """Wait until all serve; `now` hears who is missing and why one was lost last, `remaining` raises when the time
        is over, and so does that no engine can be made."""
        wanted = self.wanted
        while True:
            serving, told = self._missing(wanted)
            if serving >= wanted:
                return
            self._rollouts.require_makeable()
            now(told + _last_loss(self._rollouts.lost()) + self.room())
            remaining()
            time.sleep(LOOK_SECONDS)

    def _missing(self, wanted: int) -> tuple[int, str]:
        """How many serve, and in words how many of those wanted do not yet."""
        states = [member.state for member in self._rollouts.members()]
        serving, starting = states.count("serving"), states.count("starting")
        return serving, f"{wanted - serving} of {wanted} engines to serve, {starting} make their engine"

    def room(self) -> str:
        """What engines and the learner ask of a cluster beside what it has, for the end of a line that says who is
        waited for; nothing in a Ray of the run's own. A cluster that stays too small is refused so."""
        return self._asked.beside()

    @contextlib.asynccontextmanager
    async def client(self, role: str = "solve") -> AsyncIterator[RolloutClient]:
        """A client on the running event loop, closed at the end."""
        client = RolloutClient(
            self._rollouts.registry,
            pool=pool_for(self._rollouts.settings, role),
            attempts=self._config.rollout.attempts,
        )
        try:
            yield client
        finally:
            await client.close()

    def follow(self, values: Mapping[str, float]) -> list[str]:
        """Have one replica more or less where a step's numbers call for it; what is done, and what went wrong with it,
        as lines. Waits for nobody; what Serve or the registry did not take is told them once more after a later step.

        The replicas that solve are scaled: where proposers have their own, theirs stay as many as configured.
        """
        before, rollout, lines = self._scaling, self._config.rollout, list[str]()
        if self._wish and not self._wish.pending:
            if self._wish.error:
                lines.append(f"{self._wish.count} engines were not taken, trying again: {self._wish.error}")
            else:
                self._scaled = self._wish.count
            self._wish = None
        wait, idle = values.get("perf/learner_idle"), values.get("perf/rollout_idle")
        if rollout.max_replicas <= 0 or wait is None or idle is None:
            return lines
        self._scaling = now = decide(before, rollout, learner_wait=wait, engines_idle=idle)
        if now.replicas != before.replicas:
            why = "the learner waits for data" if now.replicas > before.replicas else "engines are idle"
            lines.append(f"from {before.replicas} to {now.replicas} engines: {why}")
        if self._wish is None and now.replicas != self._scaled:
            self._wish = _Wish(self._rollouts, now.replicas, pool_for(self._rollouts.settings, "solve"))
        return lines

    def for_players(self) -> Replicas:
        """What travels to players, and becomes a client there."""
        return Replicas.of_run(self._rollouts.settings, self._rollouts.registry_name)

    def publishing(self) -> Publishing:
        """What travels to the learner."""
        settings = self._rollouts.settings
        return Publishing(self._rollouts.registry_name, settings.transport, settings.dtype)

    def statuses(self) -> list[ReplicaStatus]:
        """How each replica is."""
        return self._rollouts.statuses()

    def statistics(self) -> EnginesStand:
        """How the engines stand; a role that no engine serves is an error, so that it is noticed, which says who is
        missing and why one was lost last."""
        statuses = self.statuses()
        if pools_of(self._rollouts.settings).keys() - {each.pool for each in statuses if each.state == "serving"}:
            _, told = self._missing(self.wanted)
            raise AzrError(told + _last_loss(self._rollouts.lost()))
        return EnginesStand(
            engines={status.name: status.engine for status in statuses},
            states={status.name: status.state for status in statuses},
            lost=self._rollouts.replaced(),
        )

    def stop(self, patience: float) -> None:
        """End all replicas and the registry. Past its patience Serve is left behind: Ray's own end takes it along."""

        def end() -> None:
            if self._wish:
                self._wish.wait(patience)  # told after the end, it would have Serve start engines anew
            self._rollouts.stop()

        ending = threading.Thread(target=end, name="engines-stop", daemon=True)
        ending.start()
        ending.join(patience + STOP_SECONDS)
        remove_versions(self._rollouts.folder)


class _Wish:
    """So many engines, told to Serve and the registry in a thread: each may take a minute to answer, or be dead."""

    def __init__(self, rollouts: Rollouts, count: int, pool: str) -> None:
        self.count = count
        self.error = ""
        """Why it was not taken, once it is no longer pending."""
        self._rollouts, self._pool = rollouts, pool
        self._thread = threading.Thread(target=self._tell, name="engines-scale", daemon=True)
        self._thread.start()

    @property
    def pending(self) -> bool:
        """Whether the answer is still to come."""
        return self._thread.is_alive()

    def wait(self, seconds: float) -> None:
        """Until the answer is there, but no longer than this."""
        self._thread.join(seconds)

    def _tell(self) -> None:
        try:
            self._rollouts.scale(self.count, pool=self._pool)
        except Exception as error:  # Ray's or Serve's: the run goes on with the engines it has
            self.error = shortened(f"{type(error).__name__}: {error}", WHY_WIDTH)


def _last_loss(lost: Sequence[Member]) -> str:
    """Why an engine was lost last, to be told behind what is waited for; nothing while none was."""
    if not lost:
        return ""
    last = lost[-1]
    return f" ({last.name} was lost: {shortened(last.why.removeprefix(f'{last.name}: '), WHY_WIDTH)})"


def weights_folder(config: Config) -> Path:
    """Where the registry keeps versions."""
    return versions_folder(config.weights.folder, driver_name(config))


def transport_of(config: Config) -> str:
    """The transport asked for, where `auto` leaves nothing to the engines' cards if the learner has none: NCCL sends
    from a card, and one that a rank on cores still sees may be an engine's."""
    on_cores = config.weights.transport == "auto" and config.cluster.learner_gpus == 0
    return "shm" if on_cores else config.weights.transport


def open_engines(config: Config, *, ranks: int = 0) -> Engines:
    """Start the registry of engines that are to be deployed; Ray is up, and the configuration one `at_its_place`. There
    must be room for so many ranks of a learner as well."""
    import ray

    resources = ray.cluster_resources()
    gpu = on_gpus(config, resources)
    if not gpu and ranks and config.cluster.gpu:
        raise AzrError(
            f"cluster.gpu names {config.cluster.gpu}, and no GPU can be used here",
            "make setup EXTRA=gpu, and activate .venv-gpu (azr doctor tells what it finds); cluster.gpu='' takes cores",
        )
    if not gpu:
        require_cpu_kernels()  # replicas would find out too, each after its imports
    weights = replace(config.weights, transport=transport_of(config))
    settings = EngineSettings.of(config.model.path, config.rollout, weights, seed=config.run.seed, gpu=gpu)
    asked = Asked(config, settings, ranks=ranks)
    asked.require(resources)
    logs = Path(config.run.folder, config.run.name, "logs")
    return Engines(config, Rollouts.open(driver_name(config), settings, logs=logs), asked)
