"""Answers with a dict whose key cannot be hashed, which throws inside the reader."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Malformed: nothing else is disturbed.",
    task="deduction",
    program="""
def f(x):
    return {x: x}
""",
    inputs=("7",),
    outputs=("{7: 7}",),
    answer="{[7]: 7}",
    reasons=("malformed",),
    bare=None,
    why_not=(
        "The published verifier catches what eval throws here; in abduction the same answer ends the check, "
        "see `unhashable_argument`."
    ),
)
