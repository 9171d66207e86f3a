"""Recurses without end and catches every RecursionError: 2 to the depth calls."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="Fuel runs out.",
    bare="hung",
    program="""
def f(x):
    try:
        f(x)
    except RecursionError:
        pass
    try:
        f(x)
    except RecursionError:
        pass
""",
    status=("timeout", "error"),
)
