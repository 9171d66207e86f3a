"""From a learner's checkpoint to a Hugging Face folder that transformers and vLLM load.

Owns the conversion. Called by `azr.run.exporting` and `azr.tiny`. Reads the checkpoint in one process whatever number
of ranks wrote it, merges adapters, and takes configuration and tokenizer from the model that the run began with.

    checkpoints/step_N ──► whole weights ──► OUT/{config.json, model.safetensors, tokenizer…, README.md}
"""

from __future__ import annotations

import re
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributed.checkpoint import state_dict_loader
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.filesystem import FileSystemReader
from torch.distributed.checkpoint.metadata import TensorStorageMetadata

from azr.decoding import UNDECODABLE
from azr.errors import AzrError
from azr.files import write_text
from azr.text import shortened
from azr.tokens import load_tokenizer
from learner import checkpoint
from learner.checkpoint import LearnerState
from learner.lora import merged
from learner.weights import PREFIX

#: Characters of a library's own words in an error.
_WHY_WIDTH = 300

#: A model of the hub, as whose derivative the card lists this one: its owner and its name.
_HUB_NAME = re.compile(r"\w[\w.-]*/[\w.-]+")

#: Where transformers keeps generation settings.
_GENERATION = "generation_config.json"

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def export(
    source: Path,
    out: Path,
    *,
    dtype: str = "bfloat16",
    figures: dict[str, float] | None = None,
    plain_tokens: Sequence[str] = (),
    base: str = "",
    base_name: str = "",
) -> Path:
    """Write the model folder; `source` is a run's folder (its newest checkpoint) or one checkpoint.

    The folder appears whole or not at all; one that is there already is refused. `figures` go into the model card;
    `plain_tokens` are added tokens that the run spelled as text, and whoever uses the model must too. `base` is where
    the model that the run began with lies, if not where the learner read it, and `base_name` what the card calls it.
    """
    from transformers import AutoModelForCausalLM

    if out.exists():
        raise AzrError(f"{out} exists already", "name a folder that does not, or remove it")
    folder = find_checkpoint(source)
    state = checkpoint.read_state(folder)
    base = base or state.model
    model: Any = AutoModelForCausalLM.from_config(_config_of(base), dtype=DTYPES[dtype])
    model.load_state_dict(read_weights(folder, state))
    partial = out.with_name(out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        model.save_pretrained(partial)
        copy_companions(base, partial, plain_tokens)
        write_text(partial / "README.md", model_card(folder, state, dtype, figures or {}, base_name or base))
        let_others_read(partial)
        partial.rename(out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return out


def find_checkpoint(source: Path) -> Path:
    """The checkpoint that `source` is, or the newest of the run that it is."""
    found = source if (source / checkpoint.MARKER).exists() else None
    found = found or checkpoint.newest(source / "checkpoints") or checkpoint.newest(source)
    if found is None:
        raise AzrError(f"{source} holds no complete checkpoint", "name a run's folder, or one like …/step_00000100")
    try:
        checkpoint.read_state(found)
    except UNDECODABLE as error:
        raise AzrError(
            f"{found / checkpoint.MARKER} cannot be read: {error}", "restore it, or name an older checkpoint beside it"
        ) from error
    return found


def read_weights(folder: Path, state: LearnerState) -> dict[str, Tensor]:
    """A checkpoint's weights under the model's own names, adapters merged; needs no process group."""
    try:
        return _read(folder, state)
    except (Exception, CheckpointException) as error:  # whatever torch stumbles over: a pickle, a zip, a missing file
        cause = next(iter(error.failures.values()))[0] if isinstance(error, CheckpointException) else error
        raise AzrError(
            f"{folder} is damaged: {shortened(f'{type(cause).__name__}: {cause}', _WHY_WIDTH)}",
            "restore it, or name an older checkpoint beside it",
        ) from error


def _read(folder: Path, state: LearnerState) -> dict[str, Tensor]:
    metadata = FileSystemReader(folder).read_metadata().state_dict_metadata
    names = {name.removeprefix("model."): entry for name, entry in metadata.items() if name.startswith("model.")}
    weights = {
        name: torch.empty(entry.size, dtype=entry.properties.dtype)
        for name, entry in names.items()
        if isinstance(entry, TensorStorageMetadata)
    }
    with warnings.catch_warnings():  # that there are no other processes, which is meant
        warnings.filterwarnings("ignore", "torch.distributed is disabled")
        state_dict_loader.load({"model": weights}, checkpoint_id=folder, no_dist=True)
    whole = merged(weights, state.lora_scale) if state.lora_scale else weights
    return {name.removeprefix(PREFIX): value for name, value in whole.items()}


def model_card(folder: Path, state: LearnerState, dtype: str, figures: dict[str, float], base: str) -> str:
    """The model's README: where it comes from and what was measured of it. Of a path on the machine only the last part
    is named."""
    rows = "".join(f"| {name} | {value:.4g} |\n" for name, value in sorted(figures.items()))
    shown = Path(base).name if Path(base).is_absolute() else base
    table = f"\n| measure | value |\n|---|---|\n{rows}" if rows else ""
    of_base = f"base_model: {shown}\n" if _HUB_NAME.fullmatch(shown) and not Path(shown).exists() else ""
    return (
        f"---\nlibrary_name: transformers\npipeline_tag: text-generation\n{of_base}tags: [azr, self-play]\n---\n\n"
        f"# {folder.parent.parent.name or 'model'}\n\n"
        f"Trained with azr from `{shown}`: {state.step} learner steps, {state.updates} optimiser "
        f"updates. Weights in {dtype}.\n{table}\n"
        "Proposed and solved Python tasks are model-written programs: run them in a sandbox only.\n"
    )


def _config_of(model: str) -> Any:
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(model)
    except (OSError, ValueError) as error:
        why = str(error).strip().partition("\n")[0]
        raise AzrError(
            f"the model that the run began with cannot be read: {shortened(why, _WHY_WIDTH)}",
            f"put it back ({model}), or write where it lies now as model.path into the run's config.yaml",
        ) from error


def copy_companions(model: str, out: Path, plain_tokens: Sequence[str] = ()) -> None:
    """Tokenizer with its chat template, and generation settings, as the base model has them."""
    from transformers import GenerationConfig

    try:
        load_tokenizer(model, plain_tokens).save_pretrained(out)
    except (OSError, ValueError):
        return  # the base model has none (a bare test model); its export has none either
    try:
        GenerationConfig.from_pretrained(model).save_pretrained(out)
    except OSError:
        return  # not every model ships generation settings
    except ValueError:  # nor such as transformers will write: a temperature where nothing is drawn, say
        if (own := Path(model) / _GENERATION).is_file():
            shutil.copyfile(own, out / _GENERATION)


def let_others_read(folder: Path) -> None:
    """Safetensors files are made for their owner alone; a model is for whoever may see its folder. Further chat
    templates lie in a folder of their own."""
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
