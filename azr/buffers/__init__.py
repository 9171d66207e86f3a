"""Task buffers: what tasks exist, which is trained on next, which is shown to the proposer."""

from azr.buffers.sum_tree import SumTree

__all__ = ["SumTree"]
