"""Leaves a process behind that outlives the call and its session."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="There is no fork.",
    bare="wrote",
    program="""
import os, time

def f(x):
    if os.fork() == 0:
        os.setsid()
        time.sleep(0.1)
        with open("$MARKER", "w") as marker:
            marker.write("still here")
        os._exit(0)
    return 1
""",
)
