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

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.checkpoint.state_dict import get_model_state_dict
from torch.distributed.tensor import DTensor

from learner.lora import merged
from learner.policy import Policy

Weights = Mapping[str, Tensor]

#: Where the language model hangs in a Policy; its own names begin after this.
PREFIX = "language_model."


def whole_weights(policy: Policy, *, lora_scale: float = 0.0, dtype: str = "") -> dict[str, Tensor]:
    """All weights on the host of rank 0 under the model's own names, adapters merged; empty on other ranks.

    `dtype` is what the engines compute in: a card narrows its weights before they leave it, and half as much crosses to
    the host. Adapters are merged before anything is narrowed. What is returned are copies: what is published while the
    next step runs must not change under the reader's hands.
    """
    first = not dist.is_initialized() or dist.get_rank() == 0
    narrow = getattr(torch, dtype) if dtype and not lora_scale else None
    whole: dict[str, Tensor] = {}
    for name, value in cast(dict[str, Tensor], get_model_state_dict(policy)).items():
        gathered = _gathered(value)  # a collective: also on ranks that keep nothing
        if first:
            whole[name.removeprefix(PREFIX)] = _on_host(gathered, narrow)
    if any(value.is_pinned() for value in whole.values()):
        torch.cuda.current_stream().synchronize()  # the copies are under way
    return merged(whole, lora_scale) if lora_scale else whole


def _gathered(value: Tensor) -> Tensor:
    """The whole tensor, put together where the ranks' group is even if its parts have been moved to the host."""
    if not isinstance(value, DTensor):
        return value
    there = cast(DTensor, value.to(value.device_mesh.device_type))
    return there.full_tensor()


def _on_host(value: Tensor, narrow: torch.dtype | None) -> Tensor:
    """A copy in host memory: from a card into pages that torch pins once and uses again, without waiting for it."""
    dtype = narrow if narrow is not None and value.is_floating_point() else value.dtype
    copy = torch.empty(value.shape, dtype=dtype, pin_memory=value.is_cuda)
    return copy.copy_(value.detach(), non_blocking=value.is_cuda)


class PublishingFailedError(RuntimeError):
    """The thread that publishes weights met an error; the engines still serve what they had."""


class Publisher:
    """Calls `publish(step, weights)` in the background, newest version first in line.

    `deadline` bounds how long `close` waits for a publication under way and the one behind it. An error in the thread
    is raised by the next call: the loop makes one within a step, and `check` while it waits for others.
    """

    def __init__(self, publish: Callable[[int, Weights], None], *, deadline: float) -> None:
        self._publish, self._deadline = publish, deadline
        # Of the rank that makes it: a new thread begins with the first card, which may be somebody else's.
        self._card = torch.accelerator.current_device_index() if torch.accelerator.is_available() else None
        self._condition = threading.Condition()
        self._waiting: tuple[int, Weights] | None = None
        self._error: BaseException | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="weight-publisher", daemon=True)
        self._thread.start()

    def offer(self, step: int, weights: Weights) -> None:
        """Hand over a version; the caller must not change its tensors afterwards."""
        with self._condition:
            self._raise_error()
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
        if self._card is not None:
            torch.accelerator.set_device_index(self._card)
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
