"""The learner's side: a version goes to the registry first, then to all replicas, and everybody's checksum is compared.

Called from the learner's publishing thread on rank 0, one version at a time; blocks until every replica confirmed or
was given up. Replicas are told apart by name in whatever goes wrong. A replica that does not confirm in time is not
waited for again: the registry forgets it, and it is replaced or comes back with the newest version by itself.

    publish ─► cast ─┬─► file in the registry's folder ─┬─► order ─► (send) ─► reports ─► versions, checksums compared
                     └─► checksum, beside ──────────────┘
    registry on another machine: the bytes go through Ray's object store
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from actors.host import host_id
from actors.weights.fingerprint import fingerprint
from actors.weights.folders import no_room, require_room
from actors.weights.records import Member, Order, Report, Stored, UpdateReport
from actors.weights.registry import find_registry
from actors.weights.setbacks import Setbacks
from actors.weights.transports.base import Transport
from actors.weights.transports.bounded import carry_in_time
from actors.weights.transports.files import file_content, file_name, write_file
from azr.config.sections.weights import TRANSPORTS as KNOWN_TRANSPORTS
from azr.config.sections.weights import WeightsConfig
from azr.errors import AzrError
from azr.game.types import Version
from azr.held_folders import hold
from azr.plugins import TRANSPORTS, load_plugin
from azr.text import shortened

if TYPE_CHECKING:
    from torch import Tensor

logger = logging.getLogger(__name__)

#: For calls to the registry that answer at once; it may be restarting.
_CALL_SECONDS = 60.0
_AGAIN_SECONDS = 0.2

#: Of a version's time, what replicas have at least once it is stored.
_REPLICAS_SHARE = 0.5
#: Of their time, what a transport may take before replicas take the file instead.
_SENDERS_SHARE = 0.5

#: Characters told of a transport's error.
_TOLD = 300


class PublishError(RuntimeError):
    """A version could not be handed on at all: the registry did not take it."""


class WeightPublisher:
    """Hands versions on. One for a learner; `settings` are the engines', so that both sides mean the same transport."""

    def __init__(self, registry_name: str, config: WeightsConfig, *, transport: str, dtype: str = "") -> None:
        self._name = registry_name
        self._registry = find_registry(registry_name)
        self._config = config
        self._transport_name = transport
        self._dtype = dtype
        self._transport: Transport | None = None
        self._host = ""
        self._folder = Path()
        self._held: IO[str] | None = None
        self._confirmed: frozenset[str] = frozenset()
        """Who confirmed the version before: they owe a report also where a registry that is new knows nobody yet."""
        self._not_carried: str | None = None
        """Why the transport could not carry the present version; None where it was not asked to."""
        self._setbacks = Setbacks()
        self.on_report: Callable[[UpdateReport], None] = _log

    def publish(self, version: Version, weights: Mapping[str, Tensor]) -> UpdateReport:
        """Hand a version on; the answer says what became of it at each replica."""
        began = time.monotonic()
        ends = began + self._config.publish_seconds
        tensors = _cast(weights, self._dtype)
        # The file is written meanwhile. The learner's weights lie in host memory, where it does not matter who sums.
        with ThreadPoolExecutor(1, thread_name_prefix="azr-checksum") as beside:
            summing = beside.submit(fingerprint, tensors.items()) if self._config.verify else None
            checksum, size = self._store(version, tensors, lambda: summing.result() if summing else "", ends)
        stored_after = time.monotonic() - began
        # A slow disk is no replica's fault: none of them is given up for it.
        ends = max(ends, time.monotonic() + _REPLICAS_SHARE * self._config.publish_seconds)
        self._not_carried = None
        reports, missing = self._hand_on(version, tensors, checksum, ends)
        if _differing(reports, version):
            reports, missing = self._mend(version, reports, missing, ends)
        self._confirmed = frozenset(report.name for report in reports)
        report = UpdateReport(
            version=version,
            reports=tuple(reports),
            missing=(*missing, *_differing(reports, version)),
            not_carried=self._not_carried,
            checksum=checksum,
            size=size,
            seconds=time.monotonic() - began,
            store_seconds=stored_after,
        )
        self.on_report(report)
        return report

    def close(self) -> None:
        """Nothing more will be published. For who lives on afterwards: a rank's end does as much."""
        if self._transport is not None:
            self._transport.close()
        if self._held is not None:
            self._held.close()

    # --- to the registry --------------------------------------------------------------------------------------------

    def _store(
        self, version: Version, tensors: Mapping[str, Tensor], summed: Callable[[], str], ends: float
    ) -> tuple[str, int]:
        """Checksum and size of what the registry has got."""
        import numpy as np

        if not self._host:
            self._host, folder = self._ask("begin_publishing")
            self._folder = Path(folder)
            if self._host == host_id():  # also while the registry is being restarted it is somebody's
                self._held = hold(self._folder)
                require_room(self._folder, _size_of(tensors), self._config.keep_versions)
        if self._host == host_id() or (self._folder.is_dir() and self._needs_file()):
            path = self._folder / file_name(version)
            size, checksum = self._write(path, tensors), summed()
            self._ask("adopt", Stored(version=version, path=str(path), checksum=checksum, size=size))
            return checksum, size
        # All its bytes go over the network and to a disk there: that may take what a version may take in all.
        content, checksum = np.frombuffer(file_content(tensors), np.uint8), summed()
        self._ask("make_way", content.nbytes)
        self._ask("accept", version, content, checksum, seconds=max(_CALL_SECONDS, ends - time.monotonic()))
        return checksum, content.nbytes

    def _needs_file(self) -> bool:
        """Whether the transport wants the file in a folder that is seen from here as well as by the registry."""
        try:
            return bool(getattr(self._sender(), "needs_file", False))
        except Exception:  # one that cannot be made is told of when it should carry
            return False

    def _write(self, path: Path, tensors: Mapping[str, Tensor]) -> int:
        from safetensors import SafetensorError

        try:
            return write_file(path, tensors)
        except (OSError, SafetensorError) as error:
            raise no_room(self._folder, _size_of(tensors), str(error)) from error

    # --- to the replicas --------------------------------------------------------------------------------------------

    def _hand_on(
        self, version: Version, tensors: Mapping[str, Tensor], checksum: str, ends: float
    ) -> tuple[list[Report], list[str]]:
        # A transport whose sender hangs must leave its replicas the time to take the file instead.
        fleet = _Fleet(self, time.monotonic() + _SENDERS_SHARE * (ends - time.monotonic()))
        expected = sorted({member.name for member in fleet.members} | self._confirmed)
        by_file = Order(number=0, action="file", version=version, checksum=checksum)
        if any(member.version >= version for member in fleet.members):
            # Engines begin with the version that a run's first publication has. They would join a broadcast, receive
            # nothing of what they hold already, and keep its sender waiting; an order by file they confirm.
            return self._wait(self._ask("give", by_file), ends, expected, instead=by_file)
        if rest := self._setbacks.rest(member.name for member in fleet.members):
            row = self._setbacks.failures
            self._not_carried = f"{self._transport_name} failed {row} times in a row and rests for {rest} more versions"
            return self._wait(self._ask("give", by_file), ends, expected, instead=by_file)
        why = ""
        try:
            number = carry_in_time(self._sender(), version, checksum, tensors, fleet)
        except Exception as error:
            # The version is in the registry: everybody can still take its file. The next one gets a new transport, for
            # this one may still hang in what it does.
            self._transport = None
            why = f"could not carry them ({shortened(str(error) or type(error).__name__, _TOLD)})"
            logger.warning("%s could not carry weights (%s); replicas take the file", self._transport_name, error)
            number = self._ask("give", by_file)
        reports, failed = self._wait(number, ends, expected, instead=by_file)
        healed = [f"{each.name}: {each.error}" for each in reports if each.error and not each.failed]
        if fleet.members:  # or nobody was there to carry them to
            # One replica that it never reaches is no reason to have all others take the file.
            rest = self._setbacks.count(failed=bool(why) or 0 < len(healed) == len(reports))
            if healed and not why:
                why = f"failed at {shortened('; '.join(healed), _TOLD)}"
            resting = f"; it rests for {rest} versions" if rest else ""
            self._not_carried = f"{self._transport_name} {why}{resting}" if why else ""
        return reports, failed

    def _sender(self) -> Transport:
        """The transport, made when it is needed and there is none."""
        if self._transport is None:
            self._transport = make_transport(self._transport_name, self._folder, self._config)
        return self._transport

    def _mend(
        self, version: Version, reports: list[Report], missing: list[str], ends: float
    ) -> tuple[list[Report], list[str]]:
        """Have replicas whose weights are not the others' take the file once more, and then get a new engine."""
        for renew in (False, True):
            wrong = _disagreeing(reports)
            if not wrong or time.monotonic() > ends:
                break
            logger.warning("weights of %s differ; %s", ", ".join(wrong), "new engines" if renew else "taken again")
            order = Order(number=0, action="again", version=version, details={name: {"renew": renew} for name in wrong})
            again, owing = self._wait(self._ask("give", order), ends, wrong)
            changed = {report.name: report for report in again if report.name in wrong}
            missing = [*missing, *(each for each in owing if each not in missing)]
            if renew:  # nobody waits for an engine that is being made: what it loads is the newest version, summed
                gone = [name for name in wrong if name not in changed]
                reports = [report for report in reports if report.name not in gone]
                named = {each.partition(" ")[0] for each in owing}
                missing += [f"{name} makes a new engine: its weights differed" for name in gone if name not in named]
            reports = [changed.get(report.name, report) for report in reports]
        return reports, missing

    def _wait(
        self,
        number: int,
        ends: float,
        expected: Sequence[str],
        *,
        instead: Order | None = None,
        give_up: bool = True,
    ) -> tuple[list[Report], list[str]]:
        """Reports of all, and the names of those that failed, or said nothing in time, which are given up unless more
        is to be tried; then those count that were healed as well, for their transport is to know. A registry that was
        restarted knows the order no longer: it is given `instead`."""
        while True:
            left = max(0.05, ends - time.monotonic())
            stands, reports, owing = self._ask("outcome", number, list(expected), min(left, _CALL_SECONDS / 2))
            if not stands:
                if instead is None or time.monotonic() >= ends:
                    return [], ["registry: it was restarted, and the order is lost"]
                number = self._ask("give", instead)
                continue
            failed = [f"{each.name}: {each.error}" for each in reports if (each.failed if give_up else each.error)]
            if not owing:
                return reports, failed
            if time.monotonic() >= ends:
                share = 1.0 if give_up else _SENDERS_SHARE
                why = f"did not confirm weights within {share * self._config.publish_seconds:g} s"
                for name in owing if give_up else ():
                    self._ask("leave", name, f"it {why}")
                return reports, [*failed, *(f"{name} {why}" for name in owing)]

    def _ask(self, method: str, *arguments: Any, seconds: float = _CALL_SECONDS) -> Any:
        """Ask the registry; one that is being restarted is asked again for a while."""
        import ray

        ends = time.monotonic() + seconds
        while True:
            try:
                return ray.get(getattr(self._registry, method).remote(*arguments), timeout=seconds)
            except ray.exceptions.RayTaskError as error:
                if isinstance(error.cause, AzrError):  # with its own words, and without the traceback from there
                    raise error.cause from None
                raise
            except ray.exceptions.RayError as error:
                if time.monotonic() > ends:
                    raise PublishError(f"the registry {self._name} did not answer {method!r}: {error}") from error
                time.sleep(_AGAIN_SECONDS)


