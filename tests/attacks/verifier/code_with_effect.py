"""Answers with a command."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Malformed, and nothing of it runs.",
    task="deduction",
    program="""
def f(x):
    return x * 2
""",
    inputs=("7",),
    outputs=("0",),
    answer="__import__('os').system('echo here > $MARKER')",
    reasons=("malformed",),
    bare="wrote",
)
