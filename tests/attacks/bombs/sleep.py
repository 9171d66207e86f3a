"""Sleeps for months."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="Sleeping takes no time of the host, or is refused.",
    bare="hung",
    program="""
import time

def f(x):
    time.sleep(10**7)
    return 1
""",
    status=("ok", "error", "timeout"),
)
