"""Returns a list nested so deeply that writing it down fails after the call had succeeded."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="It is opaque, or an error of that run alone.",
    bare="died",
    program="""
def f(x):
    for _ in range(100_000):
        x = [x]
    return x
""",
    status=("opaque", "error"),
    why_not="",
)
