"""What the section `weights` may not be set to, with reason and mend. Called by `azr.config.rules`."""

from __future__ import annotations

from collections.abc import Iterator

from azr.config.sections.weights import KV_ON_UPDATE, TRANSPORTS, WeightsConfig
from azr.plugins import TRANSPORTS as PLUGINS
from azr.plugins import unknown_name


def problems(weights: WeightsConfig, max_staleness: int) -> Iterator[tuple[str, str, str]]:
    """Everything wrong with the section, as (key, what is wrong, how to mend it)."""
    if (unknown := unknown_name(PLUGINS, weights.transport, TRANSPORTS)) is not None:
        yield ("weights.transport", *unknown)
    if weights.kv_on_update not in KV_ON_UPDATE:
        known = ", ".join(KV_ON_UPDATE)
        yield "weights.kv_on_update", f"{weights.kv_on_update!r} is not known", f"choose one of {known}"
    most = max(1, max_staleness)
    if weights.publish_every > most:
        yield (
            "weights.publish_every",
            "what is trained on holds its place until weights are published, and so many steps would leave no room to"
            " generate meanwhile",
            f"set it to {most} at most, or staleness.max_staleness to {weights.publish_every} or more",
        )
    for name, low in (
        ("publish_every", 1),
        ("keep_versions", 1),
        ("stage_seconds", 0.01),
        ("pause_seconds", 0.01),
        ("apply_seconds", 0.01),
        ("publish_seconds", 0.01),
    ):
        if not (number := getattr(weights, name)) >= low:
            yield f"weights.{name}", f"{number} is out of range", f"it must be at least {low}"