class _Fleet:
    """The replicas as a transport sees them, for one version."""

    def __init__(self, publisher: WeightPublisher, ends: float) -> None:
        self._publisher, self._ends = publisher, ends
        members: list[Member] = publisher._ask("members", "")
        self._members = tuple(sorted((each for each in members if each.state == "serving"), key=lambda each: each.name))

    @property
    def members(self) -> tuple[Member, ...]:
        """Who serves, by name."""
        return self._members

    def give(self, order: Order) -> int:
        """Tell all replicas; not when the time is over, for somebody else has told them something by then."""
        if time.monotonic() > self._ends:
            raise TimeoutError(f"the order {order.action!r} comes too late")
        return int(self._publisher._ask("give", order))

    def carried_out(self, number: int) -> None:
        """Wait for all; raises, with their names, if some failed. Nobody is given up for it: they can take the file."""
        names = [member.name for member in self._members]
        _, missing = self._publisher._wait(number, self._ends, names, give_up=False)
        if missing:
            raise RuntimeError("; ".join(missing))

    def seconds_left(self) -> float:
        """Until the deadline."""
        return max(0.1, self._ends - time.monotonic())


def make_transport(name: str, folder: Path, config: WeightsConfig) -> Transport:
    """The sender's side of a transport."""
    if name == "shm":
        from actors.weights.transports.shm import SharedMemory

        return SharedMemory()
    if name == "disk":
        from actors.weights.transports.disk import SharedFolder

        return SharedFolder(folder)
    if name == "gloo":
        from actors.weights.transports.gloo import GlooBroadcast

        return GlooBroadcast(config.master_address)
    if name == "nccl":
        from actors.weights.transports.nccl import NcclBroadcast

        return NcclBroadcast(config.master_address)
    if name == "ipc":
        from actors.weights.transports.ipc import CudaIpc

        return CudaIpc()
    make = load_plugin(TRANSPORTS, name, "weights.transport", KNOWN_TRANSPORTS)
    transport: Transport = make(folder, config)
    return transport


