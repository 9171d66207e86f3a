"""The configuration reference: every key with its type, default and meaning, taken from where it is declared.

The meaning of a field is the string right below it in its section's source, which is where a reader of the code looks
too. `azr config reference` prints it all as Markdown; `docs/configuration.md` is that output, and a test keeps it so.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import textwrap
import types
import typing
from typing import Any, NamedTuple

from azr.config.load import entry_type, section_type
from azr.config.root import Config

_PREAMBLE = """\
# Configuration

Every key, its type, its default and what it means. Written by `azr config reference`; edit the sections under
`azr/config/sections/`, not this page.

A run's configuration is composed in this order, later wins: the defaults below, presets and files (`--config tiny`,
`--config my.yaml`), then group choices (`algorithm=paper`) and overrides (`run.seed=7`) as given. Values are YAML; only
where a key is a `str` an override's text is taken as it stands (`run.name=0123`), unless quotes stand around it.
`azr config presets` lists the presets, and `azr config show` prints what a run would see.
"""


_HEADER = "| key | type | default | meaning |\n|---|---|---|---|\n"


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


def keys(section: object, prefix: str = "") -> list[Key]:
    """Every key of one section with its default, those of sections inside it included.

    Defaults are read from an instance: a section inside another may be given other defaults than its own.
    """
    told = meanings(type(section))
    rows: list[Key] = []
    for name, kind in typing.get_type_hints(type(section)).items():
        key, value = f"{prefix}{name}", getattr(section, name)
        if section_type(kind) is not None:
            rows += keys(value, f"{key}.")
            continue
        rows.append(Key(key, _type_name(kind), json.dumps(value, ensure_ascii=False), told.get(name, "")))
        if (entry := entry_type(kind)) is not None:
            rows += keys(entry(), f"{key}.NAME.")
    return rows


def markdown() -> str:
    """The whole reference."""
    defaults = Config()
    told = meanings(Config)
    parts = [_PREAMBLE]
    for field in dataclasses.fields(Config):
        parts.append(f"\n## {field.name}\n\n{told[field.name]}\n\n{_HEADER}")
        parts += [_row(key) for key in keys(getattr(defaults, field.name), f"{field.name}.")]
    return "".join(parts)


def _row(key: Key) -> str:
    cells = (f"`{key.name}`", f"`{key.type}`", f"`{key.default}`", key.meaning)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _type_name(kind: Any) -> str:
    """The type as a user writes values of it, not as Python spells it."""
    origin, inside = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return " or ".join(str(choice) for choice in inside)
    if origin in (typing.Union, types.UnionType):
        return " or ".join("null" if choice is type(None) else _type_name(choice) for choice in inside)
    if origin is dict:
        return f"{{{_type_name(inside[0])}: {_type_name(inside[1])}}}"
    if origin in (list, tuple):
        return f"[{', '.join('…' if item is Ellipsis else _type_name(item) for item in inside)}]"
    return "section" if dataclasses.is_dataclass(kind) else str(getattr(kind, "__name__", kind))
