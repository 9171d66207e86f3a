"""Ends in one of some fifty errors, chosen by the hash seed, where a task asks which error it will be."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: the endings differ between snapshots.",
    task="error",
    bare=None,
    why_not=(
        "The usual check refuses any error by its name, so there is nothing to let in; the choice itself is "
        "that of `determinism/first_of_set`."
    ),
    program="""
def f(x):
    import builtins
    errors = {name for name in dir(builtins) if name.endswith("Error") and not name.startswith("Unicode")}
    raise getattr(builtins, next(iter(errors)))(x)
""",
    reasons=("nondeterministic", "error"),
)
