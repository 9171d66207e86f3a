"""Weights changed in flight: requests go on, and each token's log-prob is that of the weights which made it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from torch import Tensor

from actors.engine.engine import Engine
from actors.engine.errors import StagingError, TornWeightsError
from actors.engine.records import GenerateRequest, Generation, UpdateTimes
from actors.weights.fingerprint import fingerprint
from actors.weights.transports.files import write_file
from azr.game.types import Version
from tests.actors.engine.conftest import Loop
from tests.actors.tiny import changed_weights, logprobs_across, logprobs_under
from tests.actors.waiting import until, until_now

#: Longest difference between the engine and transformers, both in fp32.
CLOSE = 1e-5

_versions = iter(range(1, 10_000))


def _next_version() -> Version:
    return Version(1, next(_versions))


@pytest.fixture
def keep(engine: Engine) -> Iterator[None]:
    """Caches are kept on updates, while this is in use."""
    before = engine.settings
    engine.settings = msgspec.structs.replace(before, weights=before.weights | {"kv_on_update": "keep"})
    yield
    engine.settings = before


async def _update(engine: Engine, weights: Mapping[str, Tensor], folder: Path, version: Version) -> UpdateTimes:
    path = folder / f"{version.step}.safetensors"
    await asyncio.to_thread(write_file, path, weights)
    return await engine.update(version, "file", {"path": str(path)}, checksum=fingerprint(weights.items()))


async def _in_flight(
    engine: Engine, folder: Path, updates: Mapping[Version, Mapping[str, Tensor]], lanes: int = 16, tokens: int = 300
) -> list[tuple[GenerateRequest, Generation]]:
    """Requests that are under way while the updates come, and their generations."""
    name = f"flight-{next(_versions)}"
    requests = [
        GenerateRequest(
            id=f"{name}-{i}", prompt_ids=tuple(range(i, i + 40)), seed=i, max_tokens=tokens, ignore_end=True
        )
        for i in range(lanes)
    ]
    tasks = [asyncio.create_task(engine.generate(request)) for request in requests]
    for version, weights in updates.items():
        wanted = engine.statistics().generated_tokens + 30 * lanes
        await until(lambda wanted=wanted: engine.statistics().generated_tokens >= wanted, "sampling goes on")  # type: ignore[misc]
        await _update(engine, weights, folder, version)
    return list(zip(requests, await asyncio.gather(*tasks), strict=True))


def _largest_difference(
    model: Path, weights: Mapping[Version, dict[str, Tensor]], flown: list[tuple[GenerateRequest, Generation]]
) -> tuple[float, int]:
    """Between recorded log-probs and those of each span's version; and how many responses have more than one span."""
    worst, mixed = 0.0, 0
    for request, generation in flown:
        [response] = generation.responses
        assert [span.start for span in response.spans[1:]] == [span.end for span in response.spans[:-1]]
        assert (response.spans[0].start, response.spans[-1].end) == (0, response.token_ids.size)
        mixed += len(response.spans) > 1
        for span in response.spans:
            expected = logprobs_under(
                model, weights[span.version], list(request.prompt_ids), response.token_ids.tolist()
            )
            found = response.logprobs[span.start : span.end]
            worst = max(worst, float(np.abs(found - expected.numpy()[span.start : span.end]).max()))
    return worst, mixed


class TestRecompute:
    def test_every_token_has_the_log_prob_of_the_version_that_its_span_names(
        self, engine: Engine, loop: Loop, model: Path, tmp_path: Path
    ) -> None:
        start, first, second = _next_version(), _next_version(), _next_version()
        weights = {
            start: changed_weights(model, 0),
            first: changed_weights(model, 1),
            second: changed_weights(model, 2),
        }
        loop(_update(engine, weights[start], tmp_path, start))
        updates = {first: weights[first], second: weights[second]}
        flown = loop(_in_flight(engine, tmp_path, updates))
        worst, mixed = _largest_difference(model, weights, flown)
        assert mixed == len(flown), "the updates came while all were under way"
        assert worst <= CLOSE

    def test_every_request_completes_with_all_its_tokens(
        self, engine: Engine, loop: Loop, model: Path, tmp_path: Path
    ) -> None:
        updates: dict[Version, Mapping[str, Tensor]] = {_next_version(): changed_weights(model, i) for i in range(5)}
        flown = loop(_in_flight(engine, tmp_path, updates, lanes=64, tokens=330))
        assert [generation.responses[0].token_ids.size for _, generation in flown] == [330] * 64

    def test_the_same_weights_again_change_no_response(
        self, engine: Engine, loop: Loop, model: Path, tmp_path: Path
    ) -> None:
        """Interrupted, its cache thrown away and prefilled again, a seeded response is what it is undisturbed."""
        start = _next_version()
        loop(_update(engine, changed_weights(model, 3), tmp_path, start))
        undisturbed = loop(_in_flight(engine, tmp_path, {}))
        disturbed = loop(_in_flight(engine, tmp_path, {_next_version(): changed_weights(model, 3)}))
        alike = [
            one.responses[0].token_ids.tolist() == other.responses[0].token_ids.tolist()
            for (_, one), (_, other) in zip(undisturbed, disturbed, strict=True)
        ]
        assert sum(alike) >= 15, "but for a draw that falls between two tokens within rounding"


