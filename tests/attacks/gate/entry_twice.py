"""Defines f twice, the first time for whoever looks for the first one."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Harmless: the last definition is the one that is read and the one that runs.",
    program="""
def f(x):
    return x

def f(x):
    return x + 10
""",
    reasons=("accepted",),
    outputs=("13",),
)
