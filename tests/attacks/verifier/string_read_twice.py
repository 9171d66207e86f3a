"""Answers with a string whose text means the same when it is evaluated once more."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Wrong: strings are compared letter by letter.",
    task="deduction",
    program="""
def f(x):
    return str(x)
""",
    inputs=("1",),
    outputs=("'1'",),
    answer="'1 '",
    reasons=("wrong",),
)
