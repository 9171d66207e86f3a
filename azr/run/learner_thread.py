"""The learner, in a thread of the driver: Ray Train's `fit` blocks until training is over.

LearnerThread ── learner.ray_train.train ──► ranks (Ray actors) ──► ends, or an error that `check` raises here
"""

from __future__ import annotations

import threading

from azr.config.sections.cluster import ClusterConfig
from azr.errors import AzrError
from learner.loop import LearnerPlan


class LearnerFailedError(AzrError):
    """The learner gave up, restarts and all."""


class LearnerThread:
    """Runs a plan; `cluster` says what its ranks ask of Ray and where they go."""

    def __init__(self, plan: LearnerPlan, cluster: ClusterConfig) -> None:
        self._plan, self._cluster = plan, cluster
        self._error: BaseException | None = None
        self._abandoned = False
        self._thread = threading.Thread(target=self._run, name="azr-learner", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

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
            raise LearnerFailedError(
                f"the learner failed: {type(cause).__name__}: {cause}",
                "the run's folder holds the newest checkpoint; azr train --resume goes on from it",
            ) from self._error

    def abandon(self) -> None:
        """Expect no more of it: Ray is being taken down, and its end is no error any more."""
        self._abandoned = True

    def _run(self) -> None:
        from learner.ray_train import train

        try:
            train(self._plan, self._cluster)
        except BaseException as error:
            if not self._abandoned:
                self._error = error


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
