"""Answers with the number of its process."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused as banned or as an error, or the same in every snapshot.",
    bare="differs",
    program="""
import os

def f(x):
    return os.getpid()
""",
    reasons=("banned", "nondeterministic", "error", "accepted"),
)
