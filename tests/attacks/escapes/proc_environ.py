"""Reads the environment of the process through /proc."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="There is no /proc.",
    bare="read",
    program="""
def f(x):
    return open("/proc/self/environ", "rb").read()
""",
)
