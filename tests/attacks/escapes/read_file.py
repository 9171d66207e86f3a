"""Reads a file of the host with open()."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="There is no file to open: an error inside the program, nothing read.",
    bare="read",
    program="""
def f(x):
    return open("$SECRET_FILE").read()
""",
    without_landlock=("read",),
)
