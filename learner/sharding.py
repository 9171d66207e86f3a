"""Makes a policy fit its devices: freezing, adapters, activation checkpointing, compilation, FSDP2.

Owns the order of these steps, which matters: adapters before sharding (their parameters are sharded too), checkpoint
wrapping before compilation (a compiled layer holds its recomputation), sharding last. Called once by
`learner.trainer`.
"""

from __future__ import annotations

import fnmatch
from typing import Any

import torch
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import CPUOffloadPolicy, MixedPrecisionPolicy, OffloadPolicy, fully_shard
from torch.utils.checkpoint import CheckpointPolicy, create_selective_checkpoint_contexts

from azr.config.sections.learner import LearnerConfig
from learner.lora import insert_adapters
from learner.policy import Policy

#: Products whose results `selective` checkpointing keeps: most of a layer's work and a small part of its memory.
_KEPT = (torch.ops.aten.mm.default, torch.ops.aten.addmm.default)

#: Forms of a layer that torch may compile before it gives up and runs all further ones eagerly. All layers share their
#: code and so this number; with and without gradients, with and without shared prompts, and each length that a number
#: in the layout took before it was taken to vary, are forms of their own. torch's own limit is 8.
_VARIANTS = 64


def compute_dtype(config: LearnerConfig, device: torch.device) -> torch.dtype:
    """The dtype of forward and backward products."""
    if config.compute_dtype == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[config.compute_dtype]


def prepare(policy: Policy, config: LearnerConfig, device: torch.device, mesh: DeviceMesh | None) -> Policy:
    """The policy on its device, ready to be trained; sharded over the mesh when there is one."""
    _freeze(policy, config.freeze)
    if config.lora.rank:
        insert_adapters(policy, config.lora)
    if not any(parameter.requires_grad for parameter in policy.parameters()):
        raise ValueError(f"nothing is left to train: learner.freeze {config.freeze} covers every parameter")
    _checkpoint_layers(policy, config.checkpointing)
    if config.compile:
        torch._dynamo.config.recompile_limit = max(_VARIANTS, torch._dynamo.config.recompile_limit)
        for layer in policy.layers:
            layer.compile()
    if mesh is None:
        if compute_dtype(config, device) is not torch.float32:
            raise ValueError(
                "half precision over fp32 master weights comes with sharding: begin a process group first "
                "(learner.process_group.group_of_one for a single rank)"
            )
        return policy.to(device)
    precision = MixedPrecisionPolicy(param_dtype=compute_dtype(config, device), reduce_dtype=torch.float32)
    # Memory is pinned for copies to a GPU; without one there is nothing to pin it for, and torch refuses.
    pinned = CPUOffloadPolicy(pin_memory=device.type == "cuda")
    offload = pinned if config.cpu_offload else OffloadPolicy()
    # Sharding moves each layer to the device by itself, so that a card never holds the whole model in fp32.
    for layer in policy.layers:
        fully_shard(
            layer,
            mesh=mesh,
            mp_policy=precision,
            offload_policy=offload,
            reshard_after_forward=not config.keep_gathered,
        )
    # The root holds embeddings and head, used first and last: gathered once and kept through the backward pass.
    fully_shard(policy, mesh=mesh, mp_policy=precision, offload_policy=offload, reshard_after_forward=False)
    return policy


def _freeze(policy: Policy, patterns: list[str]) -> None:
    names = dict(policy.language_model.named_parameters())
    for pattern in patterns:
        matching = fnmatch.filter(names, pattern)
        if not matching:
            raise ValueError(f"learner.freeze pattern {pattern!r} matches no parameter, e.g. {next(iter(names))}")
        for name in matching:
            names[name].requires_grad_(False)


def _checkpoint_layers(policy: Policy, kind: str) -> None:
    if kind == "none":
        return
    layers: nn.ModuleList = policy.layers
    options: dict[str, Any] = {}
    if kind == "selective":
        options["context_fn"] = lambda: create_selective_checkpoint_contexts(  # type: ignore[no-untyped-call]
            _keep_products
        )
    for index, layer in enumerate(layers):
        layers[index] = checkpoint_wrapper(layer, preserve_rng_state=False, **options)


def _keep_products(_context: object, operation: object, *_arguments: object, **_options: object) -> CheckpointPolicy:
    return CheckpointPolicy.MUST_SAVE if operation in _KEPT else CheckpointPolicy.PREFER_RECOMPUTE
