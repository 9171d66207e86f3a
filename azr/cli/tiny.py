"""`azr tiny`: makes the tiny base model that azr ships, from nothing."""

from __future__ import annotations

import argparse
from pathlib import Path

SUMMARY = "Make the embedded tiny base model from nothing."
EPILOG = """Programs are drawn from a grammar, run in the sandbox, written down in the game's compact prompts, and a
model of about 1.3 million random weights learns them. Each stage leaves a file in the folder and is passed over when
it is there, so the same command continues after a stop.

examples:
  azr tiny pretrain runs/tiny                          everything: corpus, vocabulary, training, export, evaluation
  azr tiny pretrain runs/try --specimens 2000 --epochs 1        a quick look at the whole way
  azr tiny evaluate runs/tiny/model                    accuracy by cell on the held-out tasks
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    pretrain = actions.add_parser("pretrain", help="make a model in a folder, or continue making it")
    pretrain.add_argument("folder", type=Path, help="where all stages leave their files")
    pretrain.add_argument("--specimens", type=int, default=40_000, help="programs of the corpus (default 40000)")
    pretrain.add_argument("--epochs", type=float, default=4.0, help="passes over the corpus (default 4)")
    pretrain.add_argument("--tokens-per-step", type=int, default=8192, help="about this many a step (default 8192)")
    pretrain.add_argument("--lr", type=float, default=2e-3, help="peak learning rate (default 2e-3)")
    pretrain.add_argument("--workers", type=int, default=None, help="sandbox processes (default: all cores)")
    pretrain.add_argument("--seed", type=int, default=0, help="of corpus, weights and order (default 0)")

    evaluate = actions.add_parser("evaluate", help="accuracy by cell on the held-out tasks")
    evaluate.add_argument("model", type=Path, help="Hugging Face folder")
    evaluate.add_argument("--tasks", type=int, default=200, help="held-out tasks of each type (default 200)")
    evaluate.add_argument("--samples", type=int, default=4, help="sampled answers a task (default 4)")
    evaluate.add_argument("--workers", type=int, default=None, help="sandbox processes (default: all cores)")
    evaluate.add_argument("--output", type=Path, default=None, help="write the table as JSON as well")


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked."""
    if arguments.action == "pretrain":
        from azr.tiny.pretrain import Recipe, pretrain

        recipe = Recipe(
            specimens=arguments.specimens,
            epochs=arguments.epochs,
            tokens_per_step=arguments.tokens_per_step,
            lr=arguments.lr,
            seed=arguments.seed,
        )
        pretrain(arguments.folder, recipe, workers=arguments.workers)
        return 0
    from azr.tiny.evaluation import evaluate_folder, show

    table = evaluate_folder(
        arguments.model, tasks=arguments.tasks, samples=arguments.samples, workers=arguments.workers
    )
    show(table, arguments.output)
    return 0
