"""Defines f as a class, so that a call gives an object."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: no function, or an object that has no literal form.",
    program="""
class f(int):
    pass
""",
    reasons=("no_entry", "opaque"),
)
