"""`azr tiny`: makes the tiny base model that azr ships, from nothing, and judges it."""

from __future__ import annotations

import argparse
from pathlib import Path

from azr.cli.ending import tidied_when_ended
from azr.cli.numbers import positive, whole
from azr.config.sections.run import LARGEST_SEED
from azr.files import require_writable

SUMMARY = "Make the embedded tiny base model from nothing, and judge it."
EPILOG = """Programs are drawn from a grammar, run in the sandbox, written down in the game's compact prompts, and a
model of about 1.4 million random weights learns them. Each stage leaves a file in the folder and is passed over when
it is there, so the same command continues after a stop.

examples:
  azr tiny pretrain runs/tiny-base                     everything: corpus, vocabulary, training, export
  azr tiny pretrain runs/try --specimens 2000 --epochs 1        a quick look at the whole way
  azr tiny evaluate tiny                               accuracy of the shipped model by cell on the held-out tasks
  azr tiny evaluate runs/tiny-base/model               of another one
  azr tiny overlap runs/tiny-base/corpus.jsonl         held-out programs in a corpus: there must be none
  azr tiny widen qwen3-1.7b runs/wide                  the shipped model at a published size, to try machines with
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    pretrain = actions.add_parser("pretrain", help="make a model in a folder, or continue making it")
    pretrain.add_argument("folder", type=Path, help="where all stages leave their files")
    pretrain.add_argument("--specimens", type=whole(1), default=60_000, help="programs of the corpus (default 60000)")
    pretrain.add_argument("--epochs", type=positive(), default=1.0, help="passes over the corpus (default 1)")
    pretrain.add_argument(
        "--tokens-per-step", type=whole(1), default=2048, help="about this many a step (default 2048)"
    )
    pretrain.add_argument("--lr", type=positive(), default=2e-3, help="peak learning rate (default 2e-3)")
    pretrain.add_argument(
        "--seed", type=whole(0, LARGEST_SEED), default=0, help="of corpus, weights and order (default 0)"
    )

    evaluate = actions.add_parser("evaluate", help="accuracy by cell on the held-out tasks")
    evaluate.add_argument("model", help="`tiny` for the shipped model, or a Hugging Face folder")
    evaluate.add_argument(
        "--tasks", type=whole(1), default=200, help="held-out tasks of each type, 200 at most (default 200)"
    )
    evaluate.add_argument("--samples", type=whole(0), default=4, help="sampled answers a task (default 4)")
    evaluate.add_argument("--output", type=Path, default=None, help="write the table as JSON as well")

    held_out = actions.add_parser(
        "held-out", help="make the files of held-out tasks anew; the same seed, the same bytes"
    )
    held_out.add_argument("folder", type=Path, help="where common.jsonl and harder.jsonl are written")

    overlap = actions.add_parser("overlap", help="search a corpus for held-out programs, by normalised syntax tree")
    overlap.add_argument("files", type=Path, nargs="+", metavar="FILE", help="JSON lines of prompt and response")

    ship = actions.add_parser("ship", help="evaluate a model and put it in the shipped one's place (developers)")
    ship.add_argument("model", type=Path, help="Hugging Face folder")
    ship.add_argument("--samples", type=whole(0), default=4, help="sampled answers a task in its table (default 4)")
    ship.add_argument("--made-by", default="azr tiny pretrain FOLDER", help="the command that made it, for the card")

    widen = actions.add_parser("widen", help="the shipped model at a published size, to try machines with")
    widen.add_argument("size", help="qwen3-0.6b, -1.7b, -4b, -8b or -14b")
    widen.add_argument("out", type=Path, help="the model folder to make; must not exist yet")
    widen.add_argument("--seed", type=whole(0, LARGEST_SEED), default=0, help="of what is added (default 0)")

    for action in (pretrain, evaluate, held_out, overlap, ship):
        action.add_argument("--workers", type=whole(1), default=None, help="sandbox processes (default: all cores)")


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked."""
    return _ACTIONS[arguments.action](arguments)


def _pretrain(arguments: argparse.Namespace) -> int:
    from azr.tiny.pretrain import Recipe, pretrain

    recipe = Recipe(
        specimens=arguments.specimens,
        epochs=arguments.epochs,
        tokens_per_step=arguments.tokens_per_step,
        lr=arguments.lr,
        seed=arguments.seed,
    )
    with tidied_when_ended():
        pretrain(arguments.folder, recipe, workers=arguments.workers)
    return 0


def _evaluate(arguments: argparse.Namespace) -> int:
    if arguments.output is not None:
        require_writable(arguments.output)
    from azr.tiny.evaluation import evaluate_folder, show
    from azr.tiny.shipped import resolve

    table = evaluate_folder(
        Path(resolve(arguments.model)), tasks=arguments.tasks, samples=arguments.samples, workers=arguments.workers
    )
    show(table, arguments.output)
    return 0


def _held_out(arguments: argparse.Namespace) -> int:
    from azr.tiny.held_out import write_held_out
    from sandbox_wasm.pool import open_sandbox

    with open_sandbox("wasm", workers=arguments.workers, instances="restored") as sandbox:
        for path in write_held_out(arguments.folder, sandbox):
            print(path)
    return 0


def _overlap(arguments: argparse.Namespace) -> int:
    """1 when a held-out program is found: a check that scripts can build on."""
    from azr.text import printable
    from azr.tiny.held_out import held_out_normal_forms, overlap
    from learner.supervised import read_pairs
    from sandbox_wasm.pool import open_sandbox

    texts = (f"{pair.prompt}\n{pair.response}" for pair in read_pairs(arguments.files))
    found = 0
    with open_sandbox("wasm", workers=arguments.workers, instances="restored") as sandbox:
        for program in overlap(texts, sandbox, held_out_normal_forms()):
            found += 1
            print(printable(program))
    print(f"{found} held-out programs in these files")
    return 1 if found else 0


def _ship(arguments: argparse.Namespace) -> int:
    from azr.bench.machine import checkout
    from azr.files import write_text
    from azr.tiny.card import card, with_table
    from azr.tiny.evaluation import evaluate_folder, show
    from azr.tiny.held_out import TASKS
    from azr.tiny.shipped import ship

    table = evaluate_folder(arguments.model, tasks=TASKS, samples=arguments.samples, workers=arguments.workers)
    show(table, None)
    print(ship(arguments.model, card=card(table, folder=arguments.model, command=arguments.made_by)))
    root = checkout()
    if root is not None:
        page = root / "docs" / "tiny.md"
        write_text(page, with_table(page.read_text(encoding="utf-8"), table))
        print(page)
    return 0


def _widen(arguments: argparse.Namespace) -> int:
    from azr.errors import AzrError
    from azr.tiny.widened import SIZES, write_widened

    if arguments.size not in SIZES:
        raise AzrError(f"no size is called {arguments.size!r}", f"take one of {', '.join(SIZES)}")
    print(write_widened(arguments.out, SIZES[arguments.size], named=arguments.size, seed=arguments.seed))
    return 0


_ACTIONS = {
    "pretrain": _pretrain,
    "evaluate": _evaluate,
    "held-out": _held_out,
    "overlap": _overlap,
    "ship": _ship,
    "widen": _widen,
}
