"""Forks children that fork children."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="There is no fork.",
    bare="wrote",
    program="""
import os

def f(x):
    for _ in range(3):  # a real bomb has no bound; three levels show that nothing stopped it
        if os.fork() == 0:
            open("$MARKER", "w").close()
    if os.getpid() != os.getsid(0):
        os._exit(0)
    return 1
""",
)
