"""The learner, in a thread of the driver: Ray Train's `fit` blocks until training is over.

LearnerThread ── learner.ray_train.train ──► ranks (Ray actors) ──► ends, or an error that `check` raises here
       ▲                                          │
       └────────────── `Renewal`: once more? ◄────┘ failed for good, or its controller is dead

Ray Train restarts ranks so often and no oftener, however long ago the first death was, and nobody restarts its
controller, nor takes back what it had set aside. So a training that failed for good is begun anew here, from the newest
checkpoint, if it had got anywhere.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

from azr.config.sections.cluster import ClusterConfig
from azr.errors import AzrError
from learner import checkpoint
from learner.loop import LearnerPlan


class LearnerFailedError(AzrError):
    """The learner gave up, restarts and all."""


class Renewal:
    """Whether a training that ended with an error is begun anew. Pure."""

    def __init__(self, restarts: int) -> None:
        self._restarts = restarts
        self._lost = 0
        """Controllers that died since the newest checkpoint got newer."""

    def again(self, *, got_further: bool, controller_died: bool) -> bool:
        """One that wrote a checkpoint is; one that did not has used up its restarts, unless it was its controller that
        died, which then counts as one of them."""
        if got_further:
            self._lost = 0
            return True
        self._lost += controller_died
        return controller_died and self._lost <= self._restarts


class LearnerThread:
    """Runs a plan; `cluster` says what its ranks ask of Ray and where they go, `tell` hears of new beginnings."""

    def __init__(
        self, plan: LearnerPlan, cluster: ClusterConfig, tell: Callable[[str], None] = lambda _line: None
    ) -> None:
        self._plan, self._cluster, self._tell = plan, cluster, tell
        self._error: BaseException | None = None
        self._abandoned = False
        self._thread = threading.Thread(target=self._run, name="azr-learner", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    @property
    def placed(self) -> bool:
        """Whether Ray has set aside what its ranks ask for."""
        from learner.ray_train import places_held

        return places_held()

    def require_places(self, room: Callable[[], str]) -> None:
        """Raise while training goes on and its ranks have no places, with what `room` says of the cluster: for ranks
        whose node was lost Ray Train asks for others without end, and tells nobody."""
        if not self.running or self.placed:
            return
        try:
            what = room()
        except AzrError as error:  # the cluster is too small now; a node may come back in the time there is
            what = f": {error.what} ({error.mend})"
        raise AzrError(f"its ranks wait for places{what}")

    @property
    def running(self) -> bool:
        """Whether training goes on."""
        return self._thread.is_alive()

    def wait(self, seconds: float) -> None:
        """Until training is over, but no longer than this."""
        self._thread.join(seconds)

    def check(self) -> None:
        """Raise what ended the training, if that was an error."""
        if self._error is not None:
            cause = innermost(self._error)
            logs = "Ray's own logs on the learner's nodes" if self._cluster.address else "logs/ray in the run's folder"
            raise LearnerFailedError(
                f"the learner failed: {type(cause).__name__}: {cause}",
                "the run's folder holds the newest checkpoint; azr train --resume goes on from it"
                if self._newest()
                else f"{logs} may say more; there is no checkpoint yet to go on from",
            ) from self._error

    def abandon(self) -> None:
        """Expect no more of it: Ray is being taken down, and its end is no error any more."""
        self._abandoned = True

    def _run(self) -> None:
        """The thread. Whatever ends it is heard: else a run whose learner is gone would count as finished."""
        try:
            self._train()
        except BaseException as error:
            if not self._abandoned:
                self._error = error

    def _train(self) -> None:
        from ray.exceptions import RayActorError

        from learner.ray_train import release_places, train

        renewal = Renewal(self._plan.learner.restarts)
        while True:
            begins_at = self._newest()
            # Ray Train's own notes on a training that is over; what we keep lies in checkpoints/.
            shutil.rmtree(self._plan.folder / "ray_train", ignore_errors=True)
            try:
                release_places()
                train(self._plan, self._cluster)
                return
            except BaseException as error:
                if self._abandoned:
                    return
                newest, died = self._newest(), isinstance(error, RayActorError)
                if not renewal.again(got_further=newest != begins_at, controller_died=died):
                    raise
                cause = "its controller died" if died else f"{type(innermost(error)).__name__}"
                self._tell(
                    f"the learner failed ({cause}); it begins anew from {newest.name if newest else 'the start'}"
                )

    def _newest(self) -> Path | None:
        return checkpoint.newest(self._plan.checkpoints)


def innermost(error: BaseException) -> BaseException:
    """The error behind Ray Train's wrappings: of a failed worker, then of a task, what was raised there."""
    seen: set[int] = set()
    while id(error) not in seen:
        seen.add(id(error))
        failures = getattr(error, "worker_failures", None) or getattr(error, "node_failures", None)
        inner = next(iter(failures.values()), None) if isinstance(failures, dict) else None
        inner = inner or getattr(error, "cause", None) or error.__cause__
        if not isinstance(inner, BaseException):
            break
        error = inner
    return error
