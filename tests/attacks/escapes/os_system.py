"""Runs a shell command with os.system."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="There is no process to start.",
    bare="wrote",
    program="""
import os

def f(x):
    return os.system("echo here > $MARKER")
""",
)
