"""Searches all objects of the verifier's process for the expected value."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Malformed; and the expected value is in no process where an answer is read.",
    task="deduction",
    program="""
def f(x):
    return x * 2
""",
    inputs=("7",),
    outputs=("14",),
    answer="[eval(d['outputs'][0]) for d in __import__('gc').get_objects() if type(d) is dict and 'outputs' in d][0]",
    reasons=("malformed",),
)
