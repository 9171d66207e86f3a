"""What the section `tracking` may not be set to, with reason and mend. Called by `azr.config.rules`."""

from __future__ import annotations

from collections.abc import Iterator

from azr.config.sections.checking import Problem, at_least
from azr.config.sections.tracking import TrackingConfig
from azr.plugins import TRACKERS, unknown_name

#: What `tracking.mlflow` may be beside a URI. MLflow takes any other word for a folder.
PLACES = ("sqlite", "databricks", "off")


def problems(tracking: TrackingConfig) -> Iterator[Problem]:
    """Everything wrong with the section."""
    if not (tracking.mlflow in PLACES or "://" in tracking.mlflow or tracking.mlflow.startswith("file:")):
        yield Problem(
            "tracking.mlflow",
            f"{tracking.mlflow!r} names no place",
            "write sqlite, the URI of a server, as in http://host:5000, or off",
        )
    if not tracking.experiment:
        yield Problem("tracking.experiment", "an experiment needs a name", "write one, for example azr")
    for name in tracking.plugins:
        if (unknown := unknown_name(TRACKERS, name)) is not None:
            yield Problem("tracking.plugins", *unknown)
    yield from at_least("tracking.queue", tracking.queue, 1)
    yield from at_least("tracking.timeout_seconds", tracking.timeout_seconds, 0.1)
