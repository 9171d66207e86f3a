"""From nothing to a tiny base model, in stages that each leave a file.

Owns the recipe. Called by `azr tiny pretrain`; a stage whose file is there is passed over, and the training stage
resumes from its newest checkpoint, so that a stop costs minutes.

    corpus.jsonl ──► shape/ (tokenizer, configuration) ──► training/ (checkpoints) ──► model/ (Hugging Face folder)
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import msgspec
import numpy as np
import torch
from transformers import GenerationConfig, Qwen3Config

from azr.config.sections.algorithm import LossConfig, OptimiserConfig
from azr.config.sections.learner import LearnerConfig
from azr.decoding import UNDECODABLE
from azr.errors import AzrError
from azr.files import replacing
from azr.progress import Progress
from azr.sole_writer import sole_writer
from azr.tiny import corpus as tiny_corpus
from azr.tiny import grammar, world
from azr.tiny.corpus import corpus
from azr.tiny.vocabulary import SIZE, save_tokenizer, train_tokenizer
from azr.tiny.world import Specimen, specimens
from learner import loop
from learner.export import export
from learner.supervised import SupervisedObserver, SupervisedSource, load_pairs, read_pairs
from learner.trainer import supervised
from sandbox_wasm.pool import open_sandbox

#: Longest sequence of the model, prompt and response: a proposal with references needs about half of it.
CONTEXT = 512

#: Texts from which the vocabulary is learned; more change nothing.
_VOCABULARY_TEXTS = 50_000

#: Tokens of a micro-batch: more than a step, so that one forward pass does.
_BUDGET = 16_384


def _sources_digest() -> str:
    sources = "".join(inspect.getsource(part) for part in (grammar, world, tiny_corpus))
    return hashlib.sha256(sources.encode()).hexdigest()[:12]


class Recipe(msgspec.Struct, frozen=True):
    """What decides the model; kept beside it, so that a folder is never continued by another recipe."""

    specimens: int
    epochs: float
    tokens_per_step: int
    lr: float
    seed: int
    hidden: int = 160
    layers: int = 4
    heads: int = 5
    feed_forward: int = 480
    world: str = msgspec.field(default_factory=_sources_digest)
    """Of the code that draws and writes the corpus."""


def pretrain(folder: Path, recipe: Recipe, *, workers: int | None) -> None:
    """Carry the recipe out in the folder, as far as it is not done yet."""
    with sole_writer(folder):
        _claim(folder, recipe)
        _carry_out(folder, recipe, workers)


def _carry_out(folder: Path, recipe: Recipe, workers: int | None) -> None:
    pairs = folder / "corpus.jsonl"
    if not pairs.exists():
        write_corpus(pairs, recipe, workers)
    shape = folder / "shape"
    if not (shape / "config.json").exists():
        write_shape(shape, recipe, pairs)
    train(folder / "training", recipe, shape, pairs)
    if not (folder / "model").exists():
        export(folder / "training", folder / "model")
    print(f"the model is in {folder / 'model'}; `azr tiny evaluate {folder / 'model'}` tells how good it is")


def write_corpus(path: Path, recipe: Recipe, workers: int | None) -> None:
    """Draw, run and write down the corpus."""
    generator = np.random.default_rng([recipe.seed, 1])
    progress = Progress("corpus", recipe.specimens)
    with open_sandbox("wasm", workers=workers, instances="restored") as sandbox, replacing(path) as file:
        stream = specimens(sandbox, np.random.default_rng([recipe.seed, 2]), held_out=False)

        def counted() -> Iterator[Specimen]:
            for done, specimen in enumerate(stream, start=1):
                progress.show(done)
                yield specimen

        for pair in corpus(counted(), generator, recipe.specimens):
            file.write(msgspec.json.encode(pair) + b"\n")


def write_shape(folder: Path, recipe: Recipe, pairs: Path) -> None:
    """The tokenizer, learned from the corpus, and the configuration of the model to be trained."""
    texts = (pair.prompt + pair.response for pair in islice(read_pairs([pairs]), _VOCABULARY_TEXTS))
    tokenizer = train_tokenizer(texts)
    save_tokenizer(tokenizer, folder)
    GenerationConfig(eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id).save_pretrained(folder)
    Qwen3Config(
        vocab_size=SIZE,
        hidden_size=recipe.hidden,
        intermediate_size=recipe.feed_forward,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.heads,
        head_dim=recipe.hidden // recipe.heads,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        architectures=["Qwen3ForCausalLM"],
    ).save_pretrained(folder)


def train(folder: Path, recipe: Recipe, shape: Path, pairs: Path) -> None:
    """Supervised training from random weights with the learner's own loop."""
    tokens = load_pairs([pairs], str(shape), longest=CONTEXT, tell=print)
    make_source = partial(
        SupervisedSource, tokens, tokens_per_step=recipe.tokens_per_step, epochs=recipe.epochs, seed=recipe.seed
    )
    steps = make_source().steps
    plan = loop.LearnerPlan(
        model=str(shape.absolute()),
        loss=supervised(LossConfig()),
        optimiser=OptimiserConfig(lr=recipe.lr, warmup_steps=100, decay_updates=steps, weight_decay=0.01),
        # On the CPU whatever the machine has, so that the recipe means one model; `auto` would choose for its GPU.
        learner=LearnerConfig(
            tokens_per_micro_batch=_BUDGET, attention="sdpa", checkpoint_every=100, report_entropy=False
        ),
        folder=folder,
        steps=steps,
        make_source=make_source,
        make_observer=partial(SupervisedObserver, steps, folder / "metrics.jsonl"),
        seed=recipe.seed,
        random_weights=True,
    )
    loop.run(plan, torch.device("cpu"))


def _claim(folder: Path, recipe: Recipe) -> None:
    """Write the recipe down, or see that the folder was begun with the same."""
    path = folder / "recipe.json"
    if not path.exists():
        with replacing(path) as file:
            file.write(msgspec.json.encode(recipe))
        return
    try:
        begun = msgspec.json.decode(path.read_bytes(), type=Recipe)
    except UNDECODABLE as error:
        raise AzrError(f"{path} cannot be read: {error}", "put it back as it was, or name another folder") from error
    if begun != recipe:
        raise AzrError(
            f"{folder} was begun with another recipe: {begun}", "give the same arguments, or name another folder"
        )
