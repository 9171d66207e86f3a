"""`azr serve`: a model, or a run's newest checkpoint, behind an OpenAI-style HTTP API."""

from __future__ import annotations

import argparse
import asyncio
import re
from pathlib import Path

from azr.config.sections.rollout import RolloutConfig
from azr.config.sections.weights import WeightsConfig
from azr.errors import AzrError, UsageError
from azr.held_folders import scratch
from azr.tiny import shipped

#: A model's name, or its owner's and its own. A folder that was mistyped may look like one.
_HUB_NAME = re.compile(r"[\w.-]*\w[\w.-]*(/[\w.-]*\w[\w.-]*)?")

SUMMARY = "Talk to a model, or to a run's checkpoint, over an OpenAI-style HTTP API."
EPILOG = """Answers /v1/completions and /v1/chat/completions (streaming too), /v1/models and /health, with the engine
that a run samples with. Ctrl-C ends it.

examples:
  azr serve tiny                                    the model that ships with azr, on port 8000
  azr serve runs/first --port 9000                  the newest checkpoint of a run
  azr serve Qwen/Qwen2.5-Coder-3B --tensor-parallel 2
  curl localhost:8000/v1/completions -H 'content-type: application/json' \\
       -d '{"model": "tiny", "prompt": "def f(x):", "max_tokens": 40}'
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what to serve and where."""
    parser.add_argument("model", help="`tiny`, a model folder or name, a run's folder, or one of its checkpoints")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on; 0: any free one (default: 8000)")
    parser.add_argument("--name", default="", help="what clients call the model (default: the folder's name)")
    parser.add_argument("--tensor-parallel", type=int, default=1, help="GPUs that share the model (default: 1)")
    parser.add_argument("--max-model-len", type=int, default=0, help="longest prompt with its response, in tokens")
    parser.add_argument("--dtype", default="auto", choices=["auto", "float32", "bfloat16", "float16"])


def run(arguments: argparse.Namespace) -> int:
    """Serve until told to stop."""
    from actors.engine.errors import EngineError
    from actors.engine.http import serve
    from actors.engine.settings import EngineSettings
    from azr.run.stopping import leave_on_termination

    for option, value, least, most in (
        ("--port", arguments.port, 0, 65_535),
        ("--tensor-parallel", arguments.tensor_parallel, 1, 1024),
        ("--max-model-len", arguments.max_model_len, 0, 1 << 30),
    ):
        if not least <= value <= most:
            raise UsageError(f"{option} {value} is out of range", f"it must be between {least} and {most:,}")
    leave_on_termination()  # before a model is exported, which takes a while
    with scratch("serve") as folder:
        model = model_folder(arguments.model, folder)
        name = arguments.name or client_name(arguments.model)
        rollout = RolloutConfig(
            tensor_parallel=arguments.tensor_parallel, max_model_len=arguments.max_model_len, dtype=arguments.dtype
        )
        settings = EngineSettings.of(model, rollout, WeightsConfig(transport="shm"))
        print(f"starting an engine with {arguments.model}", flush=True)
        serving = serve(
            settings,
            name=name,
            host=arguments.host,
            port=arguments.port,
            ready=lambda url: print(f"{name} answers at {url}/v1 (Ctrl-C ends it)", flush=True),
        )
        try:
            asyncio.run(serving)
        except EngineError as error:
            raise AzrError(
                f"{arguments.model} cannot be served: {error}",
                "the engine's own words above say what of; azr doctor looks at the machine",
            ) from error
    return 0


def client_name(named: str) -> str:
    """What clients call what is served where nobody says: the last part of its path, also of `.` and `..`."""
    name = Path(named).name
    return name if name not in ("", "..") else Path(named).resolve().name


def model_folder(named: str, aside: Path) -> str:
    """What vLLM is to load: a model as it is, a checkpoint exported into `aside` first."""
    folder = Path(named)
    if not folder.is_dir() and (folder.exists() or not _HUB_NAME.fullmatch(named)):
        what = "is no folder" if folder.exists() else "does not exist"
        raise AzrError(f"{named} {what}", "name `tiny`, a model's folder or hub name, a run's folder, or a checkpoint")
    if named == shipped.NAME and not folder.exists():
        return shipped.resolve(named)
    if not folder.is_dir() or (folder / "config.json").exists():
        return str(folder.absolute()) if folder.is_dir() else named
    from azr.run.exporting import export_run, plain_tokens_of
    from learner.export import find_checkpoint

    found = find_checkpoint(folder)
    print(f"exporting {found}", flush=True)
    plain = plain_tokens_of(found)
    return str(export_run(found, aside / "model", dtype="float32", plain_tokens=plain).absolute())
