"""Pretends that somebody pressed a key."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused, and nobody else is interrupted.",
    program="""
def f(x):
    raise KeyboardInterrupt
""",
    reasons=("error",),
)
