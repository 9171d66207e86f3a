"""How players come by the engines: each makes its own rollout client, in its own process, on its own event loop."""

from __future__ import annotations

from typing import Protocol

import msgspec

from actors.engine.settings import EngineSettings
from actors.players.generating import Generator, Role
from actors.rollout.client import RolloutClient
from actors.rollout.deployment import pool_for
from actors.weights.registry import find_registry


class Engines(Protocol):
    """Travels to players, and makes there what they ask."""

    def of(self, role: Role) -> Generator:
        """The engines for one role; called once in a player's process."""
        ...


class Replicas(msgspec.Struct, frozen=True):
    """The replicas of a run's rollout deployment, found through its registry."""

    registry: str
    """Name of the registry's actor: a handle would be lost when Ray restarts a player."""
    propose_pool: str = "shared"
    solve_pool: str = "shared"
    attempts: int = 4
    """Replicas that may die of a request before it is called poisoned."""

    @classmethod
    def of_run(cls, settings: EngineSettings, registry: str) -> Replicas:
        """Those that a run's settings ask for."""
        return cls(
            registry=registry,
            propose_pool=pool_for(settings, "propose"),
            solve_pool=pool_for(settings, "solve"),
            attempts=settings.rollout_config.attempts,
        )

    def of(self, role: Role) -> Generator:
        """A client of the role's pool."""
        pool = self.propose_pool if role == "propose" else self.solve_pool
        client: Generator = RolloutClient(find_registry(self.registry), pool=pool, attempts=self.attempts)
        return client
