"""Returns a list that holds itself, shared many times over: writing it down doubles at each level."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="It is opaque: the size of the text is bounded, not only that of the value.",
    bare="hung",
    program="""
def f(x):
    for _ in range(60):
        x = [x, x]
    return x
""",
    status=("opaque", "timeout", "memory"),
)
