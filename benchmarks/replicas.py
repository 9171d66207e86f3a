"""What benchmarks of real replicas share: a small Ray of their own, the model, requests."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from actors.engine.leftovers import sweep
from azr.held_folders import hold
from azr.run.local_ray import PREFIX, on_this_machine
from azr.run.stopping import leave_on_termination

if TYPE_CHECKING:
    from actors.engine.records import GenerateRequest

#: Where this code is imported from, which Ray's processes must find as well.
CODE = Path(__file__).parents[1]


@contextlib.contextmanager
def small_ray() -> Iterator[Path]:
    """A Ray with Serve for the block, and a short folder that goes with it (Ray's socket paths have little room)."""
    import ray
    from ray import serve

    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir="/tmp"))
    search = os.pathsep.join(filter(None, [str(CODE), os.environ.get("PYTHONPATH")]))
    processes: list[int] = []
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.enter_context(hold(folder))
        stack.callback(sweep, processes)  # replicas that Serve ends leave the folders of their sockets
        stack.callback(ray.shutdown)
        ray.init(
            num_cpus=4,
            include_dashboard=False,
            object_store_memory=128 << 20,
            _temp_dir=str(folder / "ray"),
            log_to_driver=False,
            runtime_env=on_this_machine({"PYTHONPATH": search}),
        )
        leave_on_termination()
        stack.callback(serve.shutdown)
        stack.callback(lambda: processes.extend(child.pid for child in psutil.Process().children(recursive=True)))
        yield folder


def model_folder(named: str, scratch: Path) -> Path:
    """The model folder named, the embedded one, or one of a published shape with random weights, made in `scratch`."""
    from azr.tiny.shipped import resolve
    from benchmarks.model_shapes import SHAPES

    if named in SHAPES and named != "tiny":
        return SHAPES[named].save_with_random_weights(scratch / named)
    return Path(resolve(named or "tiny")).absolute()


def numbered_request(name: str, number: int, tokens: int, seed: int) -> GenerateRequest:
    """A request for exactly so many tokens, with a prompt of forty by its number."""
    from actors.engine.records import GenerateRequest

    prompt = tuple(range(number % 40, number % 40 + 40))
    return GenerateRequest(id=name, prompt_ids=prompt, seed=seed, max_tokens=tokens, ignore_end=True)