@pytest.mark.usefixtures("keep")
class TestKeep:
    def test_recorded_log_probs_are_what_was_sampled_from(
        self, engine: Engine, loop: Loop, model: Path, tmp_path: Path
    ) -> None:
        """After the seam, new weights attend to keys and values that the old ones computed: neither version's
        log-probs, but those of the two together, which transformers can be made to repeat."""
        start, second = _next_version(), _next_version()
        weights = {start: changed_weights(model, 0), second: changed_weights(model, 2)}
        loop(_update(engine, weights[start], tmp_path, start))
        flown = loop(_in_flight(engine, tmp_path, {second: weights[second]}))
        for request, generation in flown:
            [response] = generation.responses
            old, new = response.spans
            assert (old.version, new.version) == (start, second)
            prompt, tokens = list(request.prompt_ids), response.token_ids.tolist()
            expected = logprobs_under(model, weights[start], prompt, tokens).numpy()
            assert response.logprobs[: old.end] == pytest.approx(expected[: old.end], abs=CLOSE)
            mixed = logprobs_across(model, weights[start], weights[second], prompt, tokens, old.end).numpy()
            assert response.logprobs[old.end :] == pytest.approx(mixed, abs=CLOSE)
            pure = logprobs_under(model, weights[second], prompt, tokens).numpy()
            assert np.abs(response.logprobs[old.end :] - pure[old.end :]).max() > 100 * CLOSE

    def test_a_prompt_that_comes_after_an_update_meets_no_older_weights_cache(
        self, engine: Engine, loop: Loop, model: Path, tmp_path: Path
    ) -> None:
        prompt = tuple(range(100, 228))
        request = {"prompt_ids": prompt, "max_tokens": 40, "seed": 3, "ignore_end": True}
        old, new = _next_version(), _next_version()
        loop(_update(engine, changed_weights(model, 0), tmp_path, old))
        loop(engine.generate(GenerateRequest(id="fills the prefix cache", **request)))  # type: ignore[arg-type]
        weights = changed_weights(model, 5)
        loop(_update(engine, weights, tmp_path, new))
        before = engine.statistics().prefix_hits
        [response] = loop(engine.generate(GenerateRequest(id="comes after", **request))).responses  # type: ignore[arg-type]
        expected = logprobs_under(model, weights, list(prompt), response.token_ids.tolist())
        assert response.logprobs == pytest.approx(expected.numpy(), abs=CLOSE)
        assert engine.statistics().prefix_hits == before
        loop(engine.generate(GenerateRequest(id="comes again", **request)))  # type: ignore[arg-type]
        assert engine.statistics().prefix_hits > before, "its own version's cache is there to be used"


