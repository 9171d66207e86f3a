"""Raises an error whose class has a name of four million letters."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="The name is cut where it is written, and the rest of it never leaves the guest.",
    bare="flooded",
    program="""
def f(x):
    raise type("E" * 4_000_000, (Exception,), {})
""",
    status=("error",),
    error="E" * 100,
    process_status=("error", "memory"),
)
