"""Imported by the fork server: what an engine process imports anyway. What is missing here is only slower."""

from __future__ import annotations

import contextlib
import importlib

for name in (
    "torch",
    "transformers",
    "vllm.v1.engine.core",
    "vllm.v1.executor.uniproc_executor",
    "vllm.v1.executor.multiproc_executor",
    "vllm.v1.worker.cpu_worker",
    "vllm.v1.worker.gpu_worker",
    "vllm.v1.attention.backends.cpu_attn",
    "vllm.model_executor.models.registry",
    "vllm.model_executor.models.qwen2",
    "vllm.model_executor.models.qwen3",
    "vllm.model_executor.models.llama",
    "vllm.model_executor.model_loader.reload",
    "vllm.v1.core.sched.scheduler",
    "actors.engine.extension",
):
    with contextlib.suppress(ImportError, AttributeError, RuntimeError):
        importlib.import_module(name)
