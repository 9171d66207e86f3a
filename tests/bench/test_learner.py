"""The learner's benchmark: its counts by hand, its spans, and a whole small run."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from azr.bench import Report
from azr.errors import UsageError
from benchmarks import learner
from benchmarks.device_time import Waiting, matmul_ceiling, peak_of, profiled, waiting
from benchmarks.model_shapes import SHAPES, Shape

CPU = torch.device("cpu")


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    learner.add_arguments(parser)
    return parser.parse_args(words)


class TestCounts:
    SMALL = Shape(width=4, feed_forward=6, layers=2, heads=2, kv_heads=1, vocabulary=10, tied=True)

    def test_a_layers_products_by_hand(self) -> None:
        # q and o: 4·4 each; k and v: 4·2 each; gate, up, down: 4·6 each; two layers.
        assert self.SMALL.body == 2 * (16 + 16 + 8 + 8 + 3 * 24)

    def test_operations_by_hand(self) -> None:
        # Sequences of 3 and 5 tokens, 6 of them scored: 6·240·8 + 6·4·10·6 + 6·2·2·2·(9 + 25).
        assert self.SMALL.operations([3, 5], scored=6) == 6 * 240 * 8 + 6 * 40 * 6 + 48 * 34

    @pytest.mark.parametrize(
        ("name", "billions"),
        [("qwen2.5-0.5b", 0.494), ("qwen2.5-1.5b", 1.544), ("qwen2.5-3b", 3.086), ("qwen2.5-7b", 7.070)],
    )
    def test_the_published_sizes_are_met(self, name: str, billions: float) -> None:
        shape = SHAPES[name]
        assert (shape.body + shape.width * shape.vocabulary) / 1e9 == pytest.approx(billions, abs=0.001)

    @pytest.mark.parametrize(("length", "expected"), [(1024, 43.0), (4096, 44.9), (8192, 47.4)])
    def test_operations_a_token_of_7b_at_three_lengths(self, length: int, expected: float) -> None:
        """GFLOP a token when every token is scored: 6·7.07e9 + 6·28·3584·S."""
        assert SHAPES["qwen2.5-7b"].operations([length], length) / length / 1e9 == pytest.approx(expected, abs=0.1)

    def test_the_saved_shape_is_what_transformers_builds(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        from transformers import AutoConfig, AutoModelForCausalLM

        shape = replace(SHAPES["tiny"], tied=False)
        config = AutoConfig.from_pretrained(shape.save(tmp_path_factory.mktemp("shape")))
        names = {name: value.numel() for name, value in AutoModelForCausalLM.from_config(config).named_parameters()}
        products = sum(size for name, size in names.items() if "_proj.weight" in name)
        assert products == shape.body
        assert names["lm_head.weight"] == shape.width * shape.vocabulary


class TestWaiting:
    def test_idle_is_what_no_kernel_covers(self) -> None:
        assert waiting([((0.0, 2.0), False), ((1.0, 4.0), False), ((6.0, 8.0), False)], 10.0) == Waiting(0.0, 0.4)

    def test_a_collective_counts_where_nothing_else_runs(self) -> None:
        # From 3 to 5 it runs beside a kernel until 4: one of ten is its own.
        assert waiting([((0.0, 4.0), False), ((3.0, 5.0), True)], 10.0) == Waiting(0.1, 0.5)

    def test_without_kernels_all_is_idle(self) -> None:
        assert waiting([], 5.0) == Waiting(0.0, 1.0)

    def test_on_a_cpu_the_time_this_process_did_not_run_is_idle(self) -> None:
        import time

        # Long against what other threads of a test session do meanwhile.
        assert profiled(lambda: time.sleep(0.5), CPU, 0.5).idle > 0.5

    def test_a_cpu_has_a_measured_ceiling_and_no_published_peak(self) -> None:
        assert matmul_ceiling(CPU, torch.float32) > 0.0
        assert peak_of(CPU) is None


class TestLengths:
    def lengths(self, length: int, tokens: int, *, uneven: bool) -> list[int]:
        found: Iterator[int] = learner._lengths(length, tokens, uneven=uneven)
        return list(found)

    def test_even_ones_fill_the_budget(self) -> None:
        assert self.lengths(256, 1024, uneven=False) == [256] * 4

    def test_uneven_ones_stay_within_it(self) -> None:
        drawn = self.lengths(256, 4096, uneven=True)
        assert sum(drawn) <= 4096
        assert all(64 <= each <= 256 for each in drawn)


class TestGoal:
    """Goals are of one card and of even sequences of 4k."""

    CARD = "NVIDIA H200"

    @pytest.mark.parametrize(
        ("name", "checkpointing", "share"),
        [
            ("qwen2.5-7b", "full", 0.51),
            ("qwen2.5-1.5b", "none", 0.60),
            ("qwen2.5-3b", "none", 0.60),
            ("qwen2.5-7b", "none", None),
            ("qwen2.5-3b", "full", None),
            ("qwen2.5-7b", "selective", None),
            ("qwen2.5-0.5b", "none", None),
        ],
    )
    def test_each_shape_has_one_with_one_way_of_checkpointing(
        self, name: str, checkpointing: str, share: float | None
    ) -> None:
        assert learner.goal_of(name, 4096, checkpointing, arguments(), self.CARD) == share

    def test_the_goals_are_of_what_the_benchmark_does_unasked(self) -> None:
        for name, checkpointing in learner._GOALS:
            assert SHAPES[name].checkpointing == checkpointing

    @pytest.mark.parametrize("words", [("--uneven",), ("--loss", "ppo"), ("--peak", "100")])
    def test_other_settings_have_none(self, words: tuple[str, ...]) -> None:
        assert learner.goal_of("qwen2.5-7b", 4096, "full", arguments(*words), self.CARD) is None

    def test_other_lengths_and_cards_have_none(self) -> None:
        assert learner.goal_of("qwen2.5-7b", 8192, "full", arguments(), self.CARD) is None
        assert learner.goal_of("qwen2.5-7b", 4096, "full", arguments(), "NVIDIA H100 80GB HBM3") is None


@pytest.mark.parametrize("loss", ["supervised", "decoupled_ppo", "ppo"])
def test_a_small_run_measures_steps_parts_and_back_ends(loss: str) -> None:
    report = Report("learner", "azr bench learner")
    options = ("--lengths", "64", "--budget", "128", "--rounds", "1", "--loss", loss, "--checkpointing", "selective")
    learner.run(arguments(*options), report)
    result = report.result()
    measured = {measure.name: measure.median for measure in result.measures}
    parts = ("attention", "head", "optimiser", "collective", "idle", "products and the rest")
    assert all(measured[f"tiny at 64: {part}"] >= 0.0 for part in parts)
    assert measured["tiny at 64: tokens/s"] > 0.0
    assert measured["attention sdpa, tiny at 64"] > 0.0
    assert any("causal attention" in note for note in result.notes)
    assert any("flash_attention_3 left out" in note for note in result.notes) or torch.cuda.is_available()
    assert not torch.distributed.is_initialized()


def test_a_shape_nobody_knows_is_refused() -> None:
    with pytest.raises(UsageError, match=r"no shape is called 'gpt-5'"):
        learner.run(arguments("--shapes", "gpt-5"), Report("learner", ""))
