"""Finds os.system from a bare tuple, without any import or builtin."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="Whatever it finds can start nothing.",
    bare="wrote",
    program="""
def f(x):
    for cls in ().__class__.__base__.__subclasses__():
        if cls.__name__ == "_wrap_close":
            return cls.__init__.__globals__["system"]("echo here > $MARKER")
    raise LookupError("no way out")
""",
)
