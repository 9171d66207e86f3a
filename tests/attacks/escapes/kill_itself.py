"""Kills the process that runs it."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="The run ends; the worker that hosts it does not.",
    bare="died",
    program="""
import os

def f(x):
    os.kill(os.getpid(), 9)
""",
)
