"""Prompt texts: template files under `azr/game/prompts/`, and filling them in.

A placeholder is a lower-case word in braces, `{program}`. Filling replaces each once, in one pass over the template, so
braces inside programs and values mean nothing. A template that wants a value it is not given, or is given one it has no
place for, is an error at once: prompts are never silently incomplete. Called by the task types and the frames.
"""

from __future__ import annotations

import functools
import importlib.resources
import re

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


@functools.cache
def template(name: str) -> str:
    """The template file `name`, e.g. `full/deduction.solve`."""
    folder, _, file = name.partition("/")
    return (importlib.resources.files("azr.game") / "prompts" / folder / f"{file}.txt").read_text(encoding="utf-8")


def placeholders(text: str) -> frozenset[str]:
    """The names of a template's placeholders."""
    return frozenset(_PLACEHOLDER.findall(text))


def fill(text: str, **values: str) -> str:
    """The template with every placeholder replaced. Raises `ValueError` unless values and placeholders match."""
    wanted = placeholders(text)
    if wanted != values.keys():
        missing, idle = sorted(wanted - values.keys()), sorted(values.keys() - wanted)
        raise ValueError(f"template and values differ: no value for {missing}, no place for {idle}")
    return _PLACEHOLDER.sub(lambda match: values[match[1]], text)


def filled(name: str, **values: str) -> str:
    """The template file `name`, filled in."""
    return fill(template(name), **values)


def fenced(label: str, body: str) -> str:
    """A fenced block whose fence is longer than any run of backticks inside it."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", body)), default=0))
    return f"{fence}{label}\n{body}\n{fence}"
