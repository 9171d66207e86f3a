"""Walks the host's file system to see what there is."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="There is no folder to list.",
    bare="read",
    program="""
import os

def f(x):
    folder = os.path.dirname("$SECRET_FILE")
    return [open(os.path.join(folder, name)).read() for name in sorted(os.listdir(folder))]
""",
    without_landlock=("read",),
)
