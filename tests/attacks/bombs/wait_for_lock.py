"""Takes a lock twice, which waits for ever without using a single instruction."""

from sandbox_wasm.protocol import FUEL_PER_SECOND, Limits
from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="There is nobody to wait for: a decided end, for the program alone is to blame.",
    bare="hung",
    program="""
import threading

def f(x):
    lock = threading.Lock()
    lock.acquire()
    return lock.acquire()
""",
    status=("error",),
    error="ProcessExit: ",
    process_status=("timeout",),
    limits=Limits(fuel=FUEL_PER_SECOND // 10, wall_seconds=0.7),
)
