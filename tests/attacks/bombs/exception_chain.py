"""Raises errors from errors until memory is gone, catching each."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="Fuel or memory runs out.",
    bare="hung",
    program="""
def f(x):
    last = ValueError("first")
    while True:
        try:
            raise ValueError("next") from last
        except ValueError as error:
            last = error
""",
    status=("timeout", "memory", "error"),
)
