"""Loads a module of the host by its path."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="There is no file to load.",
    bare="read",
    program="""
import importlib.util

def f(x):
    spec = importlib.util.spec_from_file_location("planted_module", "$MODULE_FILE")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.SECRET
""",
    without_landlock=("read",),
)
