"""What a run asks Ray to set aside for its engines and learner ranks, and whether Ray has it.

Made by `engines` before any is started; told by them and by the driver while they wait. For whom Ray has no room waits
in it without a word: what it can never have is refused here, and what it may have later is told beside what it has.

    engines: 3 x 2 GPUs ┐             ┌─ fewer in a Ray of its own  ──► refused at once, by the keys that ask
    ranks: 2 x 1 GPU    ┴─► 8 GPUs ──►┼─ fewer in a cluster, and nobody adds nodes for a minute ──► refused likewise
                                      ├─ fewer, but an autoscaler may add nodes ──► waited for, and told
                                      └─ enough, though others may hold them    ──► waited for, and told
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from actors.engine.settings import EngineSettings
from actors.rollout.deployment import pools_of, resources_of
from azr.config.root import Config
from azr.errors import AzrError
from azr.run.gpus import ranks_on_gpus

#: What fractions of cards may add up to beyond whole ones: thirds do not add up to one.
_ROUNDING = 1e-6
_OR_FRACTIONS = ", or for fractions that share a card (rollout.memory_fraction leaves the others room)"
#: Seconds between two questions to Ray of what it has: who waits looks five times a second.
_ASK_SECONDS = 2.0
#: A cluster may have less than is asked for so long, though no autoscaler is known: its nodes may still be joining, and
#: who keeps them at their number elsewhere, as KubeRay does, puts another in the place of a lost one.
LACKING_SECONDS = 60.0
#: How Ray calls the kinds of nodes where no configuration of an autoscaler does: each by the id of its only one.
_PUT_THERE = re.compile(r"node_[0-9a-f]{40,}")


class Share(NamedTuple):
    """What each of some equal parts asks for, by Ray's names of it, and the keys that say so."""

    parts: str
    number: int
    each: Mapping[str, float]
    keys: Mapping[str, str]
    spare: bool = False
    """Whether the run can do without."""


def shares_of(config: Config, settings: EngineSettings, *, ranks: int) -> list[Share]:
    """What so many ranks of a learner and the engines ask for."""
    shares = []
    if ranks:
        from learner.ray_train import rank_resources  # imports torch, which engines alone have no use for

        each = rank_resources(config.cluster, gpu=ranks_on_gpus(config, gpu=settings.gpu))
        keys = {kind: f"learner.ranks, cluster.learner_{kind.lower()}s" for kind in each}
        shares.append(Share("the learner", ranks, each, keys))
    asked, pools = resources_of(settings), pools_of(settings)
    each = {"GPU": asked["num_gpus"], "CPU": asked["num_cpus"]}
    keys = {kind: f"rollout.replicas, rollout.{kind.lower()}s_per_replica" for kind in each}
    shares.append(Share("engines", sum(pools.values()), each, keys))
    if standby := config.rollout.standby * len(pools):
        spare = {kind: f"rollout.standby, rollout.{kind.lower()}s_per_replica" for kind in each}
        shares.append(Share("engines standing by", standby, each, spare, spare=True))
    return shares


