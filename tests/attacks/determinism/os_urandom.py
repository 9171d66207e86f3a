"""Draws from the operating system's source directly."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: banned, two seeds give two values, or there is no such source.",
    bare="differs",
    program="""
import os

def f(x):
    return int.from_bytes(os.urandom(4), "big") + x
""",
    reasons=("banned", "nondeterministic", "error"),
)
