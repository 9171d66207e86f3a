"""Divides with millions of digits, inside one call of C code."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="Fuel runs out inside the call, or memory does.",
    bare="hung",
    program="""
import decimal

def f(x):
    with decimal.localcontext(prec=1_000_000):
        return str(decimal.Decimal(7).ln())[:3]
""",
    status=("timeout", "memory", "error"),
)
