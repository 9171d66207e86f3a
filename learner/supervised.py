"""Supervised warm start: the learner's own loop on pairs of prompt and response.

Owns the reading of JSON lines (`{"prompt": …, "response": …}`), their tokens and the order in which steps take them.
Called by `azr sft` and by the making of the tiny model. The loss is the responses' likelihood, token mean.

    pairs.jsonl ──► tokens, indexed ──► epoch by epoch in a seeded order ──► steps of about `tokens_per_step`
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from azr.decoding import UNDECODABLE
from azr.errors import AzrError
from azr.files import append_lines
from azr.progress import Progress
from azr.tokens import load_tokenizer, told_briefly
from learner.policy import require_whole_weights
from learner.samples import Sample, StepBatch
from learner.trainer import StepReport

#: Files in which transformers finds a model's weights.
_WEIGHTS = ("*.safetensors", "pytorch_model*.bin")


class Pair(msgspec.Struct, frozen=True):
    """A line of the input; fields not named here are passed over."""

    prompt: str
    response: str


@dataclass(frozen=True)
class TokenPairs:
    """All pairs as tokens, flat: pair k has prompt `tokens[a:b]` and response `tokens[b:c]`, (a, b, c) = bounds[k]."""

    tokens: npt.NDArray[np.int32]
    bounds: npt.NDArray[np.int64]

    def sample(self, index: int) -> Sample:
        """The pair as a sample of advantage 1: its likelihood is raised."""
        start, middle, end = self.bounds[index].tolist()
        response = self.tokens[middle:end]
        return Sample(self.tokens[start:middle], response, np.zeros(len(response), np.float32), advantage=1.0)

    def lengths(self) -> npt.NDArray[np.int64]:
        """Tokens of each pair."""
        return self.bounds[:, 2] - self.bounds[:, 0]


def read_pairs(files: Iterable[Path]) -> Iterator[Pair]:
    """Pairs of JSON-lines files; a bad line is refused with its file and number."""
    decoder = msgspec.json.Decoder(Pair)
    for path in files:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                try:
                    yield decoder.decode(line)
                except UNDECODABLE as error:
                    raise AzrError(
                        f"{path}, line {number}: {error}",
                        'write one object a line, e.g. {"prompt": "2+2=", "response": "4"}',
                    ) from None


def tokenize(pairs: Iterable[Pair], tokenizer: Any, *, longest: int, chunk: int = 4096) -> tuple[TokenPairs, int]:
    """Tokens of all pairs, each response closed by the end token, and how many were left out as over `longest`."""
    tokens: list[npt.NDArray[np.int32]] = []
    bounds: list[tuple[int, int, int]] = []
    offset = skipped = 0
    for batch in _chunks(pairs, chunk):
        # With what the tokenizer puts around any text, as players' prompts have it.
        prompts = tokenizer([pair.prompt for pair in batch], add_special_tokens=True)["input_ids"]
        responses = tokenizer([pair.response for pair in batch], add_special_tokens=False)["input_ids"]
        for pair, ids, response in zip(batch, prompts, responses, strict=True):
            prompt = _begun_once(ids, tokenizer.bos_token_id) if pair.prompt else []
            length = len(prompt) + len(response) + 1
            if length > longest or not prompt:
                skipped += 1
                continue
            tokens.append(np.array([*prompt, *response, tokenizer.eos_token_id], dtype=np.int32))
            bounds.append((offset, offset + len(prompt), offset + length))
            offset += length
    if not bounds:
        raise AzrError(
            f"no pair is left to train on ({skipped} are empty or over {longest} tokens)",
            "check the files, or raise the smaller of --longest and --budget",
        )
    return TokenPairs(np.concatenate(tokens), np.array(bounds, dtype=np.int64)), skipped


def _begun_once(prompt: list[int], begin: int | None) -> list[int]:
    """The prompt with one token for its beginning: text that a chat template made brings its own."""
    return prompt[1:] if begin is not None and prompt[:2] == [begin, begin] else prompt


def _chunks(pairs: Iterable[Pair], size: int) -> Iterator[list[Pair]]:
    batch: list[Pair] = []
    for pair in pairs:
        batch.append(pair)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


class SupervisedSource:
    """Batches of about as many pairs each, together all epochs to the last pair; the batch of a step depends on seed,
    epochs and step alone, so resuming is exact."""

    def __init__(self, pairs: TokenPairs, *, tokens_per_step: int, epochs: float, seed: int) -> None:
        self._pairs, self._seed = pairs, seed
        per_step = max(1, round(tokens_per_step / float(pairs.lengths().mean())))
        self._places = max(1, round(epochs * len(pairs.bounds)))
        self.steps = -(-self._places // per_step)
        self._order: tuple[int, npt.NDArray[np.int64]] = (-1, np.zeros(0, np.int64))

    def begin(self, step: int) -> None:
        """Nothing to undo: order and place follow from the step."""

    def ready(self, check: Callable[[], None]) -> None:
        """Nothing to wait for."""

    def take(self, step: int) -> StepBatch | None:
        """The pairs of this step, or None after the last."""
        if step >= self.steps:
            return None
        places = range(step * self._places // self.steps, (step + 1) * self._places // self.steps)
        return StepBatch([self._pairs.sample(self._at(place)) for place in places], step)

    def write_state(self, step: int, folder: Path) -> None:
        """Nothing to write: order and place follow from the step."""

    def commit(self, step: int) -> None:
        """Nothing to remember: order and place follow from the step."""

    def _at(self, place: int) -> int:
        """The pair at a place of the endless stream of shuffled epochs."""
        epoch, offset = divmod(place, len(self._pairs.bounds))
        if self._order[0] != epoch:
            self._order = (epoch, np.random.default_rng([self._seed, epoch]).permutation(len(self._pairs.bounds)))
        return int(self._order[1][offset])


def load_pairs(
    files: list[Path], model: str, *, longest: int, tell: Callable[[str], None], plain: Sequence[str] = ()
) -> TokenPairs:
    """Read and tokenise, with a run's `model.plain_tokens` as it would spell them; says how much there is."""
    with told_briefly(f"the tokenizer of {model}", "name"):
        tokenizer = load_tokenizer(model, plain)
    pairs, skipped = tokenize(read_pairs(files), tokenizer, longest=longest)
    tell(f"{len(pairs.bounds):,} pairs, {len(pairs.tokens):,} tokens; {skipped:,} left out (empty or too long)")
    return pairs


