"""Answers with the text of a lambda, which holds its address."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: the address differs between snapshots.",
    bare="differs",
    program="""
rule = lambda n: n

def f(x):
    return str(rule)[-8:]
""",
    reasons=("nondeterministic", "banned"),
)
