"""Writes a branch with four thousand alternatives: each lies inside the one before it."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Refused as too deep.",
    text="def f(x):\n    if x == 0: return 0\n" + "".join(f"    elif x=={k}: 0\n" for k in range(4_000)),
    inspect=("too_deep", "too_large"),
    run=("ok", "error", "memory", "timeout"),
    reader="compile",
    literal=("refused", "opaque"),
)
