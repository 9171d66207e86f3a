"""Responses from the engines: what players ask of a rollout client, and what they do when it fails.

request ──► Generator (routes, retries on dead replicas) ──► Generation ──► Trajectory
                ├─✕ no proper answer: again, `tries` times in all ──✕──► PoisonedError
                └─✕ its own last word: time is over, refused, failed at replica after replica ──► PoisonedError
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal, Protocol

import numpy as np

from actors.engine.records import GenerateRequest, Generation, Response
from actors.rollout.errors import RolloutError
from azr.config.sections.algorithm import SamplingConfig
from azr.errors import AzrError
from azr.game.types import Cell, Trajectory

Role = Literal["propose", "solve"]


class Generator(Protocol):
    """The engines, as players see them; `actors.rollout` has the real one."""

    retries: int
    """Requests sent again after they failed at a replica, so far."""

    async def generate(self, request: GenerateRequest, deadline: float) -> Generation:
        """The responses, within so many seconds or an error that says who did not answer."""
        ...


class PoisonedError(Exception):
    """A request failed every time it was sent, or for good."""

    @property
    def blames_request(self) -> bool:
        """Whether it is the request that nobody can answer; not where engines were only slow, or all is over."""
        return not (isinstance(self.__cause__, RolloutError) and self.__cause__.cause in ("deadline", "closed"))


async def generated(
    engines: Generator, request: GenerateRequest, *, seconds: float, tries: int, failed: Callable[[Exception], None]
) -> Generation:
    """The responses to a request, within so many seconds in all; sent again when it fails, or an answer is none."""
    ends = time.monotonic() + seconds
    failures: list[Exception] = []
    for _ in range(tries):
        try:
            generation = await engines.generate(request, max(0.0, ends - time.monotonic()))
            _check(request, generation)
        except Exception as error:
            failed(error)
            failures.append(error)
            if isinstance(error, RolloutError):
                break  # Each of its causes is final: it has sent the request again where that was worth it.
        else:
            return generation
    last = failures[-1]
    why = last.what if isinstance(last, AzrError) else last  # how to mend it helps nobody who goes on without
    raise PoisonedError(f"request {request.id} failed after {len(failures)} of {tries} tries; last: {why}") from last


def _check(request: GenerateRequest, generation: Generation) -> None:
    """Refuse what could not be booked: too few responses, or some that name no weights."""
    if len(generation.responses) != request.samples:
        raise ValueError(f"{len(generation.responses)} responses of {generation.replica} to a request for more")
    if any(not response.spans or not len(response.token_ids) for response in generation.responses):
        raise ValueError(f"{generation.replica} answered without tokens, or without saying which weights made them")


def request_of(
    name: str, prompt: tuple[int, ...], samples: int, seed: int, longest: int, sampling: SamplingConfig, heat: float
) -> GenerateRequest:
    """What an engine is asked for, at temperature `heat`."""
    return GenerateRequest(
        id=name,
        prompt_ids=prompt,
        samples=samples,
        seed=seed,
        max_tokens=longest,
        temperature=heat,
        top_p=sampling.top_p,
        top_k=max(0, sampling.top_k),
    )


def trajectory_of(
    name: str, group: str, cell: Cell, prompt: tuple[int, ...], response: Response, reward: float = 0.0
) -> Trajectory:
    """A response with all that training needs of it."""
    return Trajectory(
        id=name,
        cell=cell,
        group=group,
        prompt_ids=np.array(prompt, dtype=np.int32),
        response_ids=response.token_ids,
        behaviour_logprobs=response.logprobs,
        spans=response.spans,
        reward=reward,
        truncated=response.truncated,
    )
