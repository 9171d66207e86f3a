"""Lowers the precision of decimals."""

from tests.attacks.corpus import LeakAttack

ATTACK = LeakAttack(
    must="The next program has the usual precision.",
    clean="'0.1428571428571428571428571429'",
    first="""
import decimal

def f(x):
    decimal.getcontext().prec = 2
    decimal.DefaultContext.prec = 2
    return 1
""",
    then="""
import decimal

def f(x):
    return str(decimal.Decimal(1) / 7)
""",
)
