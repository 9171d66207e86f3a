"""How alike two programs are, at the price of comparing two numbers: a SimHash of their text.

Called by `azr.buffers.table` when a task comes in; `azr.buffers.task_buffer` shows proposers references that are little
alike. Comparing syntax trees would need the sandbox for every prompt.
"""

from __future__ import annotations

import numpy as np

#: Bytes that are looked at together: long enough to see `x + 1`, short enough to survive a changed line.
SHINGLE_BYTES = 5

_MIX = np.uint64(0x9E3779B97F4A7C15)
_POWERS = np.array([pow(0x100000001B3, power, 1 << 64) for power in range(SHINGLE_BYTES)], np.uint64)


def likeness(text: str) -> int:
    """64 bits of which two texts share the more, the more of their shingles they share (a SimHash)."""
    data = np.frombuffer(text.encode("utf-8", "surrogatepass").ljust(SHINGLE_BYTES), np.uint8).astype(np.uint64)
    count = len(data) - SHINGLE_BYTES + 1
    hashes = np.zeros(count, np.uint64)
    for position, power in enumerate(_POWERS):
        hashes += data[position : position + count] * power
    hashes ^= hashes >> np.uint64(29)
    hashes *= _MIX
    hashes ^= hashes >> np.uint64(32)
    bits = np.unpackbits(hashes.view(np.uint8).reshape(count, 8), axis=1)
    return int.from_bytes(np.packbits(bits.mean(axis=0) > 0.5).tobytes(), "big")
