"""Takes and gives back memory for ever, so that the kernel works and the guest hardly does."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="Fuel or the wall clock stops it; the answer is never a wrong value.",
    bare="hung",
    program="""
def f(x):
    while True:
        bytearray(100 << 20)
""",
    status=("timeout", "memory", "error"),
)
