"""Answers with a program that has the guest respond with a document nested a hundred thousand times."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Never correct, and the worker that reads it lives on.",
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
    for module in list(sys.modules.values()):
        if hasattr(module, "write_outcomes"):
            module._outcome = lambda *a: '],"else":' + "[" * 100_000 + "]" * 99_999
    return 0
""",
    reasons=("error",),
    bare=None,
    why_not="Bare exec has no such document; `parser/nested_parentheses` is the same move against a parser.",
)
