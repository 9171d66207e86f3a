"""Detectors: what finds something concerning in a response. Patterns of the configuration, or a plug-in.

    [project.entry-points."azr.safety"]
    judge = "my_package:Judge"                  # then: safety.detectors=[judge]

A plug-in is a class without arguments. It runs in the process that makes the learner's batches, so it must be quick;
one that raises, or gives what is no `Hit`, is counted (`safety/broken`), told once, and finds nothing.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Protocol, runtime_checkable

from azr.config.sections.safety import SafetyConfig
from azr.errors import ConfigError
from azr.plugins import SAFETY, load_plugin


class Hit(NamedTuple):
    """Where in a response something was found."""

    start: int
    end: int


@runtime_checkable
class Detector(Protocol):
    """Looks at responses."""

    def find(self, text: str) -> Hit | None:
        """The first concerning place of the text, or None."""
        ...


class Pattern:
    """A regular expression of the configuration; its cost was bounded when that was read."""

    def __init__(self, expression: str) -> None:
        self._expression = re.compile(expression, re.IGNORECASE | re.DOTALL)  # thoughts break their lines anywhere

    def find(self, text: str) -> Hit | None:
        """Its first match."""
        match = self._expression.search(text)
        return Hit(*match.span()) if match else None


def detectors(config: SafetyConfig) -> dict[str, Detector]:
    """Every rule of the configuration by name; an unknown plug-in is refused with the nearest."""
    found: dict[str, Detector] = {name: Pattern(expression) for name, expression in config.patterns.items()}
    for name in config.detectors:
        if name in found:
            raise ConfigError(f"safety: a pattern and a detector are both called {name!r}", "rename the pattern")
        found[name] = _plug_in(name)
    return found


def _plug_in(name: str) -> Detector:
    made = load_plugin(SAFETY, name, "safety.detectors")
    try:
        detector = made()
    except Exception as error:
        raise ConfigError(
            f"safety.detectors: {name!r} cannot be made: {type(error).__name__}: {error}", "it takes no arguments"
        ) from error
    if not isinstance(detector, Detector):
        raise ConfigError(f"safety.detectors: {name!r} has no method `find`", "see azr.safety.detector.Detector")
    return detector
