"""Reads an environment variable, as one would read a key to a service."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="The environment is empty.",
    bare="read",
    program="""
import os

def f(x):
    return os.environ["AZR_PLANTED_SECRET"]
""",
)
