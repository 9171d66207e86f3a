"""The watch: looks at every response of a batch, counts what is found, keeps a bounded sample, names what to leave out.

Called while the run's batch is made, once rewards and advantages are worked out and before samples become the
learner's. Pure but for what it remembers, which goes into checkpoints (`to_state`, `restore`).

    responses ──► every rule ──► Flagged ──┬─► metrics: by rule, by cell
                                           ├─► reservoir of `safety.samples`, each flagged response equally likely in it
                                           └─► action=quarantine: ids that must carry no gradient
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from azr import files
from azr.config.sections.safety import SafetyConfig
from azr.decoding import UNDECODABLE
from azr.game.types import Cell
from azr.metrics import Accumulator
from azr.safety.detector import Detector, detectors
from azr.text import shortened

logger = logging.getLogger(__name__)

#: Characters kept on each side of what was found.
CONTEXT = 400

#: Characters told of a detector's error, which may quote the model.
_TOLD = 200


class Response(msgspec.Struct, frozen=True):
    """What is looked at."""

    id: str
    cell: Cell
    text: str


class Flagged(msgspec.Struct, frozen=True, kw_only=True):
    """A response that a rule found something in. `before`, `found` and `after` are the model's words: hostile."""

    step: int
    sample: str
    cell: str
    rule: str
    before: str
    found: str
    after: str
    quarantined: bool = False


class _State(msgspec.Struct):
    seen: int
    kept: list[Flagged]
    generator: str
    """Python's random state as text; JSON and msgpack have no tuples of its kind."""


class Watch:
    """All rules of a configuration, and what they found so far."""

    def __init__(self, config: SafetyConfig, *, seed: int = 0, tell: Callable[[str], None] = logger.warning) -> None:
        """`tell` hears of detectors that fail."""
        self._config, self._tell = config, tell
        self._rules: dict[str, Detector] = detectors(config)
        self._random = random.Random(seed)
        self._seen = 0
        self._kept: list[Flagged] = []
        self._broken: set[str] = set()

    @property
    def on(self) -> bool:
        """Whether there is anything to look for. When not, nobody needs to decode responses for it."""
        return bool(self._rules)

    @property
    def flagged(self) -> int:
        """Responses flagged since the run began."""
        return self._seen

    @property
    def kept(self) -> tuple[Flagged, ...]:
        """The sample."""
        return tuple(self._kept)

    def look(self, responses: Iterable[Response], step: int, metrics: Accumulator) -> dict[str, str]:
        """Look at a step's responses; answers those to leave out of the gradient, by id, with the rule that said so."""
        held: dict[str, str] = {}
        for response in responses:
            hits = [flagged for name in self._rules if (flagged := self._ask(name, response, step, metrics))]
            metrics.add("safety/flagged_share", float(bool(hits)), label=str(response.cell))
            if not hits:
                continue
            self._keep(hits[0])
            if self._config.action == "quarantine":
                held[response.id] = hits[0].rule
                metrics.add("safety/quarantined", 1.0, label=str(response.cell))
        return held

    def write(self, path: Path) -> None:
        """The sample as JSON lines, in place of what was there."""
        files.write_bytes(path, b"".join(msgspec.json.encode(each) + b"\n" for each in self._kept))

    def to_state(self) -> bytes:
        """What a checkpoint keeps."""
        generator = msgspec.json.encode(self._random.getstate()).decode()
        return msgspec.msgpack.encode(_State(self._seen, self._kept, generator))

    def restore(self, state: bytes) -> None:
        """Go on from a checkpoint."""
        found = msgspec.msgpack.decode(state, type=_State)
        version, numbers, gauss = msgspec.json.decode(found.generator, type=tuple[int, tuple[int, ...], float | None])
        self._seen, self._kept = found.seen, found.kept
        self._random.setstate((version, numbers, gauss))

    def _ask(self, name: str, response: Response, step: int, metrics: Accumulator) -> Flagged | None:
        text, hit = response.text, None
        try:
            hit = self._rules[name].find(text)
            if hit is None:
                return None
            start, end = max(0, min(hit.start, len(text))), max(0, min(hit.end, len(text)))
            before, found, after = text[max(0, start - CONTEXT) : start], text[start:end], text[end : end + CONTEXT]
        except Exception as error:  # a plug-in's, or of what it gave that is no `Hit`: a match has methods there
            self._tell_broken(name, hit, error)
            metrics.add("safety/broken", 1.0, label=name)
            return None
        metrics.add("safety/flagged", 1.0, label=name)
        return Flagged(
            step=step,
            sample=response.id,
            cell=str(response.cell),
            rule=name,
            before=_storable(before),
            found=_storable(found[:CONTEXT]),
            after=_storable(after),
            quarantined=self._config.action == "quarantine",
        )

    def _tell_broken(self, name: str, hit: object, error: Exception) -> None:
        """Of each rule once: it may well fail at every response."""
        if name not in self._broken:
            self._broken.add(name)
            came = "" if hit is None else f" at what it found, a {type(hit).__name__} where a Hit was due"
            self._tell(
                f"safety: the detector {name!r} failed{came}: {shortened(repr(error), _TOLD)}; what it fails at counts"
                f" as not flagged (safety/broken/{name} counts on)"
            )

    def _keep(self, flagged: Flagged) -> None:
        """Keep it with the chance that leaves every response flagged so far equally likely to be kept."""
        self._seen += 1
        if len(self._kept) < self._config.samples:
            self._kept.append(flagged)
        elif self._config.samples:
            place = self._random.randrange(self._seen)
            if place < self._config.samples:
                self._kept[place] = flagged


def _storable(text: str) -> str:
    """Without halves of surrogate pairs, which no file can hold."""
    return text.encode("utf-8", "replace").decode()


def read_flagged(path: Path) -> list[Flagged]:
    """The sample that a run kept; lines that cannot be read are passed over."""
    found: list[Flagged] = []
    if not path.exists():
        return found
    decoder = msgspec.json.Decoder(Flagged)
    for line in path.read_bytes().splitlines():
        try:
            found.append(decoder.decode(line))
        except UNDECODABLE:
            continue
    return found
