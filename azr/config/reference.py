"""The configuration reference: every key with its type, default and meaning, taken from where it is declared.

The meaning of a field is the string right below it in its section's source, which is where a reader of the code looks
too. `azr config reference` prints it all as Markdown; `docs/configuration.md` is that output, and a test keeps it so.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
import typing
from typing import Any, NamedTuple

from azr.config.root import Config

_PREAMBLE = """\
# Configuration

Every key, its type, its default and what it means. Written by `azr config reference`; edit the sections under
`azr/config/sections/`, not this page.

A run's configuration is composed in this order, later wins: the defaults below, presets and files (`--config tiny`,
`--config my.yaml`), then group choices (`algorithm=paper`) and overrides (`run.seed=7`) as given. `azr config presets`
lists the presets, and `azr config show` prints what a run would see.
"""


class Key(NamedTuple):
    """One key of the configuration, as the reference tells it."""

    name: str
    type: str
    default: str
    meaning: str


def meanings(section: type[Any]) -> dict[str, str]:
    """The docstring below each field of a dataclass, base classes included, on one line each."""
    found: dict[str, str] = {}
    for base in reversed(section.__mro__):
        if not dataclasses.is_dataclass(base):
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
        assert isinstance(body, ast.ClassDef)
        for field, below in zip(body.body, body.body[1:], strict=False):
            match field, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    found[name] = " ".join(text.split())
    return found


def keys(section: type[Any], prefix: str = "") -> list[Key]:
    """Every key of one section, those of sections inside it included."""
    told = meanings(section)
    hints = typing.get_type_hints(section)
    rows: list[Key] = []
    for field in dataclasses.fields(section):
        kind = hints[field.name]
        name = f"{prefix}{field.name}"
        if dataclasses.is_dataclass(kind):
            rows += keys(typing.cast(type[Any], kind), f"{name}.")
        else:
            rows.append(Key(name, _type_name(kind), _default(field), told.get(field.name, "")))
    return rows


def markdown() -> str:
    """The whole reference."""
    told = meanings(Config)
    hints = typing.get_type_hints(Config)
    parts = [_PREAMBLE]
    for field in dataclasses.fields(Config):
        parts.append(
            f"\n## {field.name}\n\n{told[field.name]}\n\n| key | type | default | meaning |\n|---|---|---|---|\n"
        )
        parts += [_row(key) for key in keys(hints[field.name], f"{field.name}.")]
    return "".join(parts)


def _row(key: Key) -> str:
    cells = (f"`{key.name}`", f"`{key.type}`", f"`{key.default}`", key.meaning)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _type_name(kind: Any) -> str:
    if typing.get_origin(kind) is typing.Literal:
        return " or ".join(str(choice) for choice in typing.get_args(kind))
    if isinstance(kind, type) and not typing.get_args(kind):
        return kind.__name__
    return str(kind).replace("typing.", "")


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default_factory is not dataclasses.MISSING:
        return repr(field.default_factory())
    return "required" if field.default is dataclasses.MISSING else repr(field.default)
