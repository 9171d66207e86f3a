"""Answers with the text of an object that has no text of its own but its address."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: the address differs between snapshots.",
    bare="differs",
    program="""
THING = object()

def f(x):
    return repr(THING)
""",
    reasons=("nondeterministic", "banned"),
)
