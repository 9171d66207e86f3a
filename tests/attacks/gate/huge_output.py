"""Returns a text longer than any answer may be."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: too long a value is opaque.",
    program="""
def f(x):
    return "ab" * 60_000
""",
    reasons=("opaque", "output_too_long"),
)
