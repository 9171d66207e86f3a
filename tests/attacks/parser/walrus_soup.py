"""Names every step of a long nest of expressions."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Read or refused; the interpreter survives or is replaced.",
    text="def f(x):\n    return " + "".join(f"(a{k} := x + " for k in range(150)) + "0" + ")" * 150,
    inspect=("", "too_deep"),
    run=("ok", "error", "memory"),
    bare=None,
    why_not="It is within CPython's limits on a machine's ordinary stack.",
)
