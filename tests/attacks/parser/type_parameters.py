"""Declares hundreds of type parameters with bounds."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Read or refused; the interpreter survives or is replaced.",
    text="def f[" + ", ".join(f"T{k}: int" for k in range(800)) + "](x):\n    return x",
    inspect=("", "syntax", "too_deep", "too_large"),
    run=("ok", "error", "timeout", "memory"),
    value="1",
    bare=None,
    why_not=("Python 3.11 has no such syntax; from 3.12 on each bound is a scope of its own, and the guest is newer."),
)
