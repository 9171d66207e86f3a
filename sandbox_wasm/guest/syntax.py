"""Facts of a program's syntax: imports, names, functions, calls, normal form and complexity. Runs nothing.

Called for inspect jobs. `facts` answers with the document of `protocol.Facts` or raises `NotAProgramError` with a
machine-readable reason; it raises nothing else, whatever the text.

    program ──► size, null, surrogate ──► ast.parse ──┬─► Survey: imports, names, functions, classes
                                                      ├─► calls of the entry
                                                      ├─► normal_form.normalise: digest and tokens
                                                      └─► complexity: cyclomatic, cognitive, Halstead
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from . import complexity, normal_form, signature

#: Statements whose inside belongs to the scope around them.
_BLOCKS = (ast.If, ast.Try, ast.TryStar, ast.ExceptHandler, ast.With, ast.For, ast.While)

#: Longer programs are not looked at: ten times what a proposer's response can hold.
MAX_PROGRAM = 64 << 10


class NotAProgramError(Exception):
    """There are no facts; `args` are a machine-readable reason and a detail for people."""


def facts(program: str, entry: str) -> dict[str, Any]:
    """The document of `protocol.Facts`. Raises `NotAProgramError` and nothing else."""
    tree = _parse(program)
    try:
        return _facts(program, tree, entry)
    except (RecursionError, MemoryError):
        raise NotAProgramError("too_deep", "the syntax tree is too deep to walk") from None


def _parse(program: str) -> ast.Module:
    if len(program) > MAX_PROGRAM:
        raise NotAProgramError("too_large", f"more than {MAX_PROGRAM} characters")
    if "\0" in program:
        raise NotAProgramError("null_byte", "a program cannot hold null bytes")
    try:
        program.encode()
    except UnicodeEncodeError as error:
        raise NotAProgramError("surrogate", f"a lone surrogate at character {error.start}") from None
    try:
        return ast.parse(program)
    except (RecursionError, MemoryError):
        raise NotAProgramError("too_deep", "nested too deeply for the parser") from None
    except SyntaxError as error:
        message = str(error.msg)
        reason = "too_deep" if "too many" in message and ("nested" in message or "indentation" in message) else "syntax"
        raise NotAProgramError(reason, f"{message[:200]} (line {error.lineno})") from None
    except ValueError as error:
        raise NotAProgramError("syntax", str(error)[:200]) from None


def _facts(program: str, tree: ast.Module, entry: str) -> dict[str, Any]:
    function = _entry(tree, entry)
    survey = _Survey(tree)
    digest, tokens = normal_form.normalise(tree, entry)
    volume, effort = complexity.halstead(tree)
    return {
        "parameters": _parameters(function),
        "modules": sorted(survey.modules),
        "names": sorted(survey.names),
        "functions": [node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))],
        "classes": [node.name for node in tree.body if isinstance(node, ast.ClassDef)],
        "calls": _calls(function),
        "normal_form": digest,
        "tokens": tokens,
        "lines": sum(1 for line in program.splitlines() if line.strip()),
        "cyclomatic": complexity.cyclomatic(tree),
        "cognitive": complexity.cognitive(tree),
        "halstead_effort": effort,
        "halstead_volume": volume,
        "signature": _signature(tree, function, entry),
    }


def _entry(tree: ast.Module, entry: str) -> Any:
    """The last definition of the entry at module level: a function, or a name assigned a lambda."""
    found: Any = None
    for node in _module_level(tree.body):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == entry:
            found = node
        elif isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.Lambda):
            found = node.value if _assigns(node, entry) else found
    if found is None:
        raise NotAProgramError("no_entry", f"no function named {entry}")
    return found


def _assigns(node: ast.Assign | ast.AnnAssign, name: str) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return any(isinstance(target, ast.Name) and target.id == name for target in targets)


def _module_level(body: list[Any]) -> list[Any]:
    """Statements that run in the module's scope, those under if, try and with included."""
    statements: list[Any] = []
    for node in body:
        statements.append(node)
        if isinstance(node, _BLOCKS):
            for part in ("body", "handlers", "orelse", "finalbody"):
                statements.extend(_module_level(getattr(node, part, [])))
    return statements


