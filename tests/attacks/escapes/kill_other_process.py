"""Kills another process of the same user."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="There is nobody to signal.",
    bare="killed",
    program="""
import os, time

def f(x):
    os.kill($VICTIM_PID, 9)
    time.sleep(0.1)
    return "killed"
""",
)
