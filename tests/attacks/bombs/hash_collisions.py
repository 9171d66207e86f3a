"""Fills a dict whose keys all have the same hash."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="Fuel runs out.",
    bare="hung",
    program="""
def f(x):
    found = 0
    for bits in (61, 31):  # hashes are taken modulo 2**61 - 1 on 64-bit machines, 2**31 - 1 on 32-bit ones
        found += len({n * ((1 << bits) - 1) + 7: n for n in range(100_000)})
    return found
""",
    status=("timeout",),
)
