"""A seeding that is under way, kept beside the seed file that it is for.

Owns that file: written after each batch, taken up by the next who makes the same seeds, gone once they are written.
Called by `azr.run.seeds`. So a time limit, Ctrl-C or the driver's death costs a batch, and not an hour of a model.

    batch ─► keep ─► seeds.jsonl.unfinished ─► take_up (same settings) ─► the next batch
                                └─► removed with the writing of seeds.jsonl
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

from azr.config.root import Config
from azr.decoding import UNDECODABLE
from azr.files import write_bytes
from azr.game.seeding import SeedingState
from azr.run.resume import PLACE, allowed
from azr.run.tracking.base import flattened
from azr.text import shortened

#: Read of each end of a model's file.
_END_BYTES = 1 << 16
#: What a model in a folder consists of; notes and seeds may be written beside it.
_OF_MODEL = (".safetensors", ".bin", ".json", ".model", ".txt", ".jinja")


class _Kept(msgspec.Struct):
    """What the file holds."""

    settings: dict[str, str]
    state: SeedingState
    generator: str


def unfinished(seeds: Path) -> Path:
    """Where a seeding is kept until this file of seeds is written."""
    return seeds.with_name(f"{seeds.name}.unfinished")


class KeptSeeding:
    """The file, for one who makes seeds under a configuration."""

    def __init__(self, seeds: Path, config: Config, warn: Callable[[str], None]) -> None:
        self.path = unfinished(seeds)
        self._settings = settings_of(config)
        self._warn = warn
        self._refused = False
        """The file could not be written, which was said."""

    def take_up(self, random: np.random.Generator) -> SeedingState | None:
        """The state that was kept under the same settings, and `random` as it was then; None where there is none."""
        try:
            kept = msgspec.json.decode(self.path.read_bytes(), type=_Kept)
        except FileNotFoundError:
            return None
        except (OSError, *UNDECODABLE) as error:
            self._warn(f"{self.path} cannot be read ({error}); seeding begins anew")
            return None
        before, now = kept.settings, self._settings
        if other := [key for key in sorted({*before, *now}) if before.get(key) != now.get(key)]:
            self._warn(f"{self.path} was made under another {shortened(', '.join(other), 200)}; seeding begins anew")
            return None
        try:
            random.bit_generator.state = json.loads(kept.generator)
        except (ValueError, TypeError, KeyError) as error:  # damaged within its text, which is JSON of its own
            self._warn(f"{self.path} cannot be read ({error!r}); seeding begins anew")
            return None
        return kept.state

    def keep(self, state: SeedingState, random: np.random.Generator) -> None:
        """Put a state in place of the one before, as one act. A disk that is full ends no seeding."""
        kept = _Kept(self._settings, state, json.dumps(random.bit_generator.state))
        try:
            write_bytes(self.path, msgspec.json.encode(kept))
        except OSError as error:
            if not self._refused:
                self._warn(f"{self.path} cannot be written ({error.strerror}); seeding goes on, and may be lost")
            self._refused = True
        else:
            self._refused = False


def settings_of(config: Config) -> dict[str, str]:
    """What seeds may follow from: all but what a resume may change."""
    flat = flattened(dataclasses.asdict(config))
    flat["model.path (its files)"] = _files_of(Path(config.model.path))
    return {key: value for key, value in flat.items() if not allowed(key) and key not in PLACE}


def _files_of(model: Path) -> str:
    """Sizes of a model's files and a digest of their ends, by which another that was exported into the same folder is
    told apart, and a copy is not; nothing of a model that is named otherwise."""
    if not model.is_dir():
        return ""
    files = [path for path in sorted(model.iterdir()) if path.suffix in _OF_MODEL and path.is_file()]
    return ", ".join(f"{path.name} {path.stat().st_size} {_ends_of(path)}" for path in files)


def _ends_of(path: Path) -> str:
    """A digest of the first and the last bytes of a file: weights are long, and differ everywhere."""
    with path.open("rb") as file:
        first = file.read(_END_BYTES)
        file.seek(max(0, path.stat().st_size - _END_BYTES))
        return hashlib.blake2b(first + file.read(), digest_size=8).hexdigest()
