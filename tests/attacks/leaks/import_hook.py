"""Installs an import hook that answers for modules of the next program."""

from tests.attacks.corpus import LeakAttack

ATTACK = LeakAttack(
    must="The next program's imports are its own.",
    clean="'ModuleNotFoundError'",
    first="""
import sys, types, importlib.machinery

class Hook:
    def find_spec(self, name, path=None, target=None):
        return importlib.machinery.ModuleSpec(name, self) if name == "no_such_module" else None

    def create_module(self, spec):
        return types.ModuleType(spec.name)

    def exec_module(self, module):
        pass

def f(x):
    sys.meta_path.insert(0, Hook())
    return 1
""",
    then="""
def f(x):
    try:
        import no_such_module
    except ImportError as error:
        return type(error).__name__
    return "imported"
""",
)
