"""Runs a command with subprocess."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="There is no process to start.",
    bare="wrote",
    program="""
import subprocess

def f(x):
    return subprocess.run(["/bin/sh", "-c", "echo here > $MARKER"], check=True).returncode
""",
)
