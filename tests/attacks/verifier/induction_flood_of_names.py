"""Answers with a program of nine kilobytes whose names, written in full, take three megabytes."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Malformed: too large, and no failure of ours that would let it go unpunished.",
    task="induction",
    program="""
def f(x):
    return x * 3 + 1
""",
    inputs=("1", "2", "3", "4"),
    outputs=("4", "7", "10", "13"),
    shown=2,
    answer="import " + "a" * 4_000 + " as b\n\ndef f(x):\n" + "".join(f"    b.c{number}\n" for number in range(700)),
    reasons=("malformed:too_large",),
    bare=None,
    why_not="Bare exec takes no facts of a program.",
)
