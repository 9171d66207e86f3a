"""Answers with a program that makes the guest report more outcomes than there were inputs."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Never correct: the host expects as many outcomes as it gave inputs.",
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

ONE = '{"status":"ok","value":{"literal":"%d","exact":"%d","key":"%d","type_name":"int"}}'

def f(x):
    all_of_them = ",".join(ONE % (n, n, n) for n in (4, 7, 10, 13) * 20)
    for module in list(sys.modules.values()):
        if hasattr(module, "write_outcomes"):
            module._outcome = lambda *a: all_of_them
    return 0
""",
    reasons=("error",),
    bare=None,
    why_not="Bare exec has no such document; `induction_prints_result` is the same move against it.",
)
