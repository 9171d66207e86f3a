"""Hides the dependence: mostly 1, and now and then 2, by one bit of a string's hash."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must=(
        "Refused when the snapshots' seeds tell; where they all agree it is accepted, with one value. Eight "
        "bits make that rare."
    ),
    bare="differs",
    program="""
def f(x):
    return sum((hash(letter) >> 7 & 1) << k for k, letter in enumerate("abcdefgh"))
""",
    reasons=("nondeterministic", "banned"),
)
