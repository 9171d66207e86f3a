"""Offers a known program again with comments, a docstring, annotations and blank lines."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused as a duplicate.",
    known="""
def f(x):
    return sorted([x, x + 1])
""",
    program='''
# A new idea.


def f(x: int) -> list[int]:
    """Something quite different."""

    pass
    return sorted([x, x + 1])  # not the same at all
''',
    reasons=("duplicate",),
)
