"""A checksum of tensors that costs one pass over their memory, on whatever device they are.

A cryptographic digest of a 7B model takes half a minute of a core each update. What has to be noticed here are lost,
torn, swapped or stale tensors, not an adversary. So each tensor gives two 64-bit sums of its 32-bit words, plain and
weighted by position, and the digest is taken of names, shapes, dtypes and these sums. Sums wrap around and do not
depend on the order of adding: a CPU and a GPU find the same, and so do several threads.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from sandbox_wasm.cores import available_cores

#: Words summed at a time, widened to 64 bits in memory that is used again: on a host what its caches hold, since memory
#: that is new each time costs more than the sums; on a card enough for each to be worth its call.
_WORDS = {"cpu": 1 << 16}
_WORDS_ON_A_CARD = 1 << 20

#: A process has a thread for each four cores to sum tensors of the host, since it is not alone there: a machine's
#: engines do this at the same time. One core sums a gigabyte a second at best; beyond four, threads wait for memory.
_CORES_A_THREAD = 4
_THREADS_AT_MOST = 4

_MASK = (1 << 64) - 1


def fingerprint(tensors: Iterable[tuple[str, Tensor]], *, threads: int = 0) -> str:
    """The checksum of named tensors, whatever order they come in; by so many threads, 0: as many as suit the cores."""
    largest_first = sorted(tensors, key=lambda each: each[1].numel(), reverse=True)
    on_host = [each for each in largest_first if each[1].device.type == "cpu"]
    # What was written on a card is in order on the calling thread's stream alone.
    lines = [_line(each) for each in largest_first if each[1].device.type != "cpu"]
    with ThreadPoolExecutor(threads or _threads(), thread_name_prefix="azr-fingerprint") as several:
        lines += several.map(_line, on_host)
    return hashlib.blake2b("\n".join(sorted(lines)).encode(), digest_size=16).hexdigest()


def _threads() -> int:
    return max(1, min(_THREADS_AT_MOST, available_cores() // _CORES_A_THREAD))


def _line(named: tuple[str, Tensor]) -> str:
    name, tensor = named
    return f"{name} {tensor.dtype!s} {tuple(tensor.shape)} {words_of(tensor)}"


def words_of(tensor: Tensor) -> str:
    """The two sums of a tensor's memory, in hexadecimal."""
    raw = tensor.detach().contiguous().view(-1).view(torch.uint8)
    rest = raw.numel() % 4
    sums = torch.zeros(2, dtype=torch.int64, device=raw.device)
    if raw.numel() >= 4:
        words = raw[: raw.numel() - rest]
        words = words.view(torch.int32) if words.storage_offset() % 4 == 0 else words.clone().view(torch.int32)
        many = min(words.numel(), _WORDS.get(raw.device.type, _WORDS_ON_A_CARD))
        places = torch.arange(1, many + 1, dtype=torch.int64, device=raw.device)
        wide, weighed = torch.empty_like(places), torch.empty_like(places)
        for start in range(0, words.numel(), many):
            block = words[start : start + many]
            count = block.numel()
            plain = wide[:count].copy_(block).sum()
            torch.mul(wide[:count], places[:count], out=weighed[:count])
            sums[0] += plain
            sums[1] += weighed[:count].sum() + start * plain
    # Asked for once a tensor: on a GPU each question waits for all that was put there before, and holds the engine up.
    plain, weighted = sums.tolist()
    if rest:
        tail = int.from_bytes(bytes(raw[-rest:].tolist()), "little")
        plain, weighted = plain + tail, weighted + tail * (raw.numel() + 1)
    return f"{plain & _MASK:016x}{weighted & _MASK:016x}"
