"""Puts a statement of its own on a second line, after a complete answer."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Malformed: one literal and nothing else.",
    task="deduction",
    program="""
def f(x):
    return x * 2
""",
    inputs=("7",),
    outputs=("14",),
    answer="13\nor True",
    reasons=("malformed",),
    bare=None,
    why_not=(
        "Pasted into one expression, a second line is a syntax error there too; a reader that takes the last "
        "line would fall for it."
    ),
)
