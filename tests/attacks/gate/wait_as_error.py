"""Proposes a wait for what nobody will give as an error to be foreseen."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="No error task: nothing is raised, the interpreter is left.",
    task="error",
    program="""
import queue

def f(x):
    return queue.Queue().get()
""",
    reasons=("environment_error", "timeout"),
    bare="hung",
)
