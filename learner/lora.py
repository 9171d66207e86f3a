"""Low-rank adapters: W + (alpha / rank) · B A, with W frozen.

Owns the adapter layer, its insertion and its merging. What is published to the engines and exported is the merged
weight, so that nobody downstream knows of adapters.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from azr.config.sections.learner import LoraConfig
from azr.names import did_you_mean
from learner.policy import Policy


class LoraLinear(nn.Module):
    """A frozen linear layer with a trained low-rank update; computes exactly the layer until it is trained."""

    def __init__(self, base: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.scale = alpha / rank
        self.down = nn.Parameter(base.weight.new_empty(rank, base.in_features))
        self.up = nn.Parameter(base.weight.new_zeros(base.out_features, rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, inputs: Tensor) -> Tensor:
        """The layer's output plus the scaled update."""
        output: Tensor = self.base(inputs) + self.scale * ((inputs @ self.down.t()) @ self.up.t())
        return output


def insert_adapters(policy: Policy, config: LoraConfig) -> int:
    """Freeze the model and give each targeted linear layer an adapter; returns how many.

    A target that names no layer is refused, but for those of the default's, of which families of models lack some. A
    layer whose weight is frozen already gets none: it is not to be trained.
    """
    linear = [
        (parent, name, child)
        for parent in policy.modules()
        for name, child in parent.named_children()
        if isinstance(child, nn.Linear)
    ]
    known = {name for _, name, _ in linear}
    for target in config.targets:
        if target not in known and (config.targets != LoraConfig().targets or known.isdisjoint(config.targets)):
            raise ValueError(
                f"learner.lora.targets: {target!r} names no linear layer of this model; {did_you_mean(target, known)}"
            )
    named = [(parent, name, child) for parent, name, child in linear if name in config.targets]
    head = policy.language_model.get_output_embeddings()  # type: ignore[operator]
    if heads := [name for _, name, child in named if child is head]:
        raise ValueError(
            f"learner.lora.targets names {heads[0]}, the output layer, which can have no adapter: the log-prob head "
            "takes its weight as it is; leave it out"
        )
    targets = [(parent, name, child) for parent, name, child in named if child.weight.requires_grad]
    if not targets:
        raise ValueError(f"learner.freeze leaves none of learner.lora.targets {config.targets} to train")
    policy.requires_grad_(False)
    for parent, name, child in targets:
        setattr(parent, name, LoraLinear(child, config.rank, config.alpha))
    return len(targets)


def merged(state: dict[str, Tensor], scale: float) -> dict[str, Tensor]:
    """A state dict with adapters folded into the weights they adapt, under the weights' original names."""
    result: dict[str, Tensor] = {}
    for name, value in state.items():
        if name.endswith((".down", ".up")) and f"{name.rpartition('.')[0]}.base.weight" in state:
            continue
        prefix, marker, leaf = name.rpartition(".base.")
        if marker and f"{prefix}.down" in state:
            update = state[f"{prefix}.up"] @ state[f"{prefix}.down"] if leaf == "weight" else None
            result[f"{prefix}.{leaf}"] = value if update is None else torch.add(value, update, alpha=scale)
        else:
            result[name] = value
    return result
