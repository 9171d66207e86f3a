"""Answers with a program that reaches into the guest's harness and has it report that the run is to be repeated."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Never `retry`: the words of the host are not the guest's to say.",
    task="induction",
    program="""
def f(x):
    return x * 3 + 1
""",
    inputs=("1", "2", "3", "4"),
    outputs=("4", "7", "10", "13"),
    shown=2,
    answer="""
import sys

def f(x):
    harness = sys._getframe(1).f_globals
    for name, thing in list(harness.items()):
        if type(thing) is type(f) and thing.__module__ == harness["__name__"]:
            harness[name] = lambda *a: ("retry", None, "the machine was busy")
    return 0
""",
    reasons=("error",),
    bare=None,
    why_not="Bare exec has no such word; `induction_patches_builtins` is the same move against it.",
)
