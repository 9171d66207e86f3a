"""`azr eval`: held-out tasks, answered by a model or a run's checkpoint through the engine, judged in the sandbox."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from azr.cli.config import add_config_arguments, config_of
from azr.config import Config, compose
from azr.config.sections.evaluation import EvaluationConfig
from azr.config.sections.weights import WeightsConfig
from azr.errors import ConfigError, UsageError
from azr.files import require_writable

SUMMARY = "Ask a model, or a run's newest checkpoint, the held-out tasks, and judge its answers in the sandbox."
EPILOG = """The answers come from the same engine that a run uses; each task is answered greedily once, and sampled
some times at temperature 1. A run, or a checkpoint in its folder, is asked as its own configuration says (frame,
tokens, lengths), a model as preset tiny says; --config says otherwise. Engines stand on this machine, also those for
the run of a cluster, unless cluster.address is given here, as cluster.address=auto in a submitted job. A checkpoint is
exported into this machine's folder for temporary files (TMPDIR); engines on other machines need one that they see too.
`--suite tiny` is the embedded model's world: tasks of its own grammar, and harder ones. Of a run that had none,
it is said that it may have been trained on them. How many are asked is evaluation.tasks and evaluation.samples of
that configuration, where --tasks and --samples do not say otherwise.

examples:
  azr eval tiny                                       the model that ships with azr
  azr eval runs/tiny --suite tiny                     a run's newest checkpoint
  azr eval runs/tiny/checkpoints/step_00000050 --tasks 200 --samples 8 --output table.json
"""

#: What the command sets itself, so that an override of it would do nothing; and what to do instead.
_OWN = {
    "evaluation.suite": "choose with --suite",
    "model.path": "name the model in its place: azr eval MODEL|RUN",
    "rollout.max_replicas": "rollout.replicas says how many engines there are",
    "run.folder": "an evaluation keeps nothing; --output writes its table",
    "run.name": "an evaluation keeps nothing; --output writes its table",
    "weights": "leave it out: nothing of a run that may be alive is touched",
}

_DEFAULTS = EvaluationConfig()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("source", metavar="MODEL|RUN", help="model folder or name, a run's folder, or a checkpoint")
    parser.add_argument("--suite", choices=["tiny"], default="tiny", help="which tasks (default tiny)")
    said = "default: as the configuration says, preset tiny"
    parser.add_argument("--tasks", type=int, help=f"of each type and difficulty ({said} 100)")
    parser.add_argument("--samples", type=int, help=f"sampled answers to each task ({said} {_DEFAULTS.samples})")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the table as JSON as well")
    add_config_arguments(parser)


def configured(arguments: argparse.Namespace) -> Config:
    """The configuration of the evaluation. What a run shares with its own engines is left to it."""
    from azr.run.session import configuration_of

    options = {"suite": arguments.suite, "tasks": arguments.tasks, "samples": arguments.samples}
    asked = {f"evaluation.{name}": value for name, value in options.items() if value is not None}
    for word in arguments.overrides:
        key = word.partition("=")[0]
        if (mend := _OWN.get(key) or _OWN.get(key.partition(".")[0])) is not None:
            raise UsageError(f"azr eval sets {key} itself", mend)
        if key in asked:
            raise UsageError(f"{key} is given twice", "give the option or the override")
    given = bool(arguments.config)
    if not given:
        arguments.config = [str(configuration_of(arguments.source) or "tiny")]
    # As overrides, so that they are checked like all others.
    arguments.overrides = [*arguments.overrides, *(f"{key}={value}" for key, value in asked.items())]
    config = config_of(arguments)
    config.run.name = "eval"
    config.weights = WeightsConfig()
    if not given and not any(word.startswith("cluster.address=") for word in arguments.overrides):
        config.cluster.address = ""  # a run is exported to a folder of this machine, where no other finds it
    config.rollout.max_replicas = 0
    return config


def not_held_out(source: str, suite: str) -> str:
    """What to say of a run that may have been trained on the suite's tasks; empty where it was kept from them, or where
    what is named is no run."""
    from azr.run.session import configuration_of

    own = configuration_of(source)
    try:
        trained = compose([str(own)]).evaluation.suite if own is not None else suite
    except ConfigError:  # of another version: the evaluation is asked otherwise, or was refused before
        return ""
    if trained == suite:
        return ""
    return (
        f"evaluation.suite was {trained} in this run: its tasks may be among those of {suite}, which are not held out"
    )


def run(arguments: argparse.Namespace) -> int:
    """Evaluate and show the table."""
    if arguments.output is not None:
        require_writable(arguments.output)
    from azr.run import evaluation
    from azr.run.local_ray import require_reachable
    from azr.run.session import model_of, session
    from azr.tiny.evaluation import Row, show

    config = configured(arguments)
    require_reachable(config.cluster.address)  # a checkpoint is exported before Ray starts, which takes a while

    def tell(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    if told := not_held_out(arguments.source, config.evaluation.suite):
        tell(told)

    async def ask() -> list[Row]:
        async with at_work.engines.client() as client:
            respond = evaluation.responder(
                client,
                at_work.tokens.encode,
                tag="eval",
                deadline=config.rollout.request_seconds,
                seed=config.run.seed,
                longest=config.lengths.response,
            )
            return await evaluation.evaluate(
                respond, at_work.sandbox, config.evaluation, at_work.tokens.frame, lambda _: None
            )

    with model_of(arguments.source) as config.model.path, session(config, tell) as at_work:
        rows = asyncio.run(ask())
    show(rows, arguments.output)
    return 0
