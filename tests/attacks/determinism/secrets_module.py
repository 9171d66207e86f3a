"""Draws from the operating system's source through secrets."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: banned, two seeds give two values, or there is no such source.",
    bare="differs",
    program="""
import secrets

def f(x):
    return secrets.randbelow(10**9) + x
""",
    reasons=("banned", "nondeterministic", "error"),
)
