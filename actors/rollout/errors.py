"""How asking for a generation fails, for whoever has to go on without it."""

from __future__ import annotations

from typing import Literal

from azr.errors import AzrError

Cause = Literal["deadline", "refused", "poisoned", "closed"]

_MENDS: dict[Cause, str] = {
    "deadline": "look at the logs of the engines; where they are only slow, add some (rollout.replicas) or give them"
    " longer (rollout.request_seconds; cluster.work_seconds for a run's evaluation)",
    "refused": "keep requests within what an engine takes: rollout.max_model_len, lengths.prompt, lengths.content and"
    " lengths.response bound them",
    "poisoned": "look at the logs of the engines for what they died or failed of",
    "closed": "",
}


class RolloutError(AzrError):
    """No generation. `cause`: time ran out, the request can never be answered, replicas died of it, or all is over."""

    def __init__(self, cause: Cause, what: str) -> None:
        super().__init__(what, _MENDS[cause])
        self.cause = cause
        self.args = (cause, what)  # of which another process makes it again
