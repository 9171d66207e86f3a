"""Answers with a text that holds an address."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: the address differs from one interpreter to the next.",
    bare="differs",
    program="""
class Point:
    pass

def f(x):
    return str(Point())
""",
    reasons=("nondeterministic",),
)
