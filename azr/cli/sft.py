"""`azr sft`: supervised training of a model on pairs of prompt and response, with the learner's own loop."""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from azr.cli.numbers import positive, whole
from azr.config.sections.run import LARGEST_SEED
from azr.errors import AzrError

SUMMARY = "Train a model on JSON lines of prompt and response."
EPILOG = """a line of the input:
  {"prompt": "2+2=", "response": "4"}

The response is learned, the prompt is not; an end token is put after each response. Pairs are packed up to the token
budget. Stopped at any time, the run continues from its newest checkpoint when the same command is given again.

examples:
  azr sft pairs.jsonl --model Qwen/Qwen2.5-0.5B --out runs/warm --lr 1e-5 --epochs 2
  azr sft a.jsonl b.jsonl --model ./base --out runs/warm --tokens-per-step 65536 --ranks 2
  azr export runs/warm ./warm-model
"""


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
