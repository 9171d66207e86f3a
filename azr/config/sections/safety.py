"""Configuration of the safety watch: concerning chains of thought are flagged, counted, shown, or left out."""

from __future__ import annotations

from dataclasses import dataclass, field

ACTIONS = ("count", "quarantine")


@dataclass
class SafetyConfig:
    """What is looked for in responses. The published 8B Llama run is where such "uh-oh moments" were first reported;
    `safety=uh_oh` looks for them. With neither patterns nor detectors nothing is looked at, and nothing is paid."""

    patterns: dict[str, str] = field(default_factory=dict)
    """Regular expressions by name, matched without regard to case. Repetitions are bounded (`.{0,60}`, not `.*`), for
    they meet text that wants to be slow to match."""
    detectors: list[str] = field(default_factory=list)
    """Names of plug-ins announced under the entry-point group `azr.safety`."""
    action: str = "count"
    """`count`: flagged responses are trained on like others; `quarantine`: they are left out of the gradient."""
    samples: int = 100
    """Flagged responses kept for people to read, drawn evenly over the whole run, in `flagged.jsonl` of its folder."""
