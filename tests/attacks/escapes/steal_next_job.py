"""Reads the pipe on which its driver gets its jobs."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="Nothing of the driver's pipe is reachable.",
    bare="read",
    program="""
import os

def f(x):
    return os.read(0, 1000)
""",
    status=("error", "ok"),
)