def _cast(weights: Mapping[str, Tensor], dtype: str) -> dict[str, Tensor]:
    """Floating-point weights in the engines' dtype: half the bytes on the way, and one checksum for both sides."""
    import torch

    wanted = getattr(torch, dtype) if dtype else None
    return {
        name: (tensor.detach().to(wanted) if wanted and tensor.is_floating_point() else tensor.detach())
        for name, tensor in weights.items()
    }


def _size_of(tensors: Mapping[str, Tensor]) -> int:
    """Bytes that a version takes, but for its file's header."""
    return sum(tensor.nbytes for tensor in tensors.values())


def _differing(reports: Sequence[Report], version: Version) -> list[str]:
    """Replicas that confirmed something else: another version, or weights that are not the others'."""
    wrong = [
        f"{each.name} serves {each.version.lineage}.{each.version.step}"
        for each in reports
        if not each.failed and each.version < version
    ]
    loaded = {each.name: each.holds for each in reports if each.holds and not each.failed}
    disagreeing = _disagreeing(reports)
    agreed = next((f"where the others hold {loaded[name]}" for name in loaded if name not in disagreeing), "")
    return wrong + [
        f"{name} holds weights of checksum {loaded[name]} {agreed or 'and there is no majority'}"
        for name in disagreeing
    ]


def _disagreeing(reports: Sequence[Report]) -> list[str]:
    """Replicas whose loaded weights are not those of most others; all of them where there is no majority."""
    loaded = {each.name: each.holds for each in reports if each.holds and not each.failed}
    [*counted] = Counter(loaded.values()).most_common()
    if len(counted) < 2:
        return []
    right = counted[0][0] if counted[0][1] > counted[1][1] else None
    return sorted(name for name, found in loaded.items() if found != right)


def _log(report: UpdateReport) -> None:
    version = report.version
    if report.missing:
        logger.warning("weights %d.%d are not everywhere: %s", version.lineage, version.step, "; ".join(report.missing))