def _parameters(function: Any) -> int:
    arguments = function.args
    named = len(arguments.posonlyargs) + len(arguments.args) + len(arguments.kwonlyargs)
    return named + (arguments.vararg is not None) + (arguments.kwarg is not None)


def _signature(tree: ast.Module, function: Any, entry: str) -> str:
    """What calls of the entry are bound to; empty where something else than this function may be called by its name."""
    bindings = _bindings(tree.body, entry, is_module=True)
    return "" if bindings != 1 or getattr(function, "decorator_list", []) else signature.written(function)


def _bindings(body: Sequence[ast.AST], name: str, *, is_module: bool) -> int:
    """How often a scope and those inside it bind the module's name.

    A local variable, a loop's in a function or an attribute that happens to have the name binds another one.
    """
    own = inside = 0
    waiting = list(body)
    while waiting:
        node = waiting.pop()
        children = list(ast.iter_child_nodes(node))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            own += node.name == name
            inside += _bindings(node.body, name, is_module=False)
            children = [child for child in children if not isinstance(child, ast.stmt)]  # defaults may bind by `:=`
        elif isinstance(node, ast.Lambda):
            children = [node.args]
        elif isinstance(node, ast.comprehension):
            children.remove(node.target)
        elif isinstance(node, ast.Name):
            own += node.id == name and not isinstance(node.ctx, ast.Load)
        elif isinstance(node, ast.alias):
            own += (node.asname or node.name.partition(".")[0]) in (name, "*")
        elif isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)):
            own += node.name == name
        elif isinstance(node, ast.MatchMapping):
            own += node.rest == name
        elif isinstance(node, ast.Global):
            is_module = is_module or name in node.names
        waiting.extend(children)
    return inside + (own if is_module else 0)


def _calls(function: Any) -> list[str]:
    """Names the entry calls with something of its own scope among the arguments, sorted."""
    own = {node.arg for node in ast.walk(function) if isinstance(node, ast.arg)}
    own |= {node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    called = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            given = [*node.args, *[keyword.value for keyword in node.keywords]]
            if any(isinstance(part, ast.Name) and part.id in own for value in given for part in ast.walk(value)):
                called.add(node.func.id)
    return sorted(called)


class _Survey:
    """Modules and dotted names of a tree, with names that imports gave resolved to what they stand for."""

    def __init__(self, tree: ast.Module) -> None:
        self.modules: set[str] = set()
        self.names: set[str] = set()
        self._stands_for: dict[str, str] = {}
        nodes = list(ast.walk(tree))
        for node in nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    self._import(alias.name)
                    if alias.asname:
                        self._stands_for[alias.asname] = alias.name
            elif isinstance(node, ast.ImportFrom):
                module = "." * node.level + (node.module or "")
                self._import(module)
                for alias in node.names:
                    self._add(module + "." + alias.name)
                    self._stands_for[alias.asname or alias.name] = module + "." + alias.name
        for node in nodes:
            if isinstance(node, ast.Name):
                self._add(node.id)
            elif isinstance(node, ast.Attribute):
                self._attribute(node)
            elif isinstance(node, ast.Call):
                self._imported_by_call(node)
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                self.names.add(node.name)

    def _import(self, module: str) -> None:
        self.modules.add(module)
        self._add(module)

    def _add(self, dotted: str) -> None:
        """A dotted name with all its beginnings, as written and as what its first part stands for."""
        first, _, rest = dotted.partition(".")
        for name in {dotted, self._stands_for.get(first, first) + ("." + rest if rest else "")}:
            parts = name.split(".")
            self.names.update(".".join(parts[:length]) for length in range(1, len(parts) + 1) if parts[length - 1])

    def _attribute(self, node: ast.Attribute) -> None:
        self.names.add(node.attr)
        parts = [node.attr]
        inner: ast.expr = node.value
        while isinstance(inner, ast.Attribute):
            parts.append(inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name) and len(parts) <= 8:
            self._add(".".join([inner.id, *reversed(parts)]))

    def _imported_by_call(self, node: ast.Call) -> None:
        """`__import__('x')` and `import_module('x')` with a constant count as imports."""
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        if name in ("__import__", "import_module") and node.args and isinstance(node.args[0], ast.Constant):
            module = node.args[0].value
            if isinstance(module, str) and module.isascii():
                self._import(module)
