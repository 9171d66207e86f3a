"""Seeds of everything that players draw, so that what is lost can be made again the same.

A seed follows from the run's seed and the name of what is drawn for. The attempts of a group share one request, whose
seed is the group's; the engine gives each sample of a request its own. So an attempt that is made again bears the id of
the one that was lost, and under the same weights is the same.
"""

from __future__ import annotations

import hashlib

import numpy as np

#: Seeds of requests are 31 bits: every engine takes them.
_MASK = (1 << 31) - 1


def seed_of(run_seed: int, *names: str) -> int:
    """The seed of what bears these names."""
    text = "\0".join((str(run_seed), *names)).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") & _MASK


def generator_of(run_seed: int, *names: str) -> np.random.Generator:
    """A generator for what bears these names."""
    return np.random.default_rng(seed_of(run_seed, *names))
