"""Engines that answer by a script: what players are tested with where the order of events is the point, not the model.

A proposal is `def f(x): return x + N` with an input; an attempt is right, wrong or malformed by the request's seed.
Versions are read from a file, so that a learner's stand-in can publish to engines in other processes.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from actors.engine.records import GenerateRequest, Generation, Response
from azr.game.types import Version, VersionSpan

#: Inputs of an induction proposal, as the tests' configuration asks for.
INPUTS = 4


def save_tokenizer(folder: Path) -> None:
    """A tokenizer of bytes: one token a byte, nothing learned."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: index for index, letter in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))


class ScriptedEngines:
    """A `Generator`, and the `Engines` that give itself. Travels to other processes."""

    def __init__(self, model: Path, version_file: Path, seconds: float = 0.02, poison: str = "") -> None:
        """Each response takes `seconds`; a prompt that holds the text `poison` fails every time."""
        self.model, self.version_file, self.seconds, self.poison = model, version_file, seconds, poison
        self._tokenizer: Tokenizer | None = None
        self.retries = 0
        self.asked: list[GenerateRequest] = []

    def __reduce__(self) -> tuple[type, tuple[Path, Path, float, str]]:
        return type(self), (self.model, self.version_file, self.seconds, self.poison)

    def of(self, role: str) -> ScriptedEngines:
        return self

    async def generate(self, request: GenerateRequest, deadline: float) -> Generation:
        self.asked.append(request)
        version = self._version()
        await asyncio.sleep(self.seconds)
        prompt = self.tokenizer.decode(list(request.prompt_ids))
        if self.poison and self.poison in prompt:
            raise RuntimeError("this prompt is poison")
        random = np.random.default_rng(request.seed)
        texts = [answer(prompt, random) for _ in range(request.samples)]
        return Generation(
            request=request.id,
            responses=tuple(self._response(text, request.max_tokens, version) for text in texts),
            replica="scripted",
        )

    @property
    def tokenizer(self) -> Tokenizer:
        if self._tokenizer is None:
            self._tokenizer = Tokenizer.from_file(str(self.model / "tokenizer.json"))
        return self._tokenizer

    def _response(self, text: str, longest: int, version: Version) -> Response:
        ids = self.tokenizer.encode(text).ids
        kept = ids[:longest]
        return Response(
            token_ids=np.array(kept, np.int32),
            logprobs=np.full(len(kept), -0.5, np.float32),
            spans=(VersionSpan(0, len(kept), version),),
            truncated=len(ids) > longest,
            text=self.tokenizer.decode(kept),
        )

    def _version(self) -> Version:
        lineage, _, step = self.version_file.read_text().partition(".")
        return Version(int(lineage), int(step))


def publish(version_file: Path, version: Version) -> None:
    """Tell the engines which weights they have now."""
    part = version_file.with_suffix(".part")
    part.write_text(f"{version.lineage}.{version.step}")
    part.replace(version_file)


def answer(prompt: str, random: np.random.Generator) -> str:
    """What the script says to a prompt of the frame `compact`."""
    if prompt.endswith(("#d\n", "#a\n")):
        number = int(random.integers(10_000))
        return ("nonsense" if random.random() < 0.1 else f"def f(x):\n    return x + {number}") + "\n#i 7"
    if prompt.endswith("#n\n"):
        inputs = random.choice(1000, INPUTS, replace=False).tolist()
        return "".join(f"#i {given}\n" for given in inputs) + "#m adds a number"
    said = random.random()
    if said < 0.2:
        return "no idea ]"
    return _right(prompt) if said < 0.6 else "-1"


def _right(prompt: str) -> str:
    shown = re.findall(r"#i (-?\d+)\n#o (-?\d+)\n", prompt)
    if prompt.endswith("#f\n"):
        given, output = shown[0]
        return f"def f(x):\n    return x + {int(output) - int(given)}"
    added = int(_last(re.findall(r"return x \+ (\d+)", prompt), "0"))
    if prompt.endswith("#o\n"):
        return str(int(_last(re.findall(r"#i (-?\d+)", prompt), "0")) + added)
    return str(int(_last(re.findall(r"#o (-?\d+)", prompt), "0")) - added)


def _last(found: Sequence[str], otherwise: str) -> str:
    return found[-1] if found else otherwise
