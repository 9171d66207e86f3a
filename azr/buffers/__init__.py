"""Task buffers: what tasks exist, which is trained on next, which is shown to the proposer."""

from azr.buffers.sharding import shard_of
from azr.buffers.sum_tree import SumTree
from azr.buffers.task_buffer import BufferState, Estimate, Status, TaskBuffer

__all__ = ["BufferState", "Estimate", "Status", "SumTree", "TaskBuffer", "shard_of"]
