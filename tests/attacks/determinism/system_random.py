"""Draws through a class of the random module that ignores every seed."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: banned, or there is no such source.",
    bare="differs",
    program="""
def f(x):
    return __import__("random").SystemRandom().randrange(10**9)
""",
    reasons=("banned", "nondeterministic", "error"),
)
