"""Nests to just under CPython's own limit, where a smaller stack than it expects overflows."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Read or refused; the interpreter that reads it survives, or is replaced.",
    text="def f(x):\n    return " + "[" * 190 + "x" + "]" * 190,
    inspect=("", "too_deep"),
    run=("opaque", "error", "memory"),
    bare=None,
    why_not=("It is within CPython's limits on a machine's ordinary stack of 8 MiB; the WebAssembly stack is smaller."),
)
