"""Raises an error whose class has a name of four million letters."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="The host takes no such name: an error with its text cut, or a response it refuses.",
    bare="flooded",
    program="""
def f(x):
    raise type("E" * 4_000_000, (Exception,), {})
""",
    status=("error", "crashed", "opaque"),
)
