"""A run's checkpoint as a model folder, wherever the run came from.

Called by `azr export`, `azr serve` and `azr eval`. A checkpoint holds weights; architecture and tokenizer are the base
model's, and where that lay is a path of the machine that trained. Where it is gone, the run's configuration says what
was asked for: the embedded model is in every installation, and a name can be downloaded.

    checkpoint ─┬─ learner.json: folder that the learner read ──── is there? ──► base ─┐
                └─ config.yaml: model.path, as it was configured ──── else ──────┘     ├──► learner.export
                                              └──────── named in the model card ───────┘
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from azr.config import compose
from azr.config.sections.model import ModelConfig
from azr.tiny import shipped
from learner.checkpoint import read_state, require_tokenizer
from learner.export import export, find_checkpoint


def export_run(
    source: Path,
    out: Path,
    *,
    dtype: str,
    figures: dict[str, float] | None = None,
    plain_tokens: Sequence[str] = (),
) -> Path:
    """Write the model folder of a run's newest checkpoint, or of one checkpoint; the rest is as in `learner.export`."""
    folder = find_checkpoint(source)
    base, named = base_of(folder)
    return export(folder, out, dtype=dtype, figures=figures, plain_tokens=plain_tokens, base=base, base_name=named)


def base_of(checkpoint: Path) -> tuple[str, str]:
    """Folder or name of the model that a checkpoint's run began with, and what the run's configuration calls it."""
    read, configured = read_state(checkpoint).model, _configured(checkpoint)
    gone = Path(read).is_absolute() and not Path(read).exists()
    base = shipped.resolve(configured) if gone and configured else read
    require_tokenizer(checkpoint, base)
    return base, configured or read


def plain_tokens_of(checkpoint: Path) -> list[str]:
    """Added tokens that the checkpoint's run spelled as ordinary text, as whoever uses its weights must, too."""
    return list(_model_section(checkpoint).plain_tokens or read_state(checkpoint).plain_tokens)


def _configured(checkpoint: Path) -> str:
    """`model.path` of the run's configuration."""
    return _model_section(checkpoint).path


def _model_section(checkpoint: Path) -> ModelConfig:
    """Of the run's own configuration, which may have been mended, or the checkpoint's copy. Only composed: a tracker
    that the run went with need not be installed where its weights are used."""
    for path in (checkpoint.parent.parent / "config.yaml", checkpoint / "config.yaml"):
        if path.exists():
            return compose([str(path)]).model
    return ModelConfig()
