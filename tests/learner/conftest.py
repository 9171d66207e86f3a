"""Tensors here are tiny: one thread beats two that wait for each other, and sums come out the same each time."""

from __future__ import annotations

import torch

torch.set_num_threads(1)
