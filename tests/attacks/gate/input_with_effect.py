"""Puts a command into the input."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: an input is literals; nothing of it runs.",
    bare="wrote",
    program="""
def f(x):
    return 1
""",
    inputs=("__import__('os').system('echo here > $MARKER')",),
    reasons=("input_not_literal",),
)
