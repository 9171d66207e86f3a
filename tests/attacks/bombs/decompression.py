"""Unpacks a few kilobytes into a gigabyte."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="MemoryError inside the guest, or fuel runs out.",
    bare="memory",
    program="""
import zlib

def f(x):
    machine = zlib.compressobj(9)
    packed = b"".join(machine.compress(bytes(1 << 20)) for _ in range(40)) + machine.flush()
    return len(zlib.decompress(packed) * 30)
""",
    status=("memory", "error", "timeout"),
)
