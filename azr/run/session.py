"""Engines for a short job outside any run: an evaluation, or seeds for later runs.

Called by `azr eval` and `azr seed make`. A Ray of its own or a cluster that is joined, engines, no books; all gone at
the end, the logs too, unless it fails.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from actors.players.judge import open_tried_pool
from actors.players.tokens import Tokens, load_tokens
from azr.config.root import Config
from azr.held_folders import LOCK, hold, scratch
from azr.run.engines import Engines, open_engines
from azr.run.local_ray import ray_of, require_reachable
from azr.run.quiet import hush
from azr.run.stages import Stages
from azr.run.stopping import leave_on_termination
from azr.tiny.shipped import at_its_place
from sandbox_wasm.cores import available_cores
from sandbox_wasm.pool import SandboxPool


class Session(NamedTuple):
    """What a short job works with."""

    config: Config
    engines: Engines
    tokens: Tokens
    sandbox: SandboxPool


@contextlib.contextmanager
def session(config: Config, tell: Callable[[str], None]) -> Iterator[Session]:
    """Bring up engines and a sandbox for the configured model, and take them down again."""
    require_reachable(config.cluster.address)
    hush()
    tokens = load_tokens(at_its_place(config).model)  # before anything has logs to keep
    stages, wait = Stages(tell), config.cluster.start_seconds
    with logs_folder(tell, joined=bool(config.cluster.address)) as folder, contextlib.ExitStack() as stack:
        config = at_its_place(replace(config, run=replace(config.run, folder=str(folder))))
        with stages.stage("cluster", "Ray", wait):
            stack.enter_context(ray_of(config, folder / config.run.name / "logs"))
        leave_on_termination()
        engines = open_engines(config)
        stack.callback(engines.stop, config.cluster.stop_seconds)
        engines.deploy()
        workers = config.sandbox.workers or available_cores()
        sandbox = stack.enter_context(open_tried_pool(config.sandbox, workers))
        with stages.stage("engines", f"{engines.wanted} to load {config.model.path}", wait) as stage:
            engines.ready(stage.remaining, stage.now)
        yield Session(config, engines, tokens, sandbox)


@contextlib.contextmanager
def logs_folder(tell: Callable[[str], None], *, joined: bool = False) -> Iterator[Path]:
    """Where the parts write their logs. It goes at the end, unless an error ends the block: then it is told. `joined`:
    in a cluster with other nodes, which keeps Ray's own."""
    folder = Path(tempfile.mkdtemp(prefix="azr-session-"))
    try:
        with hold(folder):
            yield folder
    except Exception:
        (folder / LOCK).unlink(missing_ok=True)  # from now on it is the user's, and nobody tidies it away
        if joined:
            told = "; those on others wrote under the same path there, and Ray's own logs are the cluster's"
            tell(f"what engines on this node said is kept in {folder}{told}")
        else:
            tell(f"what engines and Ray said is kept in {folder}")
        raise
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)


def run_of(source: str) -> Path | None:
    """The run's folder where what is named is a run or one of its checkpoints."""
    path = Path(source)
    if (path / "checkpoints").is_dir():
        return path
    return path.absolute().parent.parent if (path / "learner.json").exists() else None


def configuration_of(source: str) -> Path | None:
    """The configuration with which what is named was trained: how its prompts are framed, how its tokenizer spells."""
    run = run_of(source)
    return run / "config.yaml" if run is not None and (run / "config.yaml").exists() else None


@contextlib.contextmanager
def model_of(source: str) -> Iterator[str]:
    """The model folder of what is named: a model as it is; a run or one of its checkpoints, exported for the while.

    Its tokenizer is the base model's own: `model.plain_tokens` are applied where it is loaded, as in the run. Those of
    `azr sft`, which has no configuration, are applied here.
    """
    path = Path(source)
    if run_of(source) is None:
        yield source
        return
    from azr.run.exporting import export_run
    from learner.checkpoint import read_state
    from learner.export import find_checkpoint

    leave_on_termination()  # an export takes a while, and is as large as the model
    with scratch("model") as folder:
        plain = read_state(find_checkpoint(path)).plain_tokens
        yield str(export_run(path, folder / "model", dtype="float32", plain_tokens=plain))
