"""Names a builtin in letters that Python folds into the usual ones, past any list of names."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Malformed: no name but those of data.",
    task="deduction",
    program="""
def f(x):
    return x * 2
""",
    inputs=("7",),
    outputs=("14",),
    answer="\uff45\uff56\uff41\uff4c('7*2')",
    reasons=("malformed",),
)
