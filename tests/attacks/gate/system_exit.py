"""Leaves with exit status 0, as if all were well."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: leaving is not returning.",
    program="""
def f(x):
    raise SystemExit(0)
""",
    reasons=("error",),
)