class Asked:
    """All that a run asks for."""

    def __init__(
        self,
        config: Config,
        settings: EngineSettings,
        *,
        ranks: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._joined = bool(config.cluster.address)
        self._shares = shares_of(config, settings, ranks=ranks)
        self._clock = clock
        self._told, self._told_at = "", float("-inf")
        self._lacking_since: float | None = None
        """The first of the looks in a row at which a cluster had too little; None: it had enough at the last."""

    def lacking(self, resources: Mapping[str, float], *, spare: bool = True) -> list[str]:
        """Of what more is asked for than Ray has in all; `spare`: by those as well without whom the run can do."""
        return [kind for kind in ("GPU", "CPU") if self._sum(kind, spare) > resources.get(kind, 0.0) + _ROUNDING]

    def require(self, resources: Mapping[str, float]) -> None:
        """Refuse what a Ray of the run's own, which has these resources in all, can never set aside: some would wait
        for it until a time-out that says nothing of it. A cluster is looked at for longer, by `beside`."""
        if not self._joined and self.lacking(resources):
            raise self._refusal(resources)

    def _refusal(self, resources: Mapping[str, float]) -> AzrError:
        """The error that names the keys which ask for more than there is."""
        kind = self.lacking(resources)[0]
        asked = " and ".join(
            f"{share.number} x {share.each[kind]:g} by {share.parts} ({share.keys[kind]})"
            for share in self._shares
            if share.each.get(kind)
        )
        here = "can be used here (cluster.cpus)" if kind == "CPU" else "can be used here"
        has = f"{resources.get(kind, 0.0):g} {'are in the cluster' if self._joined else here}"
        fewer = f"ask for fewer{_OR_FRACTIONS if kind == 'GPU' else ''}"
        return AzrError(
            f"{self._sum(kind):g} {kind}s are asked for and {has}: {asked}",
            f"add nodes to it, or {fewer}" if self._joined else f"{fewer}; azr doctor says what this machine has",
        )

    def beside(self) -> str:
        """What is asked for beside what a joined cluster has, for the end of a line that says who is waited for; what
        it has lacked for `LACKING_SECONDS`, and nobody is known to add, is refused. A Ray of its own has it, since
        `require`."""
        now = self._clock()
        if self._joined and now - self._told_at >= _ASK_SECONDS:
            self._told, self._told_at = self._tell(now), now
        return self._told

    def _tell(self, now: float) -> str:
        import ray

        kinds = [kind for kind in ("GPU", "CPU") if self._sum(kind)]
        if not kinds:
            return ""
        there, free = ray.cluster_resources(), ray.available_resources()
        told = [(share, _words(share.each)) for share in self._shares]
        asked = ", ".join(f"{share.number} x {words} by {share.parts}" for share, words in told if words)
        has = ", ".join(f"{free.get(kind, 0.0):g} of {there.get(kind, 0.0):g} {kind}s" for kind in kinds)
        return f" (asked of Ray: {asked}; free in the cluster: {has}{self._lack(there, now)})"

    def _lack(self, there: Mapping[str, float], now: float) -> str:
        """That nodes have to be added, and by when; nothing where there is enough."""
        if not self.lacking(there, spare=False):
            self._lacking_since = None
            return "; no room for all that stand by" if self.lacking(there) else ""
        if self._lacking_since is None:
            self._lacking_since = now
        if may_grow():
            return "; nodes have to be added, as an autoscaler may"
        left = self._lacking_since + LACKING_SECONDS - now
        if left <= 0.0:
            raise self._refusal(there)
        return f"; nodes have to be added within {left:.0f} s"

    def _sum(self, kind: str, spare: bool = True) -> float:
        return sum(share.number * share.each.get(kind, 0.0) for share in self._shares if spare or not share.spare)


def _words(each: Mapping[str, float]) -> str:
    """What a part asks for; nothing where it asks for nothing."""
    return " and ".join(f"{each[kind]:g} {kind}" for kind in ("GPU", "CPU") if each.get(kind))


def may_grow() -> bool:
    """Whether somebody may add nodes to the cluster that was joined; what is not known counts as yes.

    Ray has no question for it. But Ray's monitor tells of the nodes by their kinds, which an autoscaler calls as its
    configuration does, and which are made up where nodes were put together by hand. Who manages clusters otherwise
    leaves a configuration in Ray.
    """
    from ray._private import ray_constants
    from ray._private.state import state
    from ray.experimental.internal_kv import _internal_kv_get

    if state.get_cluster_config() is not None:
        return True
    told = _internal_kv_get(ray_constants.DEBUG_AUTOSCALING_STATUS)
    kinds = json.loads(told).get("autoscaler_report", {}).get("active_nodes", {}) if told else {}
    return not kinds or not all(map(_PUT_THERE.fullmatch, kinds))
