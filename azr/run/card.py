"""What a driver itself keeps of its run: the card, the report, and the configuration that its own takes the place of.

Owned by the driver, which says when. What the run's parts tell is kept by `azr.run.telling` and by trackers.

    how long, how it ended, whose id ─► KeptCard ─► run.json          metrics.jsonl, evaluations.jsonl ─► report.html
    config.yaml of the driver before, where this one's differs ─► config-N.yaml
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
from omegaconf import OmegaConf

from azr.config import Config, resolved_yaml
from azr.files import write_text
from azr.report import page, read_history
from azr.run.folder import Card, RunFolder
from azr.run.resume import PLACE
from azr.run.tracking.base import flattened
from azr.text import shortened


class KeptCard:
    """The card of one run while a driver is at work. Trackers change it as well, from threads of their own."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._card = folder.card()
        self._lock = threading.Lock()
        self.before = self._card.elapsed_seconds
        """Seconds of training by earlier drivers."""

    @property
    def latest(self) -> Card:
        """The card as it is now."""
        return self._card

    def keep_mlflow_id(self, run_id: str) -> None:
        """Called from the tracker's thread."""
        with self._lock:
            self._card = msgspec.structs.replace(self._card, mlflow=run_id)
            self._folder.write(self._card)

    def note_unevaluated(self, why: str) -> None:
        """Why there is no evaluation after training; written with how the run ended."""
        with self._lock:
            self._card = msgspec.structs.replace(self._card, not_evaluated=why)

    def note_time(self, elapsed_seconds: float) -> None:
        """How long training has lasted, for a resume after a kill."""
        with self._lock:
            self._card = msgspec.structs.replace(self._card, elapsed_seconds=elapsed_seconds)
            with contextlib.suppress(OSError):  # a full disk is said elsewhere
                self._folder.write(self._card)

    def end(self, status: str, reason: str, elapsed_seconds: float) -> None:
        """How the run ended, and how long training has lasted."""
        with self._lock:
            ended = status if status != "failed" else f"failed: {reason}"
            self._card = msgspec.structs.replace(self._card, ended=ended, elapsed_seconds=elapsed_seconds)
            with contextlib.suppress(OSError):  # the disk may be what failed
                self._folder.write(self._card)


def keep_replaced(folder: RunFolder, config: Config, start: int) -> Path | None:
    """The configuration of the driver of start `start`, kept under another name where this one's takes its place."""
    before = folder.config.read_text() if folder.config.exists() else ""
    if not before or without_place(before) == without_place(resolved_yaml(config)):
        return None
    kept = folder.config_of(start)
    write_text(kept, before)
    return kept


def without_place(configuration: str) -> dict[str, str]:
    """What a configuration asks for by dotted keys, but for where the run is: it may be moved, and a resume names its
    folder in full."""
    plain = OmegaConf.to_container(OmegaConf.create(configuration))
    assert isinstance(plain, dict)
    flat = flattened({str(key): value for key, value in plain.items()})
    return {key: value for key, value in flat.items() if key not in PLACE}


def write_report(folder: RunFolder, say: Callable[[str], None]) -> None:
    """The run as one page, of one that came to train; what cannot be drawn is said and ends nothing."""
    if not folder.metrics.exists():
        return
    try:
        write_text(folder.report, page(read_history(folder.root)))
    except Exception as error:
        say(f"no report was written: {shortened(str(error), 200)}; azr report tries again")
