"""Answers with how deep it could recurse, which is the host's affair."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: nobody who is not told the limits could foresee it.",
    bare="accepted",
    program="""
def f(x):
    def down(n):
        try:
            return down(n + 1)
        except RecursionError:
            return n

    return down(0)
""",
    reasons=("banned", "nondeterministic"),
)
