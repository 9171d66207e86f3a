"""The safety watch where batches pass: tokens become text again, and what is found goes to the run's folder.

Owned by the batch source on rank 0. With nothing to look for no tokenizer is loaded and no text made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from azr.config.root import Config
from azr.game.types import Trajectory
from azr.metrics import Accumulator
from azr.safety.watch import Response, Watch


class Watching:
    """Looks at trajectories."""

    def __init__(self, config: Config, tell: Callable[[str], None]) -> None:
        """`tell` hears what a person should: of a detector that fails, which flags nothing."""
        self._model = config.model
        self._watch = Watch(config.safety, seed=config.run.seed, tell=tell)
        self._tokenizer: Any = None

    @property
    def on(self) -> bool:
        """Whether there is anything to look for."""
        return self._watch.on

    def look(self, trajectories: Sequence[Trajectory], step: int, metrics: Accumulator) -> Mapping[str, str]:
        """Those to leave out of the gradient, by id, with the rule that said so."""
        if self._tokenizer is None:
            from azr.tokens import load_tokenizer

            self._tokenizer = load_tokenizer(self._model.path, self._model.plain_tokens)
        texts: list[str] = self._tokenizer.batch_decode(
            [trajectory.response_ids.tolist() for trajectory in trajectories], skip_special_tokens=True
        )
        responses = [Response(one.id, one.cell, text) for one, text in zip(trajectories, texts, strict=True)]
        return self._watch.look(responses, step, metrics)

    def lines(self) -> bytes:
        """The sample that people may read, as JSON lines."""
        return b"".join(msgspec.json.encode(flagged) + b"\n" for flagged in self._watch.kept)

    def to_state(self) -> bytes:
        """What a checkpoint keeps."""
        return self._watch.to_state() if self.on else b""

    def restore(self, state: bytes) -> None:
        """Go on from a checkpoint; one that was written while nothing was looked for holds nothing."""
        if state and self.on:
            self._watch.restore(state)
