"""`azr export`: a run's checkpoint as a Hugging Face folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from azr.cli.ending import tidied_when_ended

SUMMARY = "Write a run's checkpoint as a model folder that transformers and vLLM load."
EPILOG = """The folder holds safetensors, configuration, tokenizer, chat template, generation settings and a model card.
Adapters are merged. It does not matter how many ranks wrote the checkpoint. The card carries the run's held-out
results of these weights and how its own tasks went, and the tokenizer spells what the run's model.plain_tokens names as
ordinary text.

examples:
  azr export runs/warm ./warm-model                                the newest checkpoint, in bfloat16
  azr export runs/warm/checkpoints/step_00000100 ./early --dtype float32
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("checkpoint", type=Path, help="a run's folder, or one of its checkpoints")
    parser.add_argument("out", type=Path, help="the model folder to make; must not exist yet")
    parser.add_argument(
        "--dtype", choices=["bfloat16", "float16", "float32"], default="bfloat16", help="of the weights"
    )


def run(arguments: argparse.Namespace) -> int:
    """Export and say where."""
    from azr.run.exporting import export_run, plain_tokens_of
    from learner.checkpoint import read_state
    from learner.export import find_checkpoint

    found = find_checkpoint(arguments.checkpoint.absolute())  # the run is found, and named, by the folders above it
    figures, plain = _figures(found.parent.parent, read_state(found).step), plain_tokens_of(found)
    with tidied_when_ended():
        out = export_run(found, arguments.out, dtype=arguments.dtype, figures=figures, plain_tokens=plain)
    print(f"{found} -> {out}")
    return 0


def _figures(run_folder: Path, step: int) -> dict[str, float]:
    """What the run that made the checkpoint measured of that step; a checkpoint alone has none."""
    from azr.report import read_figures

    return read_figures(run_folder, step) if (run_folder / "metrics.jsonl").exists() else {}
