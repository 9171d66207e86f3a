"""Waits in a call of the host, where no instruction is counted."""

from sandbox_wasm.protocol import FUEL_PER_SECOND, Limits
from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="Nothing in the guest can wait on the host: it returns at once or is stopped.",
    bare="hung",
    program="""
import select

def f(x):
    return select.select([], [], [], 1000)
""",
    status=("error", "ok", "timeout"),
    limits=Limits(fuel=FUEL_PER_SECOND // 10, wall_seconds=0.7),
)
