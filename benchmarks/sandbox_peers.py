"""The sandbox's own back ends as contenders, called in the contender's process as a pool's worker calls them."""

from __future__ import annotations

from benchmarks.contest import Runner, Work
from sandbox_wasm.protocol import Outcome, RunJob, RunResult
from sandbox_wasm.registry import find_backend


def backend(name: str, **options: str) -> Runner:
    """A back end by name; its limits are the defaults, fuel included."""
    running = find_backend(name)(**options)

    def run(work: Work) -> list[list[str]]:
        answers = []
        for program, arguments in work:
            result = running.run(RunJob(program=program, inputs=tuple(arguments)))
            assert isinstance(result, RunResult)
            answers.append([_told(outcome) for outcome in result.outcomes])
        return answers

    return run


def _told(outcome: Outcome) -> str:
    return outcome.value.literal if outcome.value is not None else f"{outcome.status}: {outcome.error}"
