"""Configuration of the safety watch: concerning chains of thought are flagged, counted and shown."""

from __future__ import annotations

from dataclasses import dataclass, field

ACTIONS = ("count", "quarantine")


@dataclass
class SafetyConfig:
    """What is looked for in responses. The published 8B Llama run is where such "uh-oh moments" were first reported."""

    patterns: list[str] = field(default_factory=list)
    """Regular expressions, matched without regard to case. Empty: nothing is looked at, and nothing is paid."""
    action: str = "count"
    """`count`: flagged responses are trained on like others; `quarantine`: they are left out of the gradient."""
    samples: int = 100
    """Flagged responses kept, with the words around the match, in `flagged.jsonl` of the run's folder."""
