"""vLLM's arguments and environment for one engine, from the configuration. Loads neither vLLM nor torch by itself.

vLLM reads its environment when it is imported, and its engine process inherits it. So `EngineSettings.environment` is
set in the process that will import vLLM, before it does: by Ray in a replica's process, by `Engine.start` elsewhere.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any

import msgspec
import yaml

from azr.config.sections.rollout import RolloutConfig
from azr.config.sections.weights import WeightsConfig
from azr.doctor.packages import installed_extra, require_cpu_kernels
from azr.errors import AzrError

#: Class that vLLM mixes into its workers; see `actors.engine.extension`.
EXTENSION = "actors.engine.extension.WeightExtension"

#: Memory of the KV cache on a CPU where the configuration names none.
_CPU_KV_CACHE_MB = 256
#: On CPUs vLLM takes 128: prompts of the tiny model would never fill a block, and share none.
_CPU_BLOCK_SIZE = 32

#: Files of which a model folder with a tokenizer has at least one.
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "tokenizer_config.json")


class EngineSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything an engine is told when it starts; the same on all replicas of a deployment."""

    model: str
    """Hugging Face folder or name."""
    rollout: dict[str, Any]
    weights: dict[str, Any]
    dtype: str
    """Of the weights in the engine."""
    seed: int = 0
    gpu: bool = False

    @classmethod
    def of(
        cls,
        model: str | Path,
        rollout: RolloutConfig,
        weights: WeightsConfig,
        *,
        seed: int = 0,
        gpu: bool | None = None,
    ) -> EngineSettings:
        """From the configuration; `gpu` is found out where it is not given."""
        gpu = has_gpu() if gpu is None else gpu
        return cls(
            model=str(model),
            rollout=vars(rollout),
            weights=vars(weights),
            dtype=weights_dtype(rollout, gpu=gpu),
            seed=seed,
            gpu=gpu,
        )

    @property
    def rollout_config(self) -> RolloutConfig:
        """The section `rollout`."""
        return RolloutConfig(**self.rollout)

    @property
    def weights_config(self) -> WeightsConfig:
        """The section `weights`."""
        return WeightsConfig(**self.weights)

    @property
    def transport(self) -> str:
        """The transport's name, `auto` decided.

        NCCL refuses a group of which two ranks are on one card. Engines that are given parts of cards may share one,
        with each other or with the learner, so they get `shm`, which always works.
        """
        named, rollout = self.weights_config.transport, self.rollout_config
        whole_cards = rollout.gpus_per_replica < 0 or rollout.gpus_per_replica >= rollout.tensor_parallel
        return ("nccl" if self.gpu and whole_cards else "shm") if named == "auto" else named

    @property
    def has_tokenizer(self) -> bool:
        """Whether the model is a folder without a tokenizer, as bare test models are; a name is taken to have one."""
        folder = Path(self.model)
        return not folder.is_dir() or any((folder / name).exists() for name in _TOKENIZER_FILES)

    def environment(self) -> dict[str, str]:
        """What must stand in the environment before vLLM is imported."""
        common = {
            # vLLM's progress belongs into its log at worst; warnings of a healthy engine are many.
            "VLLM_LOGGING_LEVEL": os.environ.get("VLLM_LOGGING_LEVEL", "ERROR"),
            "VLLM_NO_USAGE_STATS": "1",
            "TOKENIZERS_PARALLELISM": "false",
        }
        if self.transport == "ipc":
            common["VLLM_ALLOW_INSECURE_SERIALIZATION"] = "1"
        if self.gpu:
            return common
        return common | {
            # `auto` would bind every engine of a machine to its first core.
            "VLLM_CPU_OMP_THREADS_BIND": "nobind",
            "OMP_NUM_THREADS": str(self.rollout_config.threads),
            # The worker runs inside the engine's process: one process less, and three times the tokens on few cores.
            "VLLM_ENABLE_V1_MULTIPROCESSING": "0" if self.rollout_config.tensor_parallel == 1 else "1",
            # Sampling helpers are compiled on first use otherwise, which makes the first token take seconds.
            "TORCH_COMPILE_DISABLE": "1",
            # A GPU that is there but not meant must not be initialised.
            "CUDA_VISIBLE_DEVICES": "",
        }

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of vLLM's `AsyncEngineArgs`, except the weight transfer's own objects."""
        rollout = self.rollout_config
        if self.model and Path(self.model).is_absolute() and not Path(self.model).is_dir():
            raise AzrError(f"there is no model folder {self.model}", "check model.path")
        if not self.gpu:
            require_cpu_kernels()
        arguments: dict[str, Any] = {
            "model": self.model,
            "dtype": self.dtype,
            "seed": self.seed,
            "tensor_parallel_size": rollout.tensor_parallel,
            "max_num_seqs": rollout.max_sequences,
            "enforce_eager": not (self.gpu and rollout.compile),
            "enable_prefix_caching": True,
            "logprobs_mode": "processed_logprobs",
            "disable_log_stats": True,
            "enable_log_requests": False,
            "worker_extension_cls": EXTENSION,
            "skip_tokenizer_init": not self.has_tokenizer,
            # What a model folder recommends for chatting (top-p .8, …) must not colour what is trained on.
            "generation_config": "vllm",
        }
        if rollout.max_model_len:
            arguments["max_model_len"] = rollout.max_model_len
        if rollout.max_batched_tokens:
            arguments["max_num_batched_tokens"] = rollout.max_batched_tokens
        if rollout.block_size or not self.gpu:
            arguments["block_size"] = rollout.block_size or _CPU_BLOCK_SIZE
        if rollout.kv_cache_mb or not self.gpu:
            arguments["kv_cache_memory_bytes"] = (rollout.kv_cache_mb or _CPU_KV_CACHE_MB) << 20
        if self.gpu:
            arguments["gpu_memory_utilization"] = rollout.memory_fraction
        return arguments | _typed(rollout.engine_arguments)


def weights_dtype(rollout: RolloutConfig, *, gpu: bool) -> str:
    """The type of the weights in engines, `auto` decided."""
    return ("bfloat16" if gpu else "float32") if rollout.dtype == "auto" else rollout.dtype


def has_gpu() -> bool:
    """Whether this machine has NVIDIA GPUs and the engine is built for them; found without touching CUDA."""
    return shutil.which("nvidia-smi") is not None and installed_extra() == "gpu"


def _typed(given: dict[str, str]) -> dict[str, Any]:
    """Extra arguments as YAML reads them; one that vLLM does not know is refused by name when the engine starts."""
    return {name: yaml.load(value, _Reader) for name, value in given.items()}


class _Reader(yaml.SafeLoader):  # type: ignore[misc]
    """Takes `1e-6` for a number, as the rest of the configuration does; to YAML 1.1 it is text without a point."""


_Reader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)
