"""Runs a command while a pickle is read."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="The pickle can name only what the guest has, which can start nothing.",
    bare="wrote",
    program="""
import pickle

def f(x):
    return pickle.loads(b"cposix\\nsystem\\n(S'echo here > $MARKER'\\ntR.")
""",
)
