"""The normal form of a program: equal for programs that differ in layout, comments, docstrings, annotations and names.

Called by `syntax`. Every name the program binds itself (parameters, variables, functions, classes, import aliases) is
replaced by the order in which it is first met in its scope; the entry, builtins, attributes, keywords and constants
keep theirs. A parameter that is only ever named, or has the name of a keyword in some call, keeps its own beside its
number: calls would not show else which one they name. The tree is then written out as a list of words, unambiguous
because lists carry their lengths; the digest of that is the normal form, and the kinds of the nodes in order are the
tokens for edit distances.

In a class with a decorator or a base an annotated name stays where it stands, though its annotation goes: of a
dataclass or a NamedTuple it is a field, and fields take their arguments in order.
"""

from __future__ import annotations

import ast
import hashlib
from typing import Any

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_SCOPES = (*_FUNCTIONS, ast.ClassDef, *_COMPREHENSIONS)

#: Fields that do not bear on what a program does.
_IGNORED = frozenset({"annotation", "returns", "type_comment", "type_params", "ctx", "kind", "type_ignores"})


def normalise(tree: ast.Module, entry: str) -> tuple[str, list[str]]:
    """Digest of the normal form, and the kinds of its nodes in order."""
    writer = _Writer(tree, entry)
    digest = hashlib.blake2b("\x1f".join(writer.words).encode("utf-8", "backslashreplace"), digest_size=16).hexdigest()
    return digest, writer.tokens


class _Writer:
    def __init__(self, tree: ast.Module, entry: str) -> None:
        self.words: list[str] = []
        self.tokens: list[str] = []
        self._met = 0
        self._keywords = {node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword)}
        self._has_fields = False
        scope: dict[str, str] = dict.fromkeys(_bound(tree.body), "")
        if entry in scope:
            scope[entry] = entry
        self._scopes = [scope]
        self._statements(tree.body)

    def _name(self, name: str) -> str:
        """What the name is called in the normal form: its number where the program binds it, else itself."""
        for scope in reversed(self._scopes):
            canonical = scope.get(name)
            if canonical is not None:
                if not canonical:
                    self._met += 1
                    canonical = scope[name] = f"\x02{self._met}"
                return canonical
        return name

    def _statements(self, body: list[ast.stmt]) -> None:
        kept = [statement for statement in body if not _idle(statement, self._has_fields)]
        self.words.append(str(len(kept)))
        for statement in kept:
            self._node(statement)

    def _node(self, node: ast.AST) -> None:
        if isinstance(node, ast.AnnAssign) and node.value is not None and not self._has_fields:
            node = ast.Assign(targets=[node.target], value=node.value)
        kind = type(node).__name__
        self.words.append(kind)
        self.tokens.append(kind)
        if isinstance(node, ast.Name):
            self.words.append(self._name(node.id))
        elif isinstance(node, ast.Constant):
            self.words.append(f"{type(node.value).__name__}:{_constant(node.value)}")
        elif isinstance(node, _SCOPES):
            self._scope(node)
        else:
            self._fields(node)

    def _fields(self, node: ast.AST, skip: tuple[str, ...] = ()) -> None:
        for field in node._fields:
            if field not in _IGNORED and field not in skip:
                self._value(node, field, getattr(node, field, None))

    def _value(self, node: ast.AST, field: str, value: Any) -> None:
        if isinstance(value, ast.AST):
            self._node(value)
        elif isinstance(value, list):
            if value and isinstance(value[0], ast.stmt):
                self._statements(value)
                return
            self.words.append(str(len(value)))
            for item in value:
                self._value(node, field, item)
        elif isinstance(value, str):
            self.words.append(self._name(value) if _binds(node, field) else value)
        else:
            self.words.append(repr(value))

    def _scope(self, node: Any) -> None:
        """A function, class or comprehension: what is outside it first, then its inside with names of its own."""
        if isinstance(node, _COMPREHENSIONS):
            self._scopes.append(dict.fromkeys(_targets(node), ""))
            self._value(node, "generators", node.generators)
            self._fields(node, skip=("generators",))
            self._scopes.pop()
            return
        if isinstance(node, ast.ClassDef):
            self.words.append(self._name(node.name))
            for field in ("decorator_list", "bases", "keywords"):
                self._value(node, field, getattr(node, field))
            may_have = bool(node.decorator_list or node.bases or node.keywords)
            self._body(node.body, has_fields=may_have)  # names of a class are attributes: kept
            return
        arguments = node.args
        if not isinstance(node, ast.Lambda):
            self.words.append(self._name(node.name))
            self._value(node, "decorator_list", node.decorator_list)
        self._value(arguments, "defaults", arguments.defaults)
        self._value(arguments, "kw_defaults", arguments.kw_defaults)
        body = [ast.Expr(node.body)] if isinstance(node, ast.Lambda) else node.body
        scope = dict.fromkeys(_bound(body), "")
        groups = (arguments.posonlyargs, arguments.args, [arguments.vararg], arguments.kwonlyargs, [arguments.kwarg])
        for group in groups:
            for argument in group:
                if argument is not None:
                    scope[argument.arg] = ""
        self._scopes.append(scope)
        named = {argument.arg for argument in arguments.kwonlyargs}
        named.update(argument.arg for argument in arguments.args if argument.arg in self._keywords)
        for group in groups:
            names = [argument.arg for argument in group if argument is not None]
            self.words.append(" ".join(self._name(name) + (f"={name}" if name in named else "") for name in names))
        if isinstance(node, ast.Lambda):
            self._node(node.body)
        else:
            self._body(node.body, has_fields=False)
        self._scopes.pop()

    def _body(self, body: list[ast.stmt], *, has_fields: bool) -> None:
        around, self._has_fields = self._has_fields, has_fields
        self._statements(body)
        self._has_fields = around


def _binds(node: ast.AST, field: str) -> bool:
    """Whether a string field of a node is a variable's name, rather than an attribute, a keyword or a module."""
    return (
        (isinstance(node, ast.alias) and field == "asname")
        or (isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and field == "name")
        or (isinstance(node, ast.MatchMapping) and field == "rest")
        or (isinstance(node, (ast.Global, ast.Nonlocal)) and field == "names")
    )


def _idle(statement: ast.stmt, has_fields: bool) -> bool:
    """Docstrings and other constants standing alone, `pass`, and bare annotations that are no fields do nothing."""
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant)
    if isinstance(statement, ast.AnnAssign):
        return statement.value is None and not has_fields
    return isinstance(statement, ast.Pass)


def _constant(value: Any) -> str:
    if type(value) is int:
        return hex(value)  # repr refuses long ones
    return repr(value)


def _bound(body: list[ast.stmt]) -> list[str]:
    """Names a body binds in its own scope, inner scopes left out."""
    names: list[str] = []
    free: set[str] = set()
    waiting: list[ast.AST] = list(reversed(body))
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.append(node.name)
            continue
        if isinstance(node, (ast.Lambda, *_COMPREHENSIONS)):
            continue
        if isinstance(node, ast.Name):
            if not isinstance(node.ctx, ast.Load):
                names.append(node.id)
        elif isinstance(node, ast.alias):
            if node.asname:
                names.append(node.asname)
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            free.update(node.names)
        elif isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)):
            if node.name:
                names.append(node.name)
        elif isinstance(node, ast.MatchMapping) and node.rest:
            names.append(node.rest)
        waiting.extend(reversed(list(ast.iter_child_nodes(node))))
    return [name for name in names if name not in free]


def _targets(node: Any) -> list[str]:
    return [
        name.id for generator in node.generators for name in ast.walk(generator.target) if isinstance(name, ast.Name)
    ]
