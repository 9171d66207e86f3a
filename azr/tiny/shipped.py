"""The tiny base model that travels with azr, so that a fresh laptop without a network has something that learns.

Owns where it lies and what belongs to it. Asked by whoever resolves a model's name (`tiny`), put there by
`azr tiny ship`.

    azr tiny pretrain ──► model folder ──ship──► azr/tiny/model/{model.safetensors, config, tokenizer, card} ──► wheel
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from azr.config.root import Config
from azr.errors import AzrError
from azr.files import write_text

#: The name under which configurations ask for it.
NAME = "tiny"

#: It is in every checkout and every wheel, so it must stay small.
MOST_BYTES = 4 * 1024 * 1024

_FOLDER = Path(__file__).parent / "model"

#: What a model folder must hold for transformers, vLLM and people.
_NEEDED = ("model.safetensors", "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json")


def folder() -> Path:
    """The shipped model, a whole Hugging Face folder."""
    if not (_FOLDER / "config.json").exists():
        raise AzrError(
            "this installation came without the tiny model",
            "install azr again, or make one: `azr tiny pretrain FOLDER`",
        )
    return _FOLDER


def resolve(name: str) -> str:
    """The path of the shipped model if that is what is named, and the absolute one of a folder on this machine: who
    loads the model may have another working directory, as in a cluster that was joined. Any other name as it is."""
    if name == NAME:
        return str(folder())
    return str(Path(name).absolute()) if name and Path(name).is_dir() else name


def as_kept(name: str) -> str:
    """A model's name as a run keeps it: a folder by its absolute path, since the run may be resumed from elsewhere; the
    embedded model by its name, since it may be installed elsewhere by then."""
    return name if name == NAME else resolve(name)


def same_model(one: str, other: str) -> bool:
    """Whether both name one model, if only in two spellings of the folder's path."""
    if one == other or not (one and other):
        return one == other
    first, second = Path(resolve(one)), Path(resolve(other))
    return first.is_dir() and second.is_dir() and first.samefile(second)


def model_folder(name: str) -> Path:
    """The folder of a model on this machine: the shipped one, or one that is named by its path."""
    found = Path(resolve(name))
    if not (found / "config.json").exists():
        raise AzrError(f"{found} is no model folder", "name one that holds config.json, e.g. what `azr export` wrote")
    return found


def at_its_place(config: Config) -> Config:
    """The configuration as parts get it: the embedded model by its folder on this machine."""
    return replace(config, model=replace(config.model, path=resolve(config.model.path)))


def ship(model: Path, *, card: str, to: Path = _FOLDER) -> Path:
    """Put a model folder in the shipped one's place, with its card; one that is not whole or too large is refused."""
    missing = [name for name in _NEEDED if not (model / name).exists()]
    if missing:
        raise AzrError(
            f"{model} lacks {', '.join(missing)}", "name a folder that `azr tiny pretrain` or `azr export` made"
        )
    size = sum(path.stat().st_size for path in model.iterdir() if path.is_file())
    if size > MOST_BYTES:
        raise AzrError(
            f"{model} has {size:,} bytes; what every installation carries has {MOST_BYTES:,} at most",
            "export it in bfloat16 (`azr export … --dtype bfloat16`), or train a smaller one",
        )
    aside = to.with_name(to.name + ".partial")
    shutil.rmtree(aside, ignore_errors=True)
    shutil.copytree(model, aside)
    write_text(aside / "README.md", card)
    shutil.rmtree(to, ignore_errors=True)
    aside.rename(to)
    return to
