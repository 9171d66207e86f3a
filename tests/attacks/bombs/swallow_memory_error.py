"""Takes all memory, again and again, catching the error."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="It is stopped by fuel, memory or its own error, and holds no more than its limit.",
    bare="hung",
    program="""
def f(x):
    kept = []
    while True:
        try:
            kept.append(bytearray(1 << 20))
        except MemoryError:
            kept.append(None)
            kept = kept[-1:]
""",
    status=("timeout", "memory"),
)
