"""How players come by the engines: each makes its own rollout client, in its own process, on its own event loop."""

from __future__ import annotations

from typing import Protocol

import msgspec

from actors.players.generating import Generator, Role


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

    def of(self, role: Role) -> Generator:
        """A client of the role's pool."""
        from actors.rollout.client import RolloutClient
        from actors.weights.registry import find_registry

        pool = self.propose_pool if role == "propose" else self.solve_pool
        client: Generator = RolloutClient(find_registry(self.registry), pool=pool)
        return client
