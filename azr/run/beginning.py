"""The folder of a run before anything is started for it: made for a new one, taken up again for one that is resumed.

Called by `azr train`, ahead of the driver. What would keep the run from starting is refused here, while nothing stands
and nothing is written.

    begin:    Ray, room, seeds, model? ──► config.yaml, card ──────────────► Driver
    take_up:  Ray, room, seeds, tokenizer? ──► card: one more start ───────► Driver
"""

from __future__ import annotations

import time

import msgspec

from actors.players.tokens import load_tokens
from azr.config import Config, write_resolved
from azr.errors import AzrError
from azr.run import seeds
from azr.run.console import Goal
from azr.run.folder import Card, RunFolder
from azr.run.local_ray import require_reachable
from azr.run.room import Room
from azr.run.tracking.json_lines import longest_told
from azr.tiny.shipped import at_its_place, resolve
from learner import checkpoint


def begin(config: Config) -> RunFolder:
    """The folder of a new run. What cannot be begun leaves none."""
    require_reachable(config.cluster.address)
    folder = RunFolder.of(config.run.folder, config.run.name)
    if not folder.exists and any(folder.checkpoints.glob("step_*")):
        raise AzrError(
            f"{folder.root} holds checkpoints of something that is no run, as azr sft leaves them: one would be "
            "taken up as this run's",
            "choose another run.name",
        )
    Room(folder.root, config.checkpoint.free_gb).require()
    seeds.require_file(config, folder)
    load_tokens(at_its_place(config).model)  # a run keeps its model.path: one that was begun with a wrong one is lost
    if not folder.exists:
        # Before the card: with it the folder counts as a run, and a run without a configuration cannot be resumed.
        write_resolved(config, folder.root)
    folder.create(Card(name=config.run.name, started=time.time()))
    return folder


def take_up(config: Config, folder: RunFolder) -> None:
    """Note on the card that one more driver begins, and how long its run has been trained: a driver that was killed
    may have told a step after its last note."""
    require_reachable(config.cluster.address)
    Room(folder.root, config.checkpoint.free_gb).require()
    seeds.require_file(config, folder)
    if (newest := checkpoint.newest(folder.checkpoints)) is not None:
        checkpoint.require_tokenizer(newest, resolve(config.model.path))
    card = folder.card()
    elapsed = max(card.elapsed_seconds, longest_told(folder.metrics))
    card = msgspec.structs.replace(card, starts=card.starts + 1, ended="", not_evaluated="", elapsed_seconds=elapsed)
    folder.write(card)


def goal_of(config: Config) -> Goal:
    """Where the run ends."""
    return Goal(config.run.steps, 60.0 * config.run.minutes)
