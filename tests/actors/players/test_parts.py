"""Seeds, tokens, references: the small parts of players."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from actors.engine.records import GenerateRequest, Generation
from actors.players.asking import References, draw_ask, sources_of
from actors.players.generating import PoisonedError, generated, request_of
from actors.players.seeds import generator_of, seed_of
from actors.players.tokens import load_tokens, model_folder
from actors.rollout.errors import RolloutError
from azr.config.sections.algorithm import SamplingConfig
from azr.config.sections.model import ModelConfig
from azr.errors import AzrError
from azr.game.tasks import task_type
from azr.game.tasks.deduction import Deduction
from azr.game.types import Task
from tests.actors.scripted import save_tokenizer


def task(number: int, kind: str = "deduction") -> Task:
    return Task(
        id=f"{kind}-{number}",
        task_type=kind,
        program=f"def f(x):\n    return x + {number}",
        inputs=("1",),
        outputs=("2",),
    )


@pytest.mark.parametrize(
    ("error", "tries", "blamed"),
    [
        (ValueError("no tokens"), 3, True),
        (RolloutError("refused", "too long"), 1, True),
        (RolloutError("poisoned", "failed 4 times"), 1, True),
        (RolloutError("deadline", "no answer"), 1, False),
        (RolloutError("closed", "all is over"), 1, False),
    ],
)
async def test_a_request_that_fails_is_told_with_the_tries_it_had(error: Exception, tries: int, blamed: bool) -> None:
    """A rollout client's own word is not asked for again: it tried replicas itself."""
    heard: list[Exception] = []

    class Failing:
        retries = 0

        async def generate(self, request: GenerateRequest, deadline: float) -> Generation:
            raise error

    request = request_of("0.p/1", (1, 2), 1, 0, 8, SamplingConfig(), 1.0)
    with pytest.raises(PoisonedError, match=rf"request 0.p/1 failed after {tries} of 3 tries; last: ") as poisoned:
        await generated(Failing(), request, seconds=1.0, tries=3, failed=heard.append)
    assert heard == [error] * tries
    assert poisoned.value.__cause__ is error
    assert poisoned.value.blames_request == blamed


async def test_all_tries_together_have_the_time_of_one_request() -> None:
    given: list[float] = []

    class Slow:
        retries = 0

        async def generate(self, request: GenerateRequest, deadline: float) -> Generation:
            given.append(deadline)
            await asyncio.sleep(0.05)
            return Generation(request=request.id, responses=(), replica="a")

    with pytest.raises(PoisonedError):
        request = request_of("0.p/1", (1, 2), 1, 0, 8, SamplingConfig(), 1.0)
        await generated(Slow(), request, seconds=1.0, tries=3, failed=lambda _error: None)
    first, second, third = given
    assert first <= 1.0
    assert second <= first - 0.05
    assert third <= second - 0.05


def test_a_seed_follows_from_the_run_and_the_name_and_from_nothing_else() -> None:
    assert seed_of(1, "0.p/1") == seed_of(1, "0.p/1")
    assert len({seed_of(run, name) for run in range(20) for name in ("a", "b", "ab", "ba")}) == 80
    assert seed_of(1, "a", "b") != seed_of(1, "ab")
    assert all(0 <= seed_of(run, "\udc80") < 1 << 31 for run in range(50))
    assert generator_of(3, "x").random() == generator_of(3, "x").random()


def test_tokens_are_counted_as_the_model_counts_them(tmp_path: Path) -> None:
    save_tokenizer(tmp_path)
    tokens = load_tokens(ModelConfig(path=str(tmp_path), frame="compact"))
    assert tokens.length("def f(x):") == 9
    assert len(tokens.encode("äb")) == 3, "one token a byte"
    assert tokens.frame.name == "compact"


def test_a_run_without_a_model_is_refused() -> None:
    with pytest.raises(AzrError, match="no model is named"):
        model_folder("")


def test_a_proposer_is_shown_its_own_type_unless_it_works_on_a_given_program() -> None:
    played = ["deduction", "abduction", "induction"]
    assert sources_of(task_type("deduction"), played) == ("deduction",)
    assert sources_of(task_type("induction"), played) == ("deduction", "abduction")
    assert sources_of(task_type("induction"), ["induction"]) == ("induction",)
    assert sources_of(task_type("composite"), ["abduction", "composite"]) == ("abduction",), "it builds on those"


