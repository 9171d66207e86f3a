"""Runs for a long time, as a time-out by the wall clock lets pass on a fast machine."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused by fuel, on every machine alike.",
    bare="hung",
    program="""
def f(x):
    for _ in range(10**10):
        pass
    return x
""",
    reasons=("timeout",),
)
