"""Ends in one of two dozen errors, chosen by the hash seed, where a task asks which error it will be."""

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
    classes = [
        KeyError, ValueError, TypeError, IndexError, ArithmeticError, AssertionError, AttributeError, BufferError,
        EOFError, ImportError, LookupError, NameError, NotImplementedError, OSError, OverflowError, ReferenceError,
        RuntimeError, SyntaxError, SystemError, TabError, TimeoutError, ZeroDivisionError, FileExistsError, IOError,
    ]
    first = next(iter({"error" + str(number) for number in range(len(classes))}))
    raise classes[int(first[5:])](x)
""",
    reasons=("nondeterministic", "error"),
)
