"""`azr config`: lists presets, prints the resolved configuration, explains every key.

`add_config_arguments` and `config_of` are what every other command that takes a configuration uses.
"""

from __future__ import annotations

import argparse
import sys

from azr.config import Config, load, preset_names, resolved_yaml
from azr.config.reference import markdown

SUMMARY = "Show presets, the resolved configuration, and what every key means."
EPILOG = """examples:
  azr config presets                                     what ships with azr
  azr config show                                        the defaults
  azr config show --config tiny algorithm=paper run.seed=7
  azr config show --config my.yaml > resolved.yaml       a file that reproduces it exactly
  azr config memory --config qwen2.5-7b --gpu H200       what each GPU would hold, and whether it fits
  azr config reference                                   every key: type, default, meaning
"""


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare `--config` and the overrides, the same on every command that takes a configuration."""
    parser.add_argument(
        "--config",
        action="append",
        default=[],
        metavar="NAME|FILE",
        help="preset name or YAML file; may be given several times, later wins",
    )
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="KEY=VALUE",
        help="override of one key (run.seed=7) or choice of a group's preset (algorithm=paper)",
    )


def config_of(arguments: argparse.Namespace) -> Config:
    """The configuration that the arguments declared by `add_config_arguments` ask for."""
    from azr.game.checks import check  # here, because most commands that print help need none of the game

    return check(load(arguments.config, arguments.overrides))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    add_config_arguments(actions.add_parser("show", help="print the resolved configuration as YAML"))
    actions.add_parser("presets", help="list the presets that ship with azr")
    memory = actions.add_parser("memory", help="work out what each GPU would hold, and what does not fit")
    add_config_arguments(memory)
    memory.add_argument("--gpu", default="", metavar="TYPE", help="e.g. H100-80GB, H200, L40S (default: cluster.gpu)")
    actions.add_parser("reference", help="print every key with type, default and meaning, as Markdown")


def run(arguments: argparse.Namespace) -> int:
    """Print what was asked for."""
    if arguments.action == "show":
        sys.stdout.write(resolved_yaml(config_of(arguments)))
    elif arguments.action == "memory":
        from azr.memory_plan.configured import plan_memory
        from azr.tiny.shipped import at_its_place

        plan = plan_memory(at_its_place(config_of(arguments)), arguments.gpu)
        print("\n".join(plan.lines()), flush=True)
        plan.refuse()
    elif arguments.action == "presets":
        print("\n".join(preset_names()))
    else:
        sys.stdout.write(markdown())
    return 0
