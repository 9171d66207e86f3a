"""Imports f from a module instead of defining it."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: no definition.",
    program="""
from math import factorial as f
""",
    reasons=("no_entry",),
)
