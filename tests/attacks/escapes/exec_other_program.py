"""Replaces the process that runs it by a shell."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="There is no program to become.",
    bare="wrote",
    program="""
import os

def f(x):
    os.execv("/bin/sh", ["sh", "-c", "echo here > $MARKER"])
""",
)
