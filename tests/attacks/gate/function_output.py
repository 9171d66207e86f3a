"""Returns a function."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: no literal form.",
    program="""
def f(x):
    return len
""",
    reasons=("opaque",),
)