def test_a_type_of_ones_own_that_builds_on_known_tasks_is_shown_those_of_others_before_its_own() -> None:
    """Nobody makes the first of its own, unless a file of seeds holds some."""

    class Building(Deduction):
        name = "building"
        least_references = 1

    def shown(*played: str) -> tuple[str, ...]:
        return sources_of(Building(), played)

    assert shown("induction", "deduction", "building") == ("deduction",)
    assert shown("induction", "building", "error") == ("induction", "error")
    assert shown("building") == ("building",)


def test_an_ask_shows_different_tasks_and_no_more_than_there_are() -> None:
    pool = [task(number) for number in range(5)]
    ask = draw_ask(task_type("deduction"), pool, 3, 10, np.random.default_rng(0))
    assert len({shown.id for shown in ask.references}) == 3
    assert len(draw_ask(task_type("deduction"), pool, 9, 10, np.random.default_rng(0)).references) == 5
    assert draw_ask(task_type("deduction"), [], 3, 10, np.random.default_rng(0)).references == ()
    assert draw_ask(task_type("induction"), pool, 1, 4, np.random.default_rng(0)).inputs == 4


def test_an_induction_is_asked_about_one_program_and_knows_of_no_other() -> None:
    """What is told of its references is then true: each of them was shown."""
    pool = [task(number) for number in range(5)]
    first = {draw_ask(task_type("induction"), pool, 6, 10, np.random.default_rng(seed)).references for seed in range(9)}
    assert {len(references) for references in first} == {1}
    assert len(first) > 1


def test_a_composite_is_given_functions_to_call() -> None:
    ask = draw_ask(task_type("composite"), [task(1), task(2), task(3)], 1, 10, np.random.default_rng(0))
    assert 1 <= len(ask.components) <= 2
    assert ask.components[0].startswith("def g_0(x)")


def unheard(error: Exception) -> None:
    raise AssertionError(f"nothing should fail here: {error!r}")


async def test_references_are_fetched_once_for_as_many_proposals_as_they_serve() -> None:
    calls: list[int] = []

    async def fetch(sources: Sequence[str], count: int) -> list[Task]:
        calls.append(count)
        return [task(number) for number in range(count)]

    references = References(fetch, 16, unheard)
    for _ in range(8):
        assert len(await references.pool(("deduction",), 2)) == 16
    assert calls == [16]
    await references.pool(("deduction",), 2)
    await asyncio.sleep(0)
    assert calls == [16, 16], "fetched anew while the old pool serves"


async def test_whoever_comes_while_the_first_pool_is_on_its_way_waits_for_it() -> None:
    calls: list[int] = []
    go = asyncio.Event()

    async def fetch(sources: Sequence[str], count: int) -> list[Task]:
        calls.append(count)
        await go.wait()
        return [task(1)]

    references = References(fetch, 16, unheard)
    asking = [asyncio.create_task(references.pool(("deduction",), 2)) for _ in range(3)]
    await asyncio.sleep(0.01)
    go.set()
    assert await asyncio.gather(*asking) == [[task(1)]] * 3
    assert calls == [16]


async def test_an_empty_service_is_asked_again_and_what_was_known_is_kept() -> None:
    answers = [[], [task(1)], []]

    async def fetch(sources: Sequence[str], count: int) -> list[Task]:
        return answers.pop(0)

    references = References(fetch, 1, unheard)
    assert await references.pool(("deduction",), 1) == []
    assert await references.pool(("deduction",), 1) == [task(1)]
    assert await references.pool(("deduction",), 1) == [task(1)]


async def test_a_pool_that_cannot_be_fetched_is_told_and_not_tried_again_by_the_next_proposals() -> None:
    """The old pool serves on; the first one, which nothing can stand in for, fails whoever waits for it."""
    calls, broken, told = list[int](), [True], list[str]()

    async def fetch(sources: Sequence[str], count: int) -> list[Task]:
        calls.append(count)
        if broken[0]:
            raise RuntimeError("the service died")
        return [task(1)]

    references = References(fetch, 1, lambda error: told.append(str(error)))
    with pytest.raises(RuntimeError, match="the service died"):
        await references.pool(("deduction",), 1)
    broken[0] = False
    assert await references.pool(("deduction",), 1) == [task(1)]
    broken[0] = True
    for _ in range(9):  # the first of them finds the pool used up, the other eight are served
        assert await references.pool(("deduction",), 1) == [task(1)]
        await asyncio.sleep(0.01)
    assert (len(calls), told) == (3, ["the service died"])
    await references.pool(("deduction",), 1)
    await asyncio.sleep(0.01)
    assert (len(calls), told) == (4, ["the service died"] * 2)
