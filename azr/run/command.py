"""What `azr train` does: composes the configuration, plans or drives, and says how it ended.

arguments ─► new configuration, or the run's own with allowed changes ─► plan (--dry-run), or whether it fits the cards
             that are named, then Driver ─► closing words
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from shlex import quote

from omegaconf import OmegaConf

from actors.weights.folders import remove_abandoned_versions, versions_folder
from azr.config import Config, compose, load, resolved_yaml
from azr.errors import AzrError, UsageError
from azr.game.checks import check
from azr.memory_plan.configured import plan_memory
from azr.run.folder import RunFolder
from azr.run.needed_room import require_room, room_lines
from azr.run.plan import plan_lines
from azr.run.quiet import hush
from azr.run.resume import PLACE, check_changes
from azr.run.stopping import raised
from azr.text import printable
from azr.tiny.shipped import NAME, as_kept, at_its_place, same_model


def train(*, configs: Sequence[str], overrides: Sequence[str], resume: Path | None, dry_run: bool) -> int:
    """Carry out the command; the answer is its exit status."""
    if resume is not None and configs:
        raise UsageError("a resumed run has its configuration", "leave --config out; change single keys with key=value")
    config, changes = _resumed(resume, overrides) if resume else (check(load(configs, overrides)), [])
    if not config.model.path:
        raise AzrError("no model is named", "choose a preset (azr train --config tiny), or set model.path")
    config.model.path = as_kept(config.model.path)
    if dry_run:
        standing = standing_checkpoints(resume)
        print("\n".join(map(printable, [*plan_lines(config), *room_lines(config, standing=standing), *changes])))
        if config.cluster.gpu:
            _plan_memory(config)
        return 0
    return _drive(config, resume, changes)


def _resumed(folder: Path, overrides: Sequence[str]) -> tuple[Config, list[str]]:
    """The configuration of a run with what is changed now, and the changes in words."""
    run = RunFolder(folder)
    card = run.card()
    if not run.config.exists():
        raise AzrError(f"{run.config} is missing", "restore it from a checkpoint, which holds a copy")
    before = compose([str(run.config)])
    for word in overrides:
        if word.partition("=")[0] in PLACE:
            raise UsageError(
                f"{word}: a resumed run is where its folder is, and named after it",
                "move or rename the folder, then resume it there",
            )
    config = check(load([str(run.config)], overrides))
    for each in (before, config):  # the folder may have been moved or renamed since: it is where it is
        each.run.name, each.run.folder = run.root.name, str(run.root.parent)
        each.model.path = as_kept(each.model.path)  # runs that were begun by earlier versions name it as it was typed
    if same_model(before.model.path, config.model.path):
        config.model.path = before.model.path
    changed = check_changes(_plain(before), _plain(config))
    if card.ended == "finished":
        _require_more(config, run, overrides)
    return config, [f"changed    {key}: {old} -> {new}" for key, (old, new) in changed.items()]


def _require_more(config: Config, run: RunFolder, overrides: Sequence[str]) -> None:
    """Refuse a finished run of which a bound is met still: everything would be brought up to train nothing."""
    more = raised(
        steps=config.run.steps,
        minutes=config.run.minutes,
        step=_step(run) if config.run.steps else 0,
        seconds=run.card().elapsed_seconds,
    )
    if more:
        replaced = {word.partition("=")[0] for word in more.split()}
        others = [quote(word) for word in overrides if word.partition("=")[0] not in replaced]
        raise AzrError(
            f"{run.root} is finished: it has had the steps or minutes that are asked for",
            f"ask for more, e.g. {' '.join(['azr train --resume', quote(str(run.root)), *others, more])}; "
            "0 is no such bound",
        )


def _step(run: RunFolder) -> int:
    """Where a resume would take the run up."""
    from learner import checkpoint

    newest = checkpoint.newest(run.checkpoints)
    return checkpoint.read_state(newest).step if newest else 0


def _plain(config: Config) -> dict[str, object]:
    plain = OmegaConf.to_container(OmegaConf.create(resolved_yaml(config)))
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def _plan_memory(config: Config) -> None:
    """Show what each GPU would hold; what does not fit is refused. Of an unknown model or GPU nothing can be said."""
    try:
        plan = plan_memory(at_its_place(config))
    except AzrError as error:
        print(printable(f"memory     not planned: {error.what} ({error.mend})"))
        return
    print("\n".join(map(printable, ["", *plan.lines()])))
    plan.refuse()


def fitting(config: Config) -> list[str]:
    """A line on the memory plan where cards are named; what does not fit them is refused. Of a model or a card that is
    not known nothing can be said, and it may well fit."""
    if not config.cluster.gpu:
        return []
    try:
        plan = plan_memory(at_its_place(config))
    except AzrError as error:
        return [f"memory     not planned: {error.what}"]
    try:
        plan.refuse()
    except AzrError as error:
        other = "cluster.gpu=TYPE if the cards are others, cluster.gpu='' to begin without a plan"
        raise AzrError(error.what, f"{error.mend}; or {other}") from None
    return [f"memory     planned to fit {plan.cards:g} x {plan.card.name} (azr config memory shows the plan)"]


def standing_checkpoints(resume: Path | None) -> int:
    """Checkpoints that a resumed run has, whole or half written: they take no more room."""
    return sum(1 for _ in (resume / "checkpoints").glob("step_*")) if resume is not None else 0


def _drive(config: Config, resume: Path | None, changes: Sequence[str]) -> int:
    told = [*fitting(config), *changes]
    # In a cluster that is joined nobody tidies up after a killed driver, and what it left takes the room asked for now.
    remove_abandoned_versions(versions_folder(config.weights.folder, "").parent)
    require_room(config, standing=standing_checkpoints(resume))
    hush()
    from azr.run.beginning import begin, goal_of, take_up
    from azr.run.console import Console
    from azr.run.driver import Driver
    from azr.run.evaluation import read
    from azr.run.summary import closing_lines, learned
    from azr.run.tracking.mlflow import tracking_uri

    console = Console(config.algorithm.game.task_types, goal_of(config))
    folder = begin(config) if resume is None else RunFolder(resume)
    with folder.held():
        console.keep(folder.logs / "driver.log")
        if resume is not None:
            take_up(config, folder)
        for line in told:
            console.say(line)
        ending = Driver(config, folder, console).run()
    if table := learned(read(folder.evaluations), ending.step):
        console.table(*table)
    uses_mlflow = config.tracking.mlflow != "off"
    uri = tracking_uri(config.tracking.mlflow, folder.root.parent) if uses_mlflow else ""
    for line in closing_lines(
        ending,
        folder.root,
        goal_of(config),
        mlflow_uri=uri,
        mlflow_id=folder.card().mlflow,
        mlflow=uses_mlflow,
        embedded=config.model.path == NAME,
    ):
        console.say(line)
    return 0 if ending.status in ("finished", "stopped") else 1