def require_model(model: str, *, weights: bool) -> None:
    """Refuse a model that nothing can be begun with, before any pair is read."""
    from transformers import AutoConfig

    with told_briefly(f"the model {model}", "name"):
        AutoConfig.from_pretrained(model)
    folder = Path(model)
    if weights and folder.is_dir():
        if not any(path for kind in _WEIGHTS for path in folder.glob(kind)):
            raise AzrError(f"{folder} holds no weights", "name a folder with some, or begin with --random-weights")
        require_whole_weights(folder)


class SupervisedObserver:
    """Shows progress and appends each step's numbers to the run's metrics."""

    def __init__(self, steps: int, metrics: Path) -> None:
        self._metrics, self._progress = metrics, Progress("training", steps)
        self._started, self._tokens = time.monotonic(), 0

    def on_step(self, step: int, report: StepReport, seconds: dict[str, float]) -> None:
        """A step is done."""
        self._tokens += report.tokens
        rate = self._tokens / max(1e-9, time.monotonic() - self._started)
        line = {"step": step, "tokens": report.tokens, "tokens_per_second": rate, **report.metrics}
        line |= {f"time/{phase}": value for phase, value in seconds.items()}
        self._metrics.parent.mkdir(parents=True, exist_ok=True)
        append_lines(self._metrics, msgspec.json.encode(line) + b"\n")
        self._progress.show(step, f"loss {report.metrics['learner/loss']:.4f}  {rate:,.0f} tokens/s")

    def on_made_room(self, step: int, gone: list[str]) -> None:
        """Older checkpoints went."""
        self._progress.show(step, f"{', '.join(gone)} had to go to make room")

    def on_no_room(self, step: int, why: str) -> None:
        """A checkpoint is left out."""
        self._progress.show(step, f"no checkpoint: {why}")

    def on_lost(self, step: int, saved: int, why: str) -> None:
        """The error that follows says it."""
