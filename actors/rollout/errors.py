"""How asking for a generation fails, for whoever has to go on without it."""

from __future__ import annotations

from typing import Literal

Cause = Literal["deadline", "refused", "poisoned", "closed"]


class RolloutError(RuntimeError):
    """No generation. `cause`: time ran out, the request can never be answered, replicas died of it, or all is over."""

    def __init__(self, cause: Cause, message: str) -> None:
        super().__init__(cause, message)
        self.cause = cause
        self.message = message

    def __str__(self) -> str:
        return self.message
