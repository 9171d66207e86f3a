"""`azr sft`: supervised training of a model on pairs of prompt and response, with the learner's own loop."""

from __future__ import annotations

import argparse
import hashlib
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from azr.cli.numbers import positive, whole
from azr.config.sections.run import LARGEST_SEED
from azr.decoding import UNDECODABLE
from azr.errors import AzrError
from azr.files import write_bytes

if TYPE_CHECKING:
    from learner.supervised import TokenPairs

SUMMARY = "Train a model on JSON lines of prompt and response."
EPILOG = """a line of the input:
  {"prompt": "2+2=", "response": "4"}

The response is learned, the prompt is not; an end token is put after each response. Pairs are packed up to the token
budget. Stopped at any time, the run continues from its newest checkpoint when the same command is given again. With
more --epochs it goes on as well, its steps beginning at other pairs than before. With another model, other pairs, or
another --tokens-per-step, --lr, --warmup or --seed it would be another training, and is refused: that takes another
--out.

examples:
  azr sft pairs.jsonl --model Qwen/Qwen2.5-0.5B --out runs/warm --lr 1e-5 --epochs 2
  azr sft a.jsonl b.jsonl --model ./base --out runs/warm --tokens-per-step 65536 --ranks 2
  azr export runs/warm ./warm-model
"""


class Recipe(msgspec.Struct, frozen=True):
    """What makes two trainings one, however often it is stopped; kept beside its checkpoints. Epochs are no part of it:
    with more of them a training goes on, though each step begins at another pair."""

    model: str
    """As a run keeps it (`shipped.as_kept`)."""
    tokenizer: str
    pairs: str
    """Digest of their tokens: the files may be pipes, which are read once."""
    tokens_per_step: int
    lr: float
    warmup: int
    seed: int
    plain_tokens: tuple[str, ...]
    random_weights: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="JSON lines of prompt and response")
    parser.add_argument("--model", required=True, help="Hugging Face folder or name to start from; `tiny` is azr's own")
    parser.add_argument("--out", required=True, type=Path, help="folder of the run: checkpoints and metrics")
    parser.add_argument("--epochs", type=positive(), default=1.0, help="passes over the pairs (default 1)")
    parser.add_argument(
        "--tokens-per-step", type=whole(1), default=32768, help="about this many a step (default 32768)"
    )
    parser.add_argument("--longest", type=whole(1), default=4096, help="leave out pairs of more tokens (default 4096)")
    parser.add_argument("--lr", type=positive(), default=1e-5, help="peak learning rate (default 1e-5)")
    parser.add_argument("--warmup", type=whole(0), default=20, help="updates of linear warm-up (default 20)")
    parser.add_argument("--ranks", type=whole(1), default=1, help="learner processes; above 1 they run under Ray Train")
    parser.add_argument("--budget", type=whole(1), default=16384, help="tokens of a micro-batch (default 16384)")
    parser.add_argument(
        "--checkpoint-every", type=whole(1), default=100, help="steps between checkpoints (default 100)"
    )
    parser.add_argument("--seed", type=whole(0, LARGEST_SEED), default=0, help="of the order of pairs (default 0)")
    parser.add_argument(
        "--plain-tokens",
        nargs="+",
        default=[],
        metavar="TOKEN",
        help="special tokens to spell as ordinary text, as model.plain_tokens has it: those of the run to come",
    )
    parser.add_argument("--random-weights", action="store_true", help="take the model's shape, not its weights")


def run(arguments: argparse.Namespace) -> int:
    """Train until the epochs are done."""
    import torch

    from azr.config.sections.algorithm import LossConfig, OptimiserConfig
    from azr.config.sections.learner import LearnerConfig
    from azr.sole_writer import sole_writer
    from azr.tiny.shipped import resolve
    from learner import loop
    from learner.process_group import group_of_one
    from learner.supervised import SupervisedObserver, SupervisedSource, load_pairs, require_model
    from learner.trainer import supervised

    model, folder = resolve(arguments.model), arguments.out.absolute()  # ranks may have another working directory
    require_model(model, weights=not arguments.random_weights)
    pairs = load_pairs(
        arguments.files,
        model,
        longest=min(arguments.longest, arguments.budget),
        tell=print,
        plain=arguments.plain_tokens,
    )
    make_source = partial(
        SupervisedSource,
        pairs,
        tokens_per_step=arguments.tokens_per_step,
        epochs=arguments.epochs,
        seed=arguments.seed,
    )
    steps = make_source().steps
    plan = loop.LearnerPlan(
        model=model,
        loss=supervised(LossConfig()),
        optimiser=OptimiserConfig(lr=arguments.lr, warmup_steps=arguments.warmup, decay_updates=steps),
        learner=LearnerConfig(
            ranks=arguments.ranks,
            tokens_per_micro_batch=arguments.budget,
            checkpoint_every=arguments.checkpoint_every,
            report_entropy=False,
        ),
        folder=folder,
        steps=steps,
        make_source=make_source,
        make_observer=partial(SupervisedObserver, steps, folder / "metrics.jsonl"),
        seed=arguments.seed,
        random_weights=arguments.random_weights,
        plain_tokens=tuple(arguments.plain_tokens),
        gpu=torch.cuda.is_available(),
    )
    with sole_writer(arguments.out):
        _require_continuable(arguments.out, steps)
        _claim(arguments.out, _recipe_of(arguments, model, pairs))
        if arguments.ranks > 1:
            from learner.ray_train import train

            train(plan)
        else:
            device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
            with group_of_one(device) if device.type == "cuda" else nullcontext():
                loop.run(plan, device)
    print(f"done: {steps} steps; `azr export {arguments.out} FOLDER` makes a model folder of the newest checkpoint")
    return 0


