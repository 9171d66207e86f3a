"""A checkpoint of the published system (verl's FSDP shards) as a Hugging Face folder.

Owns the finding of shards, the check against the model's own names and shapes, and the writing. Called by
`azr import verl`. Weights go through one at a time, so that a model larger than memory passes.

    CHECKPOINT/model_world_size_N_rank_R.pt ──► joined, cast ──► OUT/model-0000K-of-0000M.safetensors, index
    CHECKPOINT/huggingface/ (or --model) ─────► config, tokenizer, generation settings, chat template
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors.torch import save_file
from torch import Tensor

from azr.errors import AzrError
from azr.files import write_bytes, write_text
from learner.export import DTYPES, copy_companions, let_others_read
from learner.foreign_shards import join, read_shard

_SHARD = re.compile(r"model_world_size_(\d+)_rank_(\d+)\.pt")

#: A file of the result is closed when it holds this much.
FILE_BYTES = 4 << 30

_WEIGHT_OF_HEAD = "lm_head.weight"


def import_verl(
    source: Path,
    out: Path,
    *,
    model: str | None = None,
    dtype: str = "bfloat16",
    tell: Callable[[int, int], None] = lambda _done, _all: None,
    file_bytes: int = FILE_BYTES,
) -> Path:
    """Write the model folder, whole or not at all; `model` names another source of configuration and tokenizer."""
    if out.exists():
        raise AzrError(f"{out} exists already", "name a folder that does not, or remove it")
    folder, paths = find_shards(source)
    companion = model or str(_companion(folder))
    config = _config_of(companion)
    shapes = _shapes_of(config)
    shards = [read_shard(path) for path in paths]
    _check_names(shards[0], shapes, tied=config.tie_word_embeddings)
    partial = out.with_name(out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        _write(partial, _joined(shards, shapes, DTYPES[dtype], tell), file_bytes)
        config.dtype = DTYPES[dtype]
        config.save_pretrained(partial)
        copy_companions(companion, partial)
        write_text(partial / "README.md", _card(folder, len(paths), dtype))
        let_others_read(partial)
        partial.rename(out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return out


def find_shards(source: Path) -> tuple[Path, list[Path]]:
    """The folder that holds the shards, and all of them in order of ranks; one that is missing is named."""
    for folder in (source, source / "actor", *_newest_steps(source)):
        found = {
            (int(match[1]), int(match[2])): path
            for path in sorted(folder.glob("model_world_size_*_rank_*.pt"))
            if (match := _SHARD.fullmatch(path.name))
        }
        if not found:
            continue
        sizes = sorted({size for size, _ in found})
        if len(sizes) > 1:
            raise AzrError(
                f"{folder} holds shards of {' and '.join(map(str, sizes))} ranks", "move those of another run away"
            )
        absent = [rank for rank in range(sizes[0]) if (sizes[0], rank) not in found]
        if absent:
            raise AzrError(
                f"{folder} lacks the shards of ranks {', '.join(map(str, absent))} of {sizes[0]}",
                "each rank writes its own, maybe on its own machine: bring them together",
            )
        return folder, [found[sizes[0], rank] for rank in range(sizes[0])]
    raise AzrError(
        f"{source} holds no model_world_size_N_rank_R.pt",
        "name the folder of shards, often …/global_step_N/actor",
    )


def _newest_steps(source: Path) -> list[Path]:
    """Actor folders of a run's checkpoints, the newest first."""
    steps = [path for path in source.glob("global_step_*") if path.name.removeprefix("global_step_").isdigit()]
    steps.sort(key=lambda path: int(path.name.removeprefix("global_step_")), reverse=True)
    return [step / "actor" for step in steps]


def _companion(folder: Path) -> Path:
    for candidate in (folder / "huggingface", folder):
        if (candidate / "config.json").is_file():
            return candidate
    raise AzrError(
        f"{folder} says nothing of the model's configuration: there is no huggingface/config.json",
        "name the base model's folder with --model",
    )


def _config_of(model: str) -> Any:
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(model, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise AzrError(f"{model} is no model that transformers knows: {error}", "name one with --model") from error


def _shapes_of(config: Any) -> dict[str, tuple[int, ...]]:
    """Names and shapes as transformers has them, without any memory."""
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}


def _check_names(shard: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]], *, tied: bool) -> None:
    missing = sorted(name for name in shapes if name not in shard and not (tied and name == _WEIGHT_OF_HEAD))
    unknown = sorted(name for name in shard if name not in shapes)
    if any("lora_" in name for name in unknown):
        raise AzrError("the shards hold adapters beside the model", "merge them where they were trained")
    if missing or unknown:
        raise AzrError(
            f"the shards are not of this model: {_named('missing', missing)}{_named('unknown', unknown)}".rstrip("; "),
            "give the configuration of the model that was trained with --model",
        )


def _named(what: str, names: list[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - 2} more" if len(names) > 2 else ""
    return f"{what} {', '.join(names[:2])}{more}; "


def _joined(
    shards: list[dict[str, Tensor]],
    shapes: Mapping[str, tuple[int, ...]],
    dtype: torch.dtype,
    tell: Callable[[int, int], None],
) -> Iterator[tuple[str, Tensor]]:
    for done, (name, first) in enumerate(shards[0].items(), start=1):
        pieces = [first, *(_piece(shard, name, rank) for rank, shard in enumerate(shards[1:], start=1))]
        whole = join(name, pieces, shapes[name])
        yield name, (whole.to(dtype) if whole.is_floating_point() else whole).contiguous().clone()
        tell(done, len(shards[0]))


def _piece(shard: dict[str, Tensor], name: str, rank: int) -> Tensor:
    try:
        return shard[name]
    except KeyError:
        raise AzrError(f"the shard of rank {rank} lacks {name}", "all shards must be of one checkpoint") from None


def _write(folder: Path, weights: Iterator[tuple[str, Tensor]], file_bytes: int) -> None:
    """Files of about `file_bytes`, named when their number is known, and the index that finds a weight."""
    files: list[tuple[Path, list[str]]] = []
    held: dict[str, Tensor] = {}
    total = 0

    def close() -> None:
        path = folder / f"{len(files)}.part"
        save_file(held, path, metadata={"format": "pt"})
        files.append((path, list(held)))
        held.clear()

    for name, value in weights:
        size = value.numel() * value.element_size()
        if held and sum(each.numel() * each.element_size() for each in held.values()) + size > file_bytes:
            close()
        held[name] = value
        total += size
    close()
    if len(files) == 1:
        files[0][0].rename(folder / "model.safetensors")
        return
    index: dict[str, str] = {}
    for number, (path, names) in enumerate(files, start=1):
        final = f"model-{number:05d}-of-{len(files):05d}.safetensors"
        path.rename(folder / final)
        index |= dict.fromkeys(names, final)
    content = {"metadata": {"total_size": total}, "weight_map": index}
    write_bytes(folder / "model.safetensors.index.json", msgspec.json.format(msgspec.json.encode(content), indent=2))


def _card(folder: Path, ranks: int, dtype: str) -> str:
    step = next((part for part in reversed(folder.parts) if part.startswith("global_step_")), "")
    return (
        "---\nlibrary_name: transformers\npipeline_tag: text-generation\ntags: [azr, self-play]\n---\n\n"
        f"# {step or folder.name}\n\nImported by azr from {ranks} FSDP shards"
        f"{f' of {step}' if step else ''}. Weights in {dtype}.\n"
    )
