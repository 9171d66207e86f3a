"""Typed configuration: sections are plain dataclasses, values come from presets, files and dotted overrides.

sections/*.py ──► root.Config ──┐
conf/*.yaml (presets) ──────────┼──► load ──► Config (typed) ──► run folder/config.yaml
files, `a.b=c` overrides ───────┘
"""

from azr.config.load import compose, load, resolved_yaml, write_resolved
from azr.config.presets import preset_names
from azr.config.root import Config

__all__ = ["Config", "compose", "load", "preset_names", "resolved_yaml", "write_resolved"]
