"""Answers with a nan inside a list, twice the same object, which a list's equality takes for equal."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Malformed: a call of its own making is no literal.",
    task="deduction",
    program="""
def f(x):
    return [x]
""",
    inputs=("7",),
    outputs=("[7]",),
    answer="[float('nan')] if 0 else type('L', (list,), {'__eq__': lambda s, o: True})()",
    reasons=("malformed",),
)
