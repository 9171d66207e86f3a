"""Shows one function under the name of f and puts another in its place."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused, or harmless: what is judged is what runs, in the gate as in the verifier.",
    program="""
def f(x):
    return x + 1

def g(x):
    return x * 100

f = g
""",
    reasons=("accepted", "no_entry"),
    outputs=("300",),
)
