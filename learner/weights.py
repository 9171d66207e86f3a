"""Whole weights out of a sharded policy, and their way out of the training loop.

Owns the gathering (a collective: all ranks call it) and `Publisher`, which hands weights on in a thread of its own, so
that the next step waits for the copy to host memory and for nothing else. Called by `learner.loop` after each step.

    all ranks: gather ──► rank 0: copy on the host ──► Publisher thread ──► publish(step, weights)
                                    next step goes on        at most one version waits; an older one is replaced
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import cast

from torch import Tensor
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.tensor import DTensor

from learner.lora import merged
from learner.policy import Policy

Weights = Mapping[str, Tensor]

#: Where the language model hangs in a Policy; its own names begin after this.
PREFIX = "language_model."


def whole_weights(policy: Policy, *, lora_scale: float = 0.0) -> dict[str, Tensor]:
    """All weights on the host of rank 0 under the model's own names, adapters merged; empty on other ranks.

    They are copies: what is published while the next step runs must not change under the reader's hands.
    """
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    state = cast(dict[str, Tensor], get_model_state_dict(policy, options=options))
    state = merged(state, lora_scale) if lora_scale else state
    live = {_local(tensor).untyped_storage().data_ptr() for tensor in (*policy.parameters(), *policy.buffers())}
    return {name.removeprefix(PREFIX): _copied(value, live) for name, value in state.items()}


def _local(tensor: Tensor) -> Tensor:
    """This rank's part."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def _copied(value: Tensor, live: set[int]) -> Tensor:
    """The tensor, copied if its memory is the policy's own: on a CPU gathering hands out the parameters themselves."""
    return value.clone() if value.untyped_storage().data_ptr() in live else value


class PublishingFailedError(RuntimeError):
    """The thread that publishes weights met an error; the engines still serve what they had."""


class Publisher:
    """Calls `publish(step, weights)` in the background, newest version first in line.

    `deadline` bounds how long `close` waits for a publication under way and the one behind it. An error in the thread
    is raised by the next call: the loop makes one within a step, and `check` while it waits for others.
    """

    def __init__(self, publish: Callable[[int, Weights], None], *, deadline: float) -> None:
        self._publish, self._deadline = publish, deadline
        self._condition = threading.Condition()
        self._waiting: tuple[int, Weights] | None = None
        self._error: BaseException | None = None
        self._closing = False
        self.replaced = 0
        """Versions that a newer one overtook before they were published."""
        self._thread = threading.Thread(target=self._run, name="weight-publisher", daemon=True)
        self._thread.start()

    def offer(self, step: int, weights: Weights) -> None:
        """Hand over a version; the caller must not change its tensors afterwards."""
        with self._condition:
            self._raise_error()
            self.replaced += self._waiting is not None
            self._waiting = (step, weights)
            self._condition.notify()

    def check(self) -> None:
        """Raise the error that ended publishing, if one did."""
        with self._condition:
            self._raise_error()

    def close(self) -> None:
        """Publish what waits and stop; an error, or a publication past the deadline, is raised."""
        with self._condition:
            self._closing = True
            self._condition.notify()
        self._thread.join(self._deadline)
        if self._thread.is_alive():
            raise PublishingFailedError(f"publishing weights did not end within {self._deadline:g} s")
        self._raise_error()

    def _raise_error(self) -> None:
        if self._error is not None:
            raise PublishingFailedError(f"publishing weights failed: {self._error}") from self._error

    def _run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._waiting is not None or self._closing)
                if self._waiting is None:
                    return
                step, weights = self._waiting
                self._waiting = None
            try:
                self._publish(step, weights)
            except Exception as error:
                with self._condition:
                    self._error = error
                return