def _require_continuable(out: Path, steps: int) -> None:
    """Refuse a folder whose newest checkpoint this training cannot go on from: a run's own, which would be trained on
    and deleted as newer ones come, or one beyond the last step, from which nothing would be trained at all."""
    from azr.run.checkpoint import STATE
    from azr.run.folder import RunFolder
    from learner.checkpoint import checkpoint_folder, complete_steps

    run = RunFolder(out)
    newest = max(complete_steps(run.checkpoints), default=0)
    if run.exists or (checkpoint_folder(run.checkpoints, newest) / STATE).exists():
        raise AzrError(
            f"{out} holds a run of azr train, whose checkpoints would be continued and then deleted",
            f"name another folder as --out; `azr export {out} FOLDER` makes a model to begin with",
        )
    if newest > steps:
        raise AzrError(
            f"{out} holds a checkpoint of step {newest}, and these pairs make {steps} steps: none would be trained",
            "give the arguments that the folder was begun with, raise --epochs, or name another folder as --out",
        )


def _recipe_of(arguments: argparse.Namespace, model: str, pairs: TokenPairs) -> Recipe:
    from azr.tiny.shipped import as_kept
    from azr.tokens import tokenizer_digest

    digest = hashlib.sha256(pairs.bounds.tobytes())
    digest.update(pairs.tokens.data)
    return Recipe(
        model=as_kept(arguments.model),
        tokenizer=tokenizer_digest(model),
        pairs=digest.hexdigest()[:16],
        tokens_per_step=arguments.tokens_per_step,
        lr=arguments.lr,
        warmup=arguments.warmup,
        seed=arguments.seed,
        plain_tokens=tuple(arguments.plain_tokens),
        random_weights=arguments.random_weights,
    )


def _claim(out: Path, recipe: Recipe) -> None:
    """See that the newest checkpoint is of the same training, and write down which. A folder without one may be begun
    anew by any."""
    from learner.checkpoint import newest, read_state

    path, checkpoint = out / "sft.json", newest(out / "checkpoints")
    if checkpoint is not None:
        state = read_state(checkpoint)
        if path.exists():
            try:
                begun = msgspec.json.decode(path.read_bytes(), type=Recipe)
            except UNDECODABLE as error:
                mend = "put it back as it was, or name another folder as --out"
                raise AzrError(f"{path} cannot be read: {error}", mend) from error
        else:  # begun before recipes were kept: its checkpoint tells of the model and its spelling alone
            plain = state.plain_tokens or recipe.plain_tokens  # and older ones not of that
            begun = msgspec.structs.replace(
                recipe, model=state.model, tokenizer=state.tokenizer, plain_tokens=tuple(plain)
            )
        if differing := _differing(begun, recipe):
            raise AzrError(
                f"{out} holds another training, with {', '.join(differing)}",
                "give the arguments that it was begun with, or name another folder as --out",
            )
        print(f"going on from step {state.step}")
    write_bytes(path, msgspec.json.encode(recipe))


def _differing(begun: Recipe, asked: Recipe) -> list[str]:
    """What another training had otherwise, by the names of the options."""
    from azr.tiny.shipped import same_model

    # The checkpoint has the weights: of a folder that was moved or removed since, the tokenizer tells enough.
    gone = Path(begun.model).is_absolute() and not Path(begun.model).exists()
    moved = gone and bool(begun.tokenizer) and begun.tokenizer == asked.tokenizer
    found = [] if moved or same_model(begun.model, asked.model) else [f"--model {begun.model}"]
    if begun.tokenizer and asked.tokenizer and begun.tokenizer != asked.tokenizer:
        found.append("another tokenizer of its model")
    if begun.pairs != asked.pairs:
        found.append("other pairs (FILE, --longest, --budget)")
    found += [
        f"--{name.replace('_', '-')} {value}"
        for name in ("tokens_per_step", "lr", "warmup", "seed")
        if (value := getattr(begun, name)) != getattr(asked, name)
    ]
    if begun.plain_tokens != asked.plain_tokens:
        found.append(" ".join(["--plain-tokens", *begun.plain_tokens]) if begun.plain_tokens else "no --plain-tokens")
    if begun.random_weights != asked.random_weights:
        found.append("--random-weights" if begun.random_weights else "the weights of its model")
    return found
