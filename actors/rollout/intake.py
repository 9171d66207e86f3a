"""How weights get into a replica's engine: by an order's transport, by a version's file, by the registry's bytes.

    order ─► transport (gloo, vLLM's own) ─► fails before anything is in place ─┐
       └───► "file", or no part in the transport ───────────────────────────────┴─► file seen here? ─► engine
                                                                    no: bytes from the registry ─► a file here ─┘

What is done about an engine that fails at it is the replica's decision; errors pass through here.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

from actors.engine.engine import Engine
from actors.engine.errors import EngineError, StagingError
from actors.engine.leftovers import transient
from actors.engine.records import UpdateTimes
from actors.rollout.asking_registry import AskedRegistry
from actors.weights.records import Order, Stored
from azr.game.types import Version

logger = logging.getLogger(__name__)

#: How long a version's bytes may be on their way from the registry's machine: 15 GB at 25 MB/s.
_FETCH_SECONDS = 600.0


class WeightIntake:
    """Of one replica, whichever engine it has; keeps nothing between two calls."""

    def __init__(self, name: str, registry: AskedRegistry) -> None:
        self._name = name
        self._registry = registry

    async def by_transport(self, engine: Engine, order: Order) -> tuple[UpdateTimes | None, str, str]:
        """The weights by the order's transport; by the version's file where this replica has no part in it, or where
        the transport failed with nothing lost: then the last word says how."""
        own = order.details.get(self._name)
        if order.details and own is None and order.action != "native_init":
            return await self.pull(engine, await self.stored(order.version)), "file", ""
        info = order.info | (own or {})
        match order.action:
            case "file":
                return await self.pull(engine, await self.stored(order.version)), "file", ""
            case "gloo":
                try:
                    return await engine.update(order.version, "gloo", info, checksum=order.checksum), "gloo", ""
                except StagingError as error:
                    logger.warning("%s; the version's file is taken instead", error)
                    return await self.pull(engine, await self.stored(order.version)), "file", str(error)
            case "native_init":
                if own is not None:
                    await engine.native_init(info)
                return None, order.action, ""
            case "native_update":
                return await engine.native_update(order.version, info), order.action, ""
            case _:
                raise EngineError(f"{self._name}: there is no way {order.action!r} for weights")

    async def stored(self, version: Version) -> Stored:
        """The version's entry, or a newer one's."""
        newest: Stored | None = await self._registry.ask("newest")
        if newest is None or newest.version < version:
            raise StagingError(f"{self._name}: the registry does not have {version}, nor anything newer")
        return newest

    async def pull(self, engine: Engine, stored: Stored) -> UpdateTimes:
        """A stored version into the engine: by its file where it is seen, by the registry's bytes elsewhere."""
        if await asyncio.to_thread(Path(stored.path).exists):
            return await engine.update(stored.version, "file", {"path": stored.path}, checksum=stored.checksum)
        content = await self._fetched(await self._registry.ask("pull", stored.version))
        path = transient(f"{self._name}-{stored.version.lineage}.{stored.version.step}")
        try:
            try:
                await asyncio.to_thread(content.tofile, path)
            except OSError as error:
                raise StagingError(
                    f"{self._name}: {path.parent} does not take {content.nbytes} bytes: {error}"
                ) from error
            return await engine.update(stored.version, "file", {"path": str(path)}, checksum=stored.checksum)
        finally:
            path.unlink(missing_ok=True)

    async def _fetched(self, reference: list[Any]) -> Any:
        """The bytes behind the registry's reference; they go with a registry that dies."""
        import ray

        try:
            async with asyncio.timeout(_FETCH_SECONDS):
                return await reference[0]
        except TimeoutError:
            said = f"{self._name}: the registry's weights did not come within {_FETCH_SECONDS:g} s"
            raise EngineError(said) from None
        except ray.exceptions.RayError as error:
            raise EngineError(f"{self._name}: the registry's weights could not be had: {error}") from error
