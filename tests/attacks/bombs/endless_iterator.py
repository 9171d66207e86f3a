"""Consumes an endless iterator inside one call of C code."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="Fuel runs out inside the call.",
    bare="hung",
    program="""
import itertools
from collections import deque

def f(x):
    return deque(itertools.repeat(1), maxlen=0)
""",
    status=("timeout",),
)
