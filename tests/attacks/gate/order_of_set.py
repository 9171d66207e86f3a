"""Answers with the order of a set."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: the order differs from one interpreter to the next.",
    bare="differs",
    program="""
def f(x):
    return list(set("abcdefgh" * x))
""",
    reasons=("nondeterministic",),
)
