"""Compiles a text of three million statements."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="MemoryError inside the guest, or fuel runs out.",
    bare="memory",
    program="""
def f(x):
    exec("a = 1\\n" * 3_000_000)
""",
    status=("timeout", "memory", "error"),
)
