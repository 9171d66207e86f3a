"""Answers with a program that replaces the builtins with which its caller judges."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Wrong: nothing is judged where it runs.",
    task="induction",
    program="""
def f(x):
    return x * 3 + 1
""",
    inputs=("1", "2", "3", "4"),
    outputs=("4", "7", "10", "13"),
    shown=2,
    answer="""
import builtins

builtins.all = lambda things: True
builtins.repr = lambda thing: "13"
builtins.bool = lambda thing: True

def f(x):
    return 0
""",
    reasons=("wrong", "error", "opaque"),
)
