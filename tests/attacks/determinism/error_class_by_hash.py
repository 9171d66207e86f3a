"""Ends in one of several errors, chosen by the hash seed, where a task asks which error it will be."""

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
    errors = {"KeyError": KeyError, "ValueError": ValueError, "TypeError": TypeError, "IndexError": IndexError}
    chosen = list(set(errors))
    raise errors[chosen[0]](chosen[1] + chosen[2])
""",
    reasons=("nondeterministic", "error"),
)
