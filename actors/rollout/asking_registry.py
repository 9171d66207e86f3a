"""The registry as one replica asks it: again and again while it is away, until it is gone and the run with it.

Nothing is kept here but the handle. What a replica says of itself (`Member`) is the replica's own, and so is what it
does after an answer.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from actors.engine.errors import EngineError
from actors.weights.registry import find_registry

logger = logging.getLogger(__name__)

#: How long one question to the registry stays open. Whether the replica is there the registry sees by its connection.
POLL_SECONDS = 20.0
#: A registry that nobody knows by name for so long went with its run: on a cluster that outlives the run, Serve and the
#: replicas are left, for they belong to no job.
ORPHAN_SECONDS = 20.0

#: Pause after the registry could not be asked.
_AGAIN_SECONDS = 0.2


class AskedRegistry:
    """Made by a replica, and shared with its `WeightIntake`; used on the replica's event loop."""

    def __init__(self, registry_name: str, *, name: str, orphaned: Callable[[], None]) -> None:
        self._registry_name = registry_name
        self._handle: Any = find_registry(registry_name)
        self._name = name
        self._orphaned = orphaned
        """What is done when the run is gone without having said so."""

    async def ask(self, method: str, *arguments: Any) -> Any:
        """Ask the registry; while it is away (dead, being restarted) again and again."""
        import ray

        told = False
        nameless: float | None = None
        while True:
            try:
                return await getattr(self._handle, method).remote(*arguments)
            except ray.exceptions.RayTaskError as error:
                raise EngineError(f"{self._name}: the registry's {method} failed: {error.cause}") from error
            except ray.exceptions.RayError as error:
                if not told:
                    logger.warning("%s: the registry cannot be asked for %s: %s", self._name, method, error)
                told = True
                await asyncio.sleep(_AGAIN_SECONDS)
                try:
                    self._handle, nameless = find_registry(self._registry_name), None
                except ValueError:  # a registry that is being restarted keeps its name
                    nameless = time.monotonic() if nameless is None else nameless
                    if time.monotonic() - nameless > ORPHAN_SECONDS:
                        logger.error("%s: the registry is gone, and with it the run", self._name)
                        self._orphaned()
                        nameless = None

    async def tell_once(self, method: str, *arguments: Any) -> None:
        """Tell it something that need not arrive: one try, of `POLL_SECONDS` at most. Raises when it fails."""
        await asyncio.wait_for(getattr(self._handle, method).remote(*arguments), POLL_SECONDS)