class TestWhatGoesWrong:
    def _serves(self, engine: Engine, loop: Loop, version: Version) -> None:
        request = GenerateRequest(id=f"after-{next(_versions)}", prompt_ids=(1, 2, 3), max_tokens=5, ignore_end=True)
        [response] = loop(engine.generate(request)).responses
        assert response.spans[-1].version == version

    def test_a_torn_file_leaves_the_old_weights_serving_and_names_the_replica(
        self, engine: Engine, loop: Loop, model: Path, tmp_path: Path
    ) -> None:
        good, bad = _next_version(), _next_version()
        before = loop(_update(engine, changed_weights(model, 1), tmp_path, good)).loaded
        path = tmp_path / "torn.safetensors"
        write_file(path, changed_weights(model, 2))
        os.truncate(path, path.stat().st_size // 2)
        with pytest.raises(StagingError, match=r"replica-a.*did not arrive whole"):
            loop(engine.update(bad, "file", {"path": str(path)}, checksum="whatever"))
        self._serves(engine, loop, good)
        assert loop(engine._loaded()) == before

    def test_weights_that_are_not_those_sent_are_refused(
        self, engine: Engine, loop: Loop, model: Path, tmp_path: Path
    ) -> None:
        good, bad = _next_version(), _next_version()
        loop(_update(engine, changed_weights(model, 1), tmp_path, good))
        path = tmp_path / "swapped.safetensors"
        write_file(path, changed_weights(model, 2))
        with pytest.raises(StagingError, match=r"replica-a.*checksum"):
            loop(
                engine.update(bad, "file", {"path": str(path)}, checksum=fingerprint(changed_weights(model, 3).items()))
            )
        self._serves(engine, loop, good)

    def test_weights_of_another_model_are_refused_before_anything_is_touched(
        self, engine: Engine, loop: Loop, model: Path, tmp_path: Path
    ) -> None:
        good = _next_version()
        weights = changed_weights(model, 1)
        loop(_update(engine, weights, tmp_path, good))
        fewer = {name: tensor for name, tensor in weights.items() if "layers.1" not in name}
        with pytest.raises(StagingError, match="not those of the version before"):
            loop(_update(engine, fewer, tmp_path, _next_version()))
        self._serves(engine, loop, good)

    def test_weights_that_do_not_come_in_time_are_given_up(self, engine: Engine, loop: Loop, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "never")  # opening it waits for a writer that never comes
        before = engine.settings
        engine.settings = msgspec.structs.replace(before, weights=before.weights | {"stage_seconds": 0.3})
        version = engine.version
        try:
            with pytest.raises(StagingError, match=r"replica-a: .*0\.3 s"):
                loop(engine.update(_next_version(), "file", {"path": str(tmp_path / "never")}))
            assert engine.stuck == ""
            self._serves(engine, loop, version)
        finally:
            engine.settings = before
            # Let the thread that still waits there go, and find that it is no file.
            writer = os.open(tmp_path / "never", os.O_RDWR | os.O_NONBLOCK)
        until_now(lambda: "error" in loop(engine._rpc("azr_staged"))[0], "it is gone")
        os.close(writer)
        self._serves(engine, loop, version)

    def test_weights_torn_while_they_were_put_in_place_keep_the_engine_still_until_whole_ones_come(
        self, engine: Engine, loop: Loop, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        good, bad, whole = _next_version(), _next_version(), _next_version()
        loop(_update(engine, changed_weights(model, 1), tmp_path, good))
        rpc = engine._rpc

        async def torn(method: str, *arguments: Any) -> Any:
            if method == "azr_apply":
                raise RuntimeError("half of the layers")
            return await rpc(method, *arguments)

        monkeypatch.setattr(engine, "_rpc", torn)
        with pytest.raises(TornWeightsError, match=r"replica-a.*1\.\d+.*half of the layers"):
            loop(_update(engine, changed_weights(model, 2), tmp_path, bad))
        with pytest.raises(TornWeightsError):
            loop(engine.check())
        monkeypatch.setattr(engine, "_rpc", rpc)
        loop(_update(engine, changed_weights(model, 3), tmp_path, whole))
        loop(engine.check())
        self._serves(engine, loop, whole)

    @pytest.mark.parametrize("part", ["layers.0.self_attn.v_proj.weight", "layers.1.mlp.up_proj", "norm.weight"])
    def test_a_load_that_broke_off_leaves_nothing_in_the_whole_weights_that_come_after_it(
        self, engine: Engine, loop: Loop, model: Path, tmp_path: Path, part: str
    ) -> None:
        """By then q and k of a layer may be buffered; together with the next load's q they would make it look whole."""
        before, bad, whole = _next_version(), _next_version(), _next_version()
        weights = changed_weights(model, 3)
        right = loop(_update(engine, weights, tmp_path, before)).loaded
        loop(engine._rpc("azr_break_before", part))
        with pytest.raises(TornWeightsError, match=r"replica-a.*no memory is left for"):
            loop(_update(engine, changed_weights(model, 2), tmp_path, bad))
        assert loop(_update(engine, weights, tmp_path, whole)).loaded == right
        worst, _ = _largest_difference(
            model, {whole: weights}, loop(_in_flight(engine, tmp_path, {}, lanes=2, tokens=20))
        )
        assert worst <= CLOSE


class TestAnEngineThatDoesNotGoOn:
    def test_is_not_called_well_and_goes_on_with_the_next_whole_weights(
        self, engine: Engine, loop: Loop, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def refuses() -> None:
            raise RuntimeError("cannot resume")

        resume = engine.llm.resume_generation
        monkeypatch.setattr(engine.llm, "resume_generation", refuses)
        with pytest.raises(TornWeightsError, match=r"replica-a: resume failed: cannot resume"):
            loop(_update(engine, changed_weights(model, 1), tmp_path, _next_version()))
        with pytest.raises(TornWeightsError):
            loop(engine.check())
        monkeypatch.setattr(engine.llm, "resume_generation", resume)
        version = _next_version()
        loop(_update(engine, changed_weights(model, 2), tmp_path, version))
        loop(engine.check())
        TestWhatGoesWrong()._serves(engine, loop, version)


class TestWhatAnUpdateTells:
    def test_its_legs_its_size_and_a_checksum_that_only_weights_decide(
        self, engine: Engine, loop: Loop, model: Path, tmp_path: Path
    ) -> None:
        one = loop(_update(engine, changed_weights(model, 1), tmp_path, _next_version()))
        other = loop(_update(engine, changed_weights(model, 2), tmp_path, _next_version()))
        again = loop(_update(engine, changed_weights(model, 1), tmp_path, _next_version()))
        assert one.loaded == again.loaded != other.loaded
        assert one.size == sum(4 * weight.numel() for weight in changed_weights(model, 1).values())
        assert all(seconds > 0 for seconds in (one.stage, one.pause, one.apply, one.resume))

    def test_the_gap_between_old_and_new_tokens_is_seen(
        self, engine: Engine, loop: Loop, model: Path, tmp_path: Path
    ) -> None:
        engine.seams()
        updates: dict[Version, Mapping[str, Tensor]] = {_next_version(): changed_weights(model, i) for i in range(3)}
        loop(_in_flight(engine, tmp_path, updates))
        gaps = engine.seams()
        assert len(gaps) == 3
        assert all(0 < gap < 10 for gap in gaps)
