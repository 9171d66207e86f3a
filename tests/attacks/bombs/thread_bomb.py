"""Starts threads that never end, so that the process cannot end either."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="There are no threads.",
    bare="hung",
    program="""
import threading, time

def f(x):
    for _ in range(50):
        threading.Thread(target=time.sleep, args=(1000,)).start()
    return 1
""",
    status=("error",),
)
