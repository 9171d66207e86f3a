"""What an engine samples: log-probs, seeds, samples of one prefill, ends, refusals, cancellation, statistics."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
import torch

from actors.engine.engine import Engine
from actors.engine.errors import RefusedRequestError
from actors.engine.records import GenerateRequest, Generation
from azr.game.types import Version, VersionSpan
from tests.actors.engine.conftest import Loop
from tests.actors.tiny import END, changed_weights, logprobs_under
from tests.actors.waiting import until

PROMPT = tuple(b"f(x) = ")


def _ask(name: str, **changes: object) -> GenerateRequest:
    asked = {"id": name, "prompt_ids": PROMPT, "max_tokens": 24, "seed": 1, "ignore_end": True} | changes
    return GenerateRequest(**asked)  # type: ignore[arg-type]


def _tokens(generation: Generation) -> list[list[int]]:
    return [response.token_ids.tolist() for response in generation.responses]


class TestLogProbs:
    def test_they_are_those_of_the_model_at_temperature_one(self, engine: Engine, loop: Loop, model: Path) -> None:
        [response] = loop(engine.generate(_ask("one"))).responses
        expected = logprobs_under(model, changed_weights(model, 0), list(PROMPT), response.token_ids.tolist())
        assert response.logprobs == pytest.approx(expected.numpy(), abs=1e-5)

    def test_they_are_taken_after_temperature_and_top_k(self, engine: Engine, loop: Loop, model: Path) -> None:
        [response] = loop(engine.generate(_ask("warm", temperature=0.5, top_k=3))).responses
        # At most three tokens share all of the probability, so none of those sampled can have less than some.
        assert np.exp(response.logprobs).min() > 0.05
        [plain] = loop(engine.generate(_ask("plain"))).responses
        assert np.exp(plain.logprobs).mean() < 0.05

    def test_each_token_has_one(self, engine: Engine, loop: Loop) -> None:
        for response in loop(engine.generate(_ask("many", samples=5))).responses:
            assert response.token_ids.shape == response.logprobs.shape == (24,)
            assert response.token_ids.dtype == np.int32
            assert response.logprobs.dtype == np.float32


class TestSeeds:
    def test_equal_requests_give_equal_responses_whatever_runs_beside_them(self, engine: Engine, loop: Loop) -> None:
        async def crowded() -> Generation:
            others = [asyncio.create_task(engine.generate(_ask(f"other-{i}", seed=100 + i))) for i in range(20)]
            mine = await engine.generate(_ask("mine", samples=2, seed=7))
            await asyncio.gather(*others)
            return mine

        alone = loop(engine.generate(_ask("alone", samples=2, seed=7)))
        assert _tokens(loop(crowded())) == _tokens(alone)

    def test_a_prompt_prefilled_in_parts_gives_the_same_responses(self, engine: Engine, loop: Loop) -> None:
        """vLLM 0.32 dies of this on a CPU; see `actors.engine.cpu_generators`."""
        long = tuple(i % 250 for i in range(400))  # more than one step takes

        async def twice() -> list[list[list[int]]]:
            crowd = [
                asyncio.create_task(engine.generate(_ask(f"crowd-{i}", prompt_ids=long[i:], seed=i, max_tokens=4)))
                for i in range(8)
            ]
            first = await engine.generate(_ask("long-1", prompt_ids=long, seed=5, max_tokens=30))
            await asyncio.gather(*crowd)
            second = await engine.generate(_ask("long-2", prompt_ids=long, seed=5, max_tokens=30))
            return [_tokens(first), _tokens(second)]

        first, second = loop(twice())
        assert first == second

    def test_samples_of_one_request_differ(self, engine: Engine, loop: Loop) -> None:
        tokens = _tokens(loop(engine.generate(_ask("several", samples=6))))
        assert len({tuple(each) for each in tokens}) == 6

    def test_neighbouring_seeds_share_no_samples(self, engine: Engine, loop: Loop) -> None:
        one = _tokens(loop(engine.generate(_ask("seed-1", samples=4, seed=1))))
        two = _tokens(loop(engine.generate(_ask("seed-2", samples=4, seed=2))))
        assert not [each for each in one if each in two]


class TestEnds:
    def test_a_response_that_is_cut_off_says_so(self, engine: Engine, loop: Loop) -> None:
        [response] = loop(engine.generate(_ask("cut", max_tokens=3))).responses
        assert response.truncated
        assert response.token_ids.size == 3

    def test_the_end_token_ends_a_response_and_belongs_to_it(self, engine: Engine, loop: Loop) -> None:
        found = loop(engine.generate(_ask("ends", samples=16, max_tokens=400, ignore_end=False, prompt_ids=(1, 2))))
        ended = [response for response in found.responses if not response.truncated]
        assert ended, "with 257 tokens and 400 tries most random responses meet their end"
        for response in ended:
            assert response.token_ids[-1] == END
            assert END not in response.token_ids[:-1]
            assert "<end>" not in response.text

    def test_other_stop_tokens_end_it_too(self, engine: Engine, loop: Loop) -> None:
        stops = tuple(range(128))
        [response] = loop(engine.generate(_ask("stop", stop_ids=stops, max_tokens=100))).responses
        assert response.token_ids[-1] in stops
        assert not set(response.token_ids[:-1].tolist()) & set(stops)

    def test_the_text_is_that_of_the_tokens(self, engine: Engine, loop: Loop) -> None:
        [response] = loop(engine.generate(_ask("text"))).responses
        assert response.text == engine.tokenizer.decode(response.token_ids.tolist())


class TestOnePrefill:
    def test_the_samples_of_a_request_share_their_prompts_prefill(self, engine: Engine, loop: Loop) -> None:
        before = engine.statistics()
        prompt = tuple((7 * i) % 250 for i in range(96))  # three whole blocks of 32
        loop(engine.generate(_ask("shared", prompt_ids=prompt, samples=8, max_tokens=2)))
        after = engine.statistics()
        assert after.prefix_queries - before.prefix_queries == 8 * 96
        assert after.prefix_hits - before.prefix_hits >= 7 * 64, "all but the first find whole blocks there"


class TestRefusals:
    @pytest.mark.parametrize(
        "changes",
        [{"prompt_ids": ()}, {"prompt_ids": tuple(range(200)) * 4}, {"prompt_ids": (5000,)}, {"temperature": -1.0}],
        ids=["nothing", "too long", "no such token", "temperature"],
    )
    def test_what_can_never_be_answered_is_refused(
        self, engine: Engine, loop: Loop, changes: dict[str, object]
    ) -> None:
        with pytest.raises(RefusedRequestError):
            loop(engine.generate(_ask("bad", **changes)))
        assert loop(engine.generate(_ask("good"))).responses


class TestCancelling:
    def test_a_request_that_is_cancelled_leaves_the_engine(self, engine: Engine, loop: Loop) -> None:
        async def cancelled() -> tuple[int, int]:
            task = asyncio.create_task(engine.generate(_ask("cancelled", samples=8, max_tokens=480)))
            await until(lambda: engine.statistics().running == 8, "all samples run")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await engine.generate(_ask("after", max_tokens=2))  # steps on, so that the engine counts anew
            return 8, engine.statistics().running

        before, after = loop(cancelled())
        assert (before, after) == (8, 0)


class TestStatistics:
    def test_they_count_tokens_and_requests(self, engine: Engine, loop: Loop) -> None:
        before = engine.statistics()
        loop(engine.generate(_ask("counted", samples=3, max_tokens=10)))
        after = engine.statistics()
        assert after.generated_tokens - before.generated_tokens == 30
        assert after.requests - before.requests == 1

    def test_the_cache_is_in_use_while_something_runs(self, engine: Engine, loop: Loop) -> None:
        async def look() -> float:
            task = asyncio.create_task(engine.generate(_ask("busy", samples=16, max_tokens=200)))
            used = 0.0
            while not task.done():
                used = max(used, engine.statistics().kv_use)
                await asyncio.sleep(0.002)
            await task
            return used

        assert loop(look()) > 0


def test_what_the_model_folder_brought_is_version_zero(engine: Engine, loop: Loop) -> None:
    [response] = loop(engine.generate(_ask("version"))).responses
    assert response.spans == (VersionSpan(0, 24, Version(0, 0)),)


def test_the_model_of_these_tests_is_loaded_as_it_was_saved(model: Path) -> None:
    assert all(torch.isfinite(weight).all() for weight in changed_weights(model, 0).values())
