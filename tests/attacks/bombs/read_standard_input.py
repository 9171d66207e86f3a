"""Waits for somebody to type."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="Standard input is empty: an error at once.",
    bare=None,
    why_not=(
        "The disposable child gets its standard input from a file, which ends; `escapes/steal_next_job` shows"
        " what is behind it."
    ),
    program="""
def f(x):
    return input()
""",
    error="EOFError",
)
