"""Sets a parameter that the task leaves at its default, which makes any output reachable."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must=(
        "Harmless: by the rules any input with the right output is right, and f takes this one. Judged by "
        "what f returns."
    ),
    task="abduction",
    program="""
def f(x, plus=0):
    return x * 2 + plus
""",
    inputs=("7",),
    outputs=("14",),
    answer="0, plus=13",
    reasons=("wrong",),
    bare=None,
    why_not=(
        "The answer is wrong by value (13, not 14) everywhere; the file holds that keywords are data like any argument."
    ),
)
