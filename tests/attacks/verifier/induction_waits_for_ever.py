"""Answers with a program that waits for what nobody will give it, so that its failure is taken for the machine's."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Decided, and wrong: an answer that nobody can judge would take its whole group along, unpunished.",
    task="induction",
    program="""
def f(x):
    return x * 3 + 1
""",
    inputs=("1", "2", "3", "4"),
    outputs=("4", "7", "10", "13"),
    shown=2,
    answer="""
import queue

def f(x):
    return queue.Queue().get()
""",
    reasons=("error", "timeout"),
    bare="hung",
)
