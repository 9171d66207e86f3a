"""What an engine is told, and that telling it loads nothing heavy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.engine.settings import EngineSettings
from actors.rollout.deployment import pool_for, pools_of
from azr.config.sections.rollout import RolloutConfig
from azr.config.sections.weights import WeightsConfig
from azr.errors import AzrError


def _settings(
    folder: Path, *, gpu: bool = False, weights: WeightsConfig | None = None, **rollout: Any
) -> EngineSettings:
    return EngineSettings.of(folder, RolloutConfig(**rollout), weights or WeightsConfig(), gpu=gpu)


@pytest.mark.parametrize("module", ["actors.engine", "actors.rollout.client", "actors.weights.records"])
def test_asking_engines_needs_neither_vllm_nor_torch(module: str) -> None:
    script = (
        f"import sys, {module}; print(*(name for name in ('vllm', 'torch', 'transformers') if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == ""


def test_settings_travel_as_they_are(tmp_path: Path) -> None:
    settings = _settings(tmp_path, replicas=3, engine_arguments={"swap_space": "0"})
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(settings), type=EngineSettings) == settings
    assert settings.rollout_config == RolloutConfig(replicas=3, engine_arguments={"swap_space": "0"})


class TestOnACpu:
    def test_engines_do_not_all_sit_on_the_first_core(self, tmp_path: Path) -> None:
        environment = _settings(tmp_path, threads=3).environment()
        assert environment["VLLM_CPU_OMP_THREADS_BIND"] == "nobind"
        assert environment["OMP_NUM_THREADS"] == "3"

    def test_a_gpu_that_is_not_meant_is_hidden(self, tmp_path: Path) -> None:
        assert _settings(tmp_path).environment()["CUDA_VISIBLE_DEVICES"] == ""

    def test_one_worker_lives_in_the_engines_process_and_several_in_their_own(self, tmp_path: Path) -> None:
        assert _settings(tmp_path).environment()["VLLM_ENABLE_V1_MULTIPROCESSING"] == "0"
        several = _settings(tmp_path, tensor_parallel=2)
        assert several.environment()["VLLM_ENABLE_V1_MULTIPROCESSING"] == "1"

    def test_weights_are_float32_and_go_through_shared_memory(self, tmp_path: Path) -> None:
        assert (_settings(tmp_path).dtype, _settings(tmp_path).transport) == ("float32", "shm")

    def test_blocks_are_small_enough_for_short_prompts_to_share(self, tmp_path: Path) -> None:
        arguments = _settings(tmp_path).arguments()
        assert arguments["block_size"] == 32
        assert arguments["kv_cache_memory_bytes"] == 256 << 20
        assert arguments["enforce_eager"]


class TestOnAGpu:
    def test_memory_precision_and_transport_are_those_of_cards(self, tmp_path: Path) -> None:
        settings = _settings(tmp_path, gpu=True, tensor_parallel=2, memory_fraction=0.5)
        assert (settings.dtype, settings.transport) == ("bfloat16", "nccl")
        arguments = settings.arguments()
        assert (arguments["gpu_memory_utilization"], arguments["tensor_parallel_size"]) == (0.5, 2)
        assert "kv_cache_memory_bytes" not in arguments
        assert not arguments["enforce_eager"]

    @pytest.mark.parametrize(
        ("cards", "transport"), [(-1.0, "nccl"), (2.0, "nccl"), (1.0, "shm"), (0.5, "shm"), (0.0, "shm")]
    )
    def test_weights_go_by_nccl_only_where_no_card_can_be_shared(
        self, tmp_path: Path, cards: float, transport: str
    ) -> None:
        """NCCL refuses two ranks on one card. Here an engine is two workers."""
        settings = _settings(tmp_path, gpu=True, tensor_parallel=2, gpus_per_replica=cards)
        assert settings.transport == transport

    def test_pickled_handles_are_taken_by_ipc_alone(self, tmp_path: Path) -> None:
        name = "VLLM_ALLOW_INSECURE_SERIALIZATION"
        assert name not in _settings(tmp_path, gpu=True).environment()
        ipc = _settings(tmp_path, gpu=True, weights=WeightsConfig(transport="ipc"))
        assert ipc.environment()[name] == "1"


class TestAlways:
    def test_log_probs_are_those_sampled_from_and_the_models_advice_on_sampling_is_not_taken(
        self, tmp_path: Path
    ) -> None:
        arguments = _settings(tmp_path).arguments()
        assert arguments["logprobs_mode"] == "processed_logprobs"
        assert arguments["generation_config"] == "vllm"

    def test_a_folder_without_a_tokenizer_is_served_without_one(self, tmp_path: Path) -> None:
        assert _settings(tmp_path).arguments()["skip_tokenizer_init"]
        (tmp_path / "tokenizer.json").write_text("{}")
        assert not _settings(tmp_path).arguments()["skip_tokenizer_init"]

    def test_more_arguments_are_read_as_yaml(self, tmp_path: Path) -> None:
        given = {"max_num_partial_prefills": "2", "kv_cache_dtype": "fp8", "enable_prefix_caching": "false"}
        arguments = _settings(tmp_path, engine_arguments=given).arguments()
        assert arguments["max_num_partial_prefills"] == 2
        assert arguments["kv_cache_dtype"] == "fp8"
        assert arguments["enable_prefix_caching"] is False

    def test_a_number_among_them_may_be_written_as_everywhere_else(self, tmp_path: Path) -> None:
        """YAML 1.1 takes one without a point for text."""
        given = {"a": "1e-6", "b": "1e-06", "c": "{d: [2E3]}", "e": "'1e-6'", "f": "1e-6b"}
        arguments = _settings(tmp_path, engine_arguments=given).arguments()
        assert [arguments[name] for name in "abcef"] == [1e-6, 1e-6, {"d": [2000.0]}, "1e-6", "1e-6b"]

    def test_a_model_folder_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(AzrError, match="there is no model folder"):
            _settings(tmp_path / "nowhere").arguments()


class TestPools:
    def test_roles_share_engines_unless_they_are_to_have_their_own(self, tmp_path: Path) -> None:
        shared = _settings(tmp_path, replicas=3)
        assert pools_of(shared) == {"shared": 3}
        assert pool_for(shared, "propose") == pool_for(shared, "solve") == "shared"
        apart = _settings(tmp_path, replicas=3, separate_roles=True, proposer_replicas=2)
        assert pools_of(apart) == {"propose": 2, "solve": 3}
        assert (pool_for(apart, "propose"), pool_for(apart, "solve")) == ("propose", "solve")
