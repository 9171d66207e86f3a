"""Published checkpoints come in whole, whoever wrote them on however many ranks, and nothing in them is run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.distributed.tensor import DTensor
from transformers import AutoModelForCausalLM

from azr.cli.main import EXIT_INTERRUPTED, main
from azr.errors import AzrError
from azr.tiny import shipped
from learner.foreign_shards import Record, join, mesh_ranks, read_shard
from learner.import_verl import find_shards, import_verl
from tests.ended import ended_in
from tests.learner.tiny import save_tiny_model
from tests.learner.verl_shards import (
    Cut,
    older_mesh,
    path_of,
    with_older_names,
    write_fsdp2_shards,
    write_shards,
)


@pytest.fixture(scope="module", params=[True, False], ids=["tied", "untied"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("model"), tied=request.param)


@pytest.fixture
def untied(tmp_path: Path) -> Path:
    return save_tiny_model(tmp_path / "base", tied=False)


def weights_of(folder: Path) -> dict[str, Tensor]:
    state: dict[str, Tensor] = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).state_dict()
    return state


def same(out: Path, model: Path) -> None:
    """The folder holds exactly the model's weights."""
    mine, theirs = weights_of(out), weights_of(model)
    assert mine.keys() == theirs.keys()
    for name, value in theirs.items():
        torch.testing.assert_close(mine[name], value, atol=0.0, rtol=0.0)


def by_rows(name: str, value: Tensor) -> int | None:
    return 0


def by_columns(name: str, value: Tensor) -> int | None:
    return value.ndim - 1


def mixed(name: str, value: Tensor) -> int | None:
    """Norms whole, some products by columns."""
    if "norm" in name:
        return None
    return 1 if value.ndim == 2 and "down_proj" in name else 0


@pytest.mark.parametrize("cut", [by_rows, by_columns, mixed])
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_any_number_of_ranks_and_any_dimension_join_to_the_model(
    model: Path, tmp_path: Path, count: int, cut: Cut
) -> None:
    """Three and five do not divide the shapes, so pieces are uneven and some are empty."""
    write_shards(tmp_path / "actor", weights_of(model), (count,), cut)
    same(import_verl(tmp_path, tmp_path / "out", model=str(model), dtype="float32"), model)


def test_what_pytorchs_own_fsdp2_shards_is_joined(model: Path, tmp_path: Path) -> None:
    write_fsdp2_shards(tmp_path / "shards", model, 3)
    same(import_verl(tmp_path / "shards", tmp_path / "out", model=str(model), dtype="float32"), model)


def test_a_hybrid_mesh_is_joined_along_its_sharded_dimension_only(model: Path, tmp_path: Path) -> None:
    write_shards(tmp_path / "shards", weights_of(model), (2, 2), by_rows)
    same(import_verl(tmp_path / "shards", tmp_path / "out", model=str(model), dtype="float32"), model)


