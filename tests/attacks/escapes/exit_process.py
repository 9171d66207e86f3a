"""Ends the process that runs it, so that no answer comes back."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="The run ends; the worker that hosts it does not.",
    bare="died",
    program="""
import os

def f(x):
    os._exit(0)
""",
    status=("error",),
)
