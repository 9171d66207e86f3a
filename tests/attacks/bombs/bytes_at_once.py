"""Asks for 4 GB of zeros, which the kernel would hand out lazily."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="MemoryError inside the guest.",
    bare="memory",
    program="""
def f(x):
    return len(bytes(1 << 32))
""",
    status=("memory", "error"),
)
