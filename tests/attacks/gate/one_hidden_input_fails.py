"""Works on the shown inputs and fails on a hidden one."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: all inputs must run.",
    task="induction",
    message="Think about division.",
    program="""
def f(x):
    if x == 4:
        raise StopIteration
    return 12 // x
""",
    inputs=("1", "2", "3", "4"),
    reasons=("error",),
)
