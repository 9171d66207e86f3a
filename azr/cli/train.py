"""`azr train`: the run, from one command to its end."""

from __future__ import annotations

import argparse
from pathlib import Path

from azr.cli.config import add_config_arguments

SUMMARY = "Train a model by self-play: it proposes tasks, solves them, and learns from what running the code says."
EPILOG = """Engines, proposers, solvers, services and learner are brought up, shown while they start, and taken down.
Ctrl-C finishes the step, writes a checkpoint and leaves; twice leaves at once. Keys are explained by
`azr config reference`; presets are listed by `azr config presets`.

examples:
  azr train --config tiny                                      ten minutes on two CPU cores, with the embedded model
  azr train --config tiny --dry-run                            what would be started, and how old data may get
  azr train --resume runs/tiny run.minutes=60                  go on from the newest checkpoint
  azr train --config tiny run.name=sync staleness.max_staleness=0          the synchronous baseline, same code
  azr train --config qwen2.5-coder-3b algorithm=paper cluster.gpu=H100-80GB --dry-run
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--resume", type=Path, metavar="RUN", help="go on with the run in this folder")
    parser.add_argument("--dry-run", action="store_true", help="print the plan and stop")
    add_config_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Plan, or train."""
    from azr.run.command import train

    return train(
        configs=arguments.config, overrides=arguments.overrides, resume=arguments.resume, dry_run=arguments.dry_run
    )
