"""Runs one program on one input and says how it ended. Called by `handle`; the program is as hostile as it likes.

    program ─ compile_program ─► code ─► exec in a fresh module ─► entry(*arguments) ─► values.describe ─► outcome

Whatever the program raises, SystemExit and exceptions of its own making included, becomes an `error` outcome whose text
is `Type: message`. Names of builtins used after the program has run are captured before it.
"""

from __future__ import annotations

import base64
import marshal
import sys
import types
from typing import Any

from . import literals, values, world
from .wire import Outcome

#: Module name a program runs under. Not `__main__`: what stands under `if __name__ == "__main__"` is no part of f.
PROGRAM_NAME = "program"

#: Longest message of an exception that is passed on.
MAX_MESSAGE = 300

#: Frames the harness allows itself once the program has ended.
_OWN_FRAMES = 1000

_BaseException, _MemoryError, _isinstance, _str, _type = BaseException, MemoryError, isinstance, str, type
_OpaqueError = values.OpaqueError
_describe = values.describe
_setrecursionlimit, _settrace, _setprofile = sys.setrecursionlimit, sys.settrace, sys.setprofile
_setitem = dict.__setitem__
_name_of = values.name_of
_join = "".join


def compile_program(program: str) -> Any:
    """The program's code object, to be run any number of times. Raises what compiling raises."""
    return compile(program, "<program>", "exec", 0, True)


def marshalled(program: str) -> str:
    """The program's code as text for other instances of this very guest; empty if it does not compile."""
    try:
        return base64.b64encode(marshal.dumps(compile_program(program))).decode()
    except Exception:
        return ""


def unmarshalled(text: str) -> Any:
    """The code that `marshalled` wrote."""
    return marshal.loads(base64.b64decode(text))


def run(
    program: str,
    code: Any,
    arguments: str,
    entry: str,
    output_bytes: int,
    recursion: int,
    random_seed: int,
    clock: float,
) -> Outcome:
    """Run `entry(arguments)` of a program, given as text or as code, in a fresh module."""
    try:
        positional, named = literals.read_arguments(arguments)
    except literals.RefusedError as refusal:
        return "refused", None, refusal.args[0]
    module = types.ModuleType(PROGRAM_NAME)
    namespace = module.__dict__
    _setitem(sys.modules, PROGRAM_NAME, module)
    world.reset(random_seed, clock, recursion)
    failure = result = None
    try:
        if code is None:
            code = compile_program(program)
        world.limit_recursion()
        exec(code, namespace)
        result = namespace[entry](*positional, **named) if entry in namespace else _missing(entry)
    except _BaseException as error:
        failure = error
    # The interpreter is taken back before any function is called here: hooks of the program's would be called too, and
    # one that raises is unset by that.
    try:  # noqa: SIM105  suppress() is a function
        _setprofile(None)
    except _BaseException:
        pass
    _settrace(None)
    _setrecursionlimit(_OWN_FRAMES)
    if failure is not None:
        return "memory" if _isinstance(failure, _MemoryError) else "error", None, _error_text(failure)
    return _after(result, output_bytes)


def _missing(entry: str) -> Any:
    raise NameError(f"name '{entry}' is not defined")


def _after(result: Any, output_bytes: int) -> Outcome:
    """What comes after a run that returned: its value as text."""
    try:
        return "ok", _describe(result, output_bytes), ""
    except _OpaqueError as reason:
        return "opaque", None, reason.args[0]
    except _MemoryError:
        return "memory", None, "MemoryError: while its value was written"
    except _BaseException as error:
        return "opaque", None, "no literal form: " + _error_text(error)


def _error_text(error: BaseException) -> str:
    """`Type: message`; the message is asked of user code, which may do anything but keep us from answering."""
    name = _name_of(_type(error))
    try:
        message: str = _join([_str(error)])[:MAX_MESSAGE]
    except _BaseException:
        message = "(its message cannot be shown)"
    return name + ": " + message if message else name
