"""Models that a run can only fail to learn with, in the tiny model's own shape and tokenizer."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from azr.tiny import shipped

_WEIGHTS = "model.safetensors"


def save_garbage_model(folder: Path) -> Path:
    """Random weights: all tokens are about equally likely, whatever is asked."""
    generator = torch.Generator().manual_seed(0)
    weights = load_file(shipped.folder() / _WEIGHTS)
    return _save(
        folder,
        {
            name: weight if "norm" in name else torch.randn(weight.shape, generator=generator).to(weight.dtype) * 0.02
            for name, weight in weights.items()
        },
    )


def save_broken_model(folder: Path) -> Path:
    """One weight of the last norm is not a number, and so is every logit."""
    weights = load_file(shipped.folder() / _WEIGHTS)
    weights["model.norm.weight"][0] = float("nan")
    return _save(folder, weights)


def save_long_model(folder: Path) -> Path:
    """It says that it knows far more positions than a small cache has room for."""
    shutil.copytree(shipped.folder(), folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 1 << 16}))
    return folder


def _save(folder: Path, weights: dict[str, torch.Tensor]) -> Path:
    shutil.copytree(shipped.folder(), folder)
    save_file(weights, folder / _WEIGHTS, metadata={"format": "pt"})
    return folder
