"""What a proposed program may not use, each with its reason.

A program of the game must be a function of its input alone. What reaches outside (files, processes, threads, the
interpreter) or draws on something other than the input (clocks, chance, identity, hash values) is refused by name
before it runs, because the name says more to a proposer than `nondeterministic` does. The names are no security
boundary, the sandbox is; and whatever they miss, the gate's runs under other seeds and clocks catch.

      Facts.modules  `import os.path`      ──► a banned module, or one inside it
      Facts.names    `os.system`, `eval`   ──► a banned builtin, a module inside a module, a banned attribute
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from sandbox_wasm.protocol import Facts

_OUTSIDE = "reaches outside the program"
_PROCESS = "starts or reaches other processes and threads"
_CHANCE = "draws on chance"
_CLOCK = "reads a clock"
_INTERPRETER = "looks into or alters the interpreter"
_CODE = "runs text as code"
_IDENTITY = "differs from one interpreter to the next"
_DIGEST = "cannot be followed by reasoning"
_PRINTS = "writes instead of returning"
_LIMITS = "hangs on the interpreter's limits"


def _each(names: str, reason: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), reason)


#: Modules, with all they contain.
MODULES: dict[str, str] = {
    **_each("os posix posixpath ntpath nt pathlib shutil tempfile glob fileinput io _io zipfile tarfile", _OUTSIDE),
    **_each("socket ssl select selectors http urllib ftplib smtplib socketserver xmlrpc webbrowser requests", _OUTSIDE),
    **_each("sqlite3 dbm shelve mmap pickle marshal", _OUTSIDE),
    **_each("subprocess multiprocessing threading _thread concurrent asyncio signal pebble sched", _PROCESS),
    **_each("random secrets uuid _random", _CHANCE),
    **_each("time datetime calendar _datetime _strptime zoneinfo", _CLOCK),
    **_each("sys builtins gc inspect ctypes _ctypes importlib imp pkgutil runpy site types atexit", _INTERPRETER),
    **_each("weakref tracemalloc traceback linecache dis opcode faulthandler resource platform", _INTERPRETER),
    **_each("code codeop ast symtable tokenize", _CODE),
    **_each("hashlib hmac bcrypt crypt _hashlib", _DIGEST),
    **_each("logging warnings pdb", _PRINTS),
}

#: Builtins that may not even be named.
BUILTINS: dict[str, str] = {
    **_each("open breakpoint", _OUTSIDE),
    **_each("eval exec compile __import__", _CODE),
    **_each("globals locals vars __builtins__ __loader__ __spec__ __file__", _INTERPRETER),
    **_each("id hash", _IDENTITY),
    **_each("exit quit help", _OUTSIDE),
    **_each("RecursionError MemoryError", _LIMITS),
}

#: Attributes that may not be named on anything: the ways from a harmless object to the interpreter.
ATTRIBUTES: dict[str, str] = {
    **_each("__globals__ __builtins__ __code__ __closure__ __subclasses__ __bases__ __mro__ __import__", _INTERPRETER),
    **_each("__getattribute__ __reduce__ __reduce_ex__ __loader__ __spec__ __traceback__ __self__", _INTERPRETER),
    **_each("f_back f_globals f_locals f_builtins gi_frame gi_code cr_frame ag_frame tb_frame tb_next", _INTERPRETER),
    **_each("_getframe _os _sys", _INTERPRETER),
    **_each("__hash__", _IDENTITY),
}


class Banned(msgspec.Struct, frozen=True):
    """The lists in force; a run's configuration may replace any of them."""

    modules: Mapping[str, str] = msgspec.field(default_factory=lambda: dict(MODULES))
    builtins: Mapping[str, str] = msgspec.field(default_factory=lambda: dict(BUILTINS))
    attributes: Mapping[str, str] = msgspec.field(default_factory=lambda: dict(ATTRIBUTES))

    def first_use(self, facts: Facts) -> str | None:
        """The first banned thing a program uses, with the reason, or None."""
        imported = set()
        for module in facts.modules:
            parts = module.split(".")
            imported.add(parts[0])
            # Every part counts: `from statistics import random` reaches a banned module through a harmless one.
            for part in parts:
                if part in self.modules:
                    return f"{module}: {self.modules[part]}"
        # An attribute is reported by itself as well: `compile` beside `re.compile` is no use of the builtin.
        attributes = {name.rpartition(".")[2] for name in facts.names if "." in name}
        for name in facts.names:
            first, *rest = name.split(".")
            if first in self.builtins and (rest or first not in attributes):
                return f"{name}: {self.builtins[first]}"
            for part in (first, *rest):
                if part in self.attributes:
                    return f"{name}: {self.attributes[part]}"
            if first in imported and rest and rest[0] in self.modules:
                return f"{name}: {self.modules[rest[0]]}"
        return None
