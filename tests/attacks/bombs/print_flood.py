"""Prints without end, into whatever reads its output."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="What it prints goes nowhere; fuel or memory runs out.",
    bare="flooded",
    program="""
def f(x):
    while True:
        print("x" * 10_000)
""",
    status=("timeout", "memory", "error"),
)
