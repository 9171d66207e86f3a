"""`azr import`: checkpoints of other systems as Hugging Face folders."""

from __future__ import annotations

import argparse
from pathlib import Path

from azr.cli.ending import tidied_when_ended
from azr.progress import Progress
from azr.tiny import shipped

SUMMARY = "Bring a checkpoint of another system in as a model folder that transformers and vLLM load."
EPILOG = """verl: FSDP shards as the published system writes them (model_world_size_N_rank_R.pt), of any number of
ranks. The shards are read as plain tensors: nothing that is in them is ever run, and a file that wants to is refused.

examples:
  azr import verl checkpoints/global_step_400/actor ./published-7b
  azr import verl checkpoints ./newest --dtype float32               the newest step of a run
  azr import verl shards ./model --model Qwen/Qwen2.5-7B             shards without their huggingface folder
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the systems."""
    systems = parser.add_subparsers(metavar="SYSTEM", required=True)
    verl = systems.add_parser("verl", help="FSDP shards of the published system")
    verl.add_argument("checkpoint", type=Path, help="folder of shards, of a step, or of a run's checkpoints")
    verl.add_argument("out", type=Path, help="the model folder to make; must not exist yet")
    verl.add_argument("--model", help="where configuration and tokenizer are, if not beside the shards")
    verl.add_argument("--dtype", choices=["bfloat16", "float16", "float32"], default="bfloat16", help="of the weights")


def run(arguments: argparse.Namespace) -> int:
    """Import and say where."""
    from learner.import_verl import find_shards, import_verl

    folder, paths = find_shards(arguments.checkpoint)
    progress: list[Progress] = []

    def tell(done: int, total: int) -> None:
        if not progress:
            progress.append(Progress("joining", total))
        progress[0].show(done, "weights")

    model = shipped.resolve(arguments.model) if arguments.model else None
    with tidied_when_ended():
        out = import_verl(folder, arguments.out, model=model, dtype=arguments.dtype, tell=tell)
    print(f"{folder} ({len(paths)} shards) -> {out}")
    return 0