def test_shards_of_an_older_pytorch_are_read_by_their_older_names(
    untied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        older_mesh(patch)
        write_shards(tmp_path / "shards", weights_of(untied), (2,), by_rows)
    for rank in range(2):
        with_older_names(path_of(tmp_path / "shards", rank, 2))
        assert b"_tensor.api" in path_of(tmp_path / "shards", rank, 2).read_bytes()
    same(import_verl(tmp_path / "shards", tmp_path / "out", model=str(untied), dtype="float32"), untied)


def test_plain_tensors_are_joined_along_the_dimension_that_fits(untied: Path, tmp_path: Path) -> None:
    weights = weights_of(untied)
    for rank in range(2):
        halves = {name: value.chunk(2, 0)[rank].clone() for name, value in weights.items()}
        torch.save(halves, path_of(tmp_path, rank, 2))
    same(import_verl(tmp_path, tmp_path / "out", model=str(untied), dtype="float32"), untied)


def test_large_models_are_written_in_several_files_with_an_index(untied: Path, tmp_path: Path) -> None:
    write_shards(tmp_path / "shards", weights_of(untied), (2,), by_rows)
    out = import_verl(tmp_path / "shards", tmp_path / "out", model=str(untied), dtype="float32", file_bytes=20_000)
    files = sorted(out.glob("model-*.safetensors"))
    assert len(files) > 2
    assert files[0].name == f"model-00001-of-{len(files):05d}.safetensors"
    assert sum(len(load_file(file)) for file in files) == len(weights_of(untied))
    same(out, untied)
    assert {path.stat().st_mode & 0o777 for path in out.iterdir()} == {0o644}, "a model is for whoever may see it"


def test_configuration_and_tokenizer_come_from_the_folder_beside_the_shards(untied: Path, tmp_path: Path) -> None:
    write_shards(tmp_path / "global_step_40" / "actor", weights_of(untied), (2,), by_rows)
    untied.rename(tmp_path / "global_step_40" / "actor" / "huggingface")
    out = import_verl(tmp_path, tmp_path / "out")
    assert AutoModelForCausalLM.from_pretrained(out, dtype="auto").dtype == torch.bfloat16
    assert "2 FSDP shards of global_step_40" in (out / "README.md").read_text()


def test_the_newest_step_of_a_run_is_taken(untied: Path, tmp_path: Path) -> None:
    for step in (90, 100):
        write_shards(tmp_path / f"global_step_{step}" / "actor", weights_of(untied), (1,), by_rows)
    folder, paths = find_shards(tmp_path)
    assert folder.parent.name == "global_step_100"
    assert len(paths) == 1


class Hostile:
    """A pickle that would run a command."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.attack
def test_code_in_a_shard_is_refused_and_not_run(untied: Path, tmp_path: Path) -> None:
    torch.save({"model.norm.weight": Hostile(tmp_path / "ran")}, path_of(tmp_path, 0, 1))
    with pytest.raises(AzrError, match=r"cannot be read as plain tensors: it holds posix\.mkdir"):
        import_verl(tmp_path, tmp_path / "out", model=str(untied))
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "out").exists()


@pytest.mark.attack
def test_names_that_others_allowed_are_not_allowed_to_shards_and_are_theirs_again_afterwards(tmp_path: Path) -> None:
    torch.save({"weight": Hostile(tmp_path / "ran")}, tmp_path / "shard.pt")
    torch.serialization.add_safe_globals([os.mkdir])
    try:
        with pytest.raises(AzrError, match="what it holds is not run"):
            read_shard(tmp_path / "shard.pt")
        assert os.mkdir in torch.serialization.get_safe_globals()
        assert DTensor in torch.serialization.get_safe_globals()
    finally:
        others = [each for each in torch.serialization.get_safe_globals() if each is not os.mkdir]
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(others)
    assert not (tmp_path / "ran").exists()


def test_a_missing_shard_is_named(untied: Path, tmp_path: Path) -> None:
    write_shards(tmp_path, weights_of(untied), (3,), by_rows)
    path_of(tmp_path, 1, 3).unlink()
    with pytest.raises(AzrError, match="lacks the shards of ranks 1 of 3"):
        import_verl(tmp_path, tmp_path / "out", model=str(untied))


def test_a_torn_shard_is_named(untied: Path, tmp_path: Path) -> None:
    write_shards(tmp_path, weights_of(untied), (2,), by_rows)
    torn = path_of(tmp_path, 1, 2)
    torn.write_bytes(torn.read_bytes()[:5000])
    with pytest.raises(AzrError, match="rank_1"):
        import_verl(tmp_path, tmp_path / "out", model=str(untied))
    assert not (tmp_path / "out").exists()


def test_shards_of_another_model_are_refused_with_a_name(untied: Path, tmp_path: Path) -> None:
    weights = weights_of(untied)
    weights["value_head.weight"] = weights.pop("model.norm.weight")
    write_shards(tmp_path, weights, (1,), by_rows)
    with pytest.raises(AzrError, match=r"missing model\.norm\.weight; unknown value_head\.weight"):
        import_verl(tmp_path, tmp_path / "out", model=str(untied))


def test_another_shape_is_refused_with_both(untied: Path, tmp_path: Path) -> None:
    weights = weights_of(untied)
    weights["model.norm.weight"] = torch.ones(33)
    write_shards(tmp_path, weights, (2,), by_rows)
    with pytest.raises(AzrError, match=r"join to the shape \(33,\), but the model's is \(32,\)"):
        import_verl(tmp_path, tmp_path / "out", model=str(untied))
    assert list(tmp_path.glob("out*")) == [], "nothing half made is left"


def test_a_folder_without_shards_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AzrError, match="holds no model_world_size_N_rank_R"):
        find_shards(tmp_path)


def test_shards_without_configuration_ask_for_the_model(untied: Path, tmp_path: Path) -> None:
    write_shards(tmp_path / "shards", weights_of(untied), (1,), by_rows)
    with pytest.raises(AzrError, match="--model"):
        import_verl(tmp_path / "shards", tmp_path / "out")


def test_flat_pieces_are_cut_to_the_shape() -> None:
    """Three ranks hold a 2x2 matrix flattened, the last piece padded."""
    pieces = [torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]), torch.tensor([0.0, 0.0])]
    assert join("weight", pieces, (2, 2)).tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_meshes_are_read_in_the_layouts_of_three_generations() -> None:
    def record(**state: object) -> Record:
        made = Record()
        made.__dict__.update(state)
        return made

    ranks = torch.arange(8)
    one = record(mesh=torch.tensor([[0, 1], [2, 3]]))
    assert mesh_ranks(one, 4).tolist() == [[0, 1], [2, 3]]
    two = record(_rank_map=ranks, _layout=record(shape=(2, 2), stride=(4, 1)))
    assert mesh_ranks(two, 8).tolist() == [[0, 1], [4, 5]]
    merged = record(shape=(2, 2), stride=(4, 1))
    three = record(_rank_map=ranks, _layout=record(axes=(merged, record(shape=2, stride=2))))
    assert mesh_ranks(three, 8).tolist() == [[0, 2], [1, 3], [4, 6], [5, 7]]
    assert np.array_equal(mesh_ranks(record(), 3), [0, 1, 2])


def test_the_command_says_what_it_made(untied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_shards(tmp_path / "shards", weights_of(untied), (2,), by_rows)
    words = ["import", "verl", str(tmp_path / "shards"), str(tmp_path / "out"), "--model", str(untied)]
    assert main(words) == 0
    assert "(2 shards) ->" in capsys.readouterr().out


def test_one_that_is_ended_leaves_nothing_half_made(
    untied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_shards(tmp_path / "shards", weights_of(untied), (1,), by_rows)
    words = ["import", "verl", str(tmp_path / "shards"), str(tmp_path / "out"), "--model", str(untied)]
    with ended_in("learner.import_verl.let_others_read", monkeypatch):
        assert main(words) == EXIT_INTERRUPTED
    assert list(tmp_path.glob("out*")) == []


def test_the_embedded_model_goes_by_its_name_here_too(tmp_path: Path) -> None:
    """Else its name would be looked up, and taken from whoever has published something under it."""
    write_shards(tmp_path / "shards", weights_of(shipped.folder()), (2,), by_rows)
    assert main(["import", "verl", str(tmp_path / "shards"), str(tmp_path / "out"), "--model", "tiny"]) == 0
    assert (tmp_path / "out" / "config.json").exists()
