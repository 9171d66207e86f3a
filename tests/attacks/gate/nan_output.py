"""Returns a nan, which equals nothing, so that every answer is wrong by Python's equality."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Harmless: nan equals nan where answers are judged. Accepted with a literal that reads back, or refused.",
    bare="differs",
    program="""
def f(x):
    return float("nan")
""",
    reasons=("accepted", "round_trip", "opaque"),
    outputs=("nan",),
)
