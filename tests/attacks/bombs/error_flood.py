"""Raises an error whose text has four million letters."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="The error is reported with its text cut.",
    bare="flooded",
    program="""
def f(x):
    raise ValueError("x" * 4_000_000)
""",
    error="ValueError",
)
