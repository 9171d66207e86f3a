"""Replaces f while it is being defined."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Harmless: what is judged is what runs.",
    program="""
def swap(function):
    return lambda x: "something else"

@swap
def f(x):
    return x
""",
    reasons=("accepted", "no_entry"),
    outputs=("'something else'",),
)
