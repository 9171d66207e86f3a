"""Returns a value of four million letters."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="Too long a value is opaque, never cut and never carried to the host.",
    bare="flooded",
    program="""
def f(x):
    return "x" * 4_000_000
""",
    status=("opaque",),
)
