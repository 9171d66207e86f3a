"""The widened model: at any size the same function, and all of it able to learn."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from azr.cli.main import main
from azr.errors import AzrError
from azr.tiny.shipped import folder as embedded
from azr.tiny.widened import SIZES, Size, widened, write_widened

#: The embedded model's, and one that is wider in every way.
SMALL = Size(hidden=160, feed_forward=480, layers=4, heads=5, kv_heads=5, head_width=32)
WIDE = Size(hidden=256, feed_forward=640, layers=6, heads=12, kv_heads=6, head_width=64)

#: Of log-probabilities, with weights widened in single precision: rounding alone.
EXACT = 1e-4


def log_probabilities(folder: Path, weights: dict[str, Tensor] | None = None) -> tuple[torch.nn.Module, Tensor]:
    from transformers import AutoConfig, AutoModelForCausalLM

    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder)).float()
    missing = model.load_state_dict(weights or load_file(folder / "model.safetensors"), strict=False).missing_keys
    assert missing == ["lm_head.weight"]  # tied to the embedding
    tokens = torch.randint(0, 512, (2, 200), generator=torch.Generator().manual_seed(0))
    return model, model(tokens).logits.log_softmax(-1)


def widened_in_full(size: Size, seed: int = 0) -> dict[str, Tensor]:
    own = {name: value.float() for name, value in load_file(embedded() / "model.safetensors").items()}
    return {name: value for part in widened(own, SMALL, size, seed=seed) for name, value in part.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_widened(tmp_path_factory.mktemp("wide") / "wide", WIDE, named="a test's")


@pytest.mark.parametrize("group", [1, 2])
def test_it_is_the_same_function_but_for_rounding(tmp_path: Path, group: int) -> None:
    size = replace(WIDE, heads=WIDE.kv_heads * group)
    shape = write_widened(tmp_path / "wide", size, named="a test's")
    with torch.no_grad():
        _, ours = log_probabilities(embedded())
        _, theirs = log_probabilities(shape, widened_in_full(size))
    assert float((ours - theirs).abs().max()) < EXACT


def test_in_half_precision_it_is_as_far_from_the_embedded_one_as_rounding_its_weights_brings_it(folder: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokens = torch.randint(0, 512, (2, 200), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        _, ours = log_probabilities(embedded())
        theirs = model(tokens).logits.log_softmax(-1)
    assert float((ours - theirs).abs().mean()) < 0.03
    assert float((ours.argmax(-1) == theirs.argmax(-1)).float().mean()) > 0.97


def test_the_layers_that_were_added_learn_what_to_write_at_once_and_what_to_read_after_that(folder: Path) -> None:
    model, scores = log_probabilities(folder, widened_in_full(WIDE))
    scores[..., 7].mean().backward()  # type: ignore[no-untyped-call]
    still = {name for name, value in model.named_parameters() if value.grad is None or not bool(value.grad.any())}
    added = ("model.layers.4.", "model.layers.5.")
    assert all(name.startswith(added) for name in still)
    assert not any(name.endswith(("o_proj.weight", "down_proj.weight")) for name in still)
    with torch.no_grad():
        for value in model.parameters():
            if value.grad is not None:
                value.sub_(1e-2 * value.grad)
    model.zero_grad()
    tokens = torch.randint(0, 512, (2, 200), generator=torch.Generator().manual_seed(1))
    model(tokens).logits.log_softmax(-1)[..., 7].mean().backward()
    assert all(value.grad is not None and bool(value.grad.any()) for value in model.parameters())


def test_another_seed_adds_something_else_to_the_same_function() -> None:
    one, other = widened_in_full(WIDE), widened_in_full(WIDE, seed=1)
    name = "model.layers.5.self_attn.q_proj.weight"
    assert not torch.equal(one[name], other[name])
    assert torch.equal(one["model.embed_tokens.weight"], other["model.embed_tokens.weight"])
    assert torch.equal(one[name], widened_in_full(WIDE)[name])


def test_the_folder_is_whole_a_file_a_layer_and_readable_by_others(folder: Path) -> None:
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    assert set(index["weight_map"].values()) == {path.name for path in folder.glob("*.safetensors")}
    assert len(set(index["weight_map"].values())) == WIDE.layers + 1
    tensors = {name: value for path in folder.glob("*.safetensors") for name, value in load_file(path).items()}
    assert index["metadata"]["total_size"] == sum(value.nbytes for value in tensors.values())
    assert {value.dtype for value in tensors.values()} == {torch.bfloat16}
    assert all(path.stat().st_mode & 0o044 == 0o044 for path in folder.iterdir())
    assert not list(folder.parent.glob("*.partial"))


def test_one_that_is_there_already_is_left_alone(folder: Path) -> None:
    before = (folder / "config.json").read_bytes()
    with pytest.raises(AzrError, match="exists already"):
        write_widened(folder, SIZES["qwen3-0.6b"], named="qwen3-0.6b")
    assert (folder / "config.json").read_bytes() == before


@pytest.mark.parametrize(
    "change", [{"hidden": 128}, {"layers": 3}, {"kv_heads": 4}, {"heads": 13}, {"head_width": 48}, {"feed_forward": 64}]
)
def test_a_size_that_has_no_room_for_it_is_refused(tmp_path: Path, change: dict[str, int]) -> None:
    with pytest.raises(AzrError, match="does not fit into narrow"):
        write_widened(tmp_path / "wide", replace(WIDE, **change), named="narrow")
    assert not list(tmp_path.iterdir())


def test_the_published_sizes_have_room_for_it() -> None:
    for name, size in SIZES.items():
        assert size.hidden >= SMALL.hidden, name
        assert size.kv_heads >= SMALL.heads, name
        assert size.heads % size.kv_heads == 0, name
        assert size.head_width % SMALL.head_width == 0, name


def test_an_unknown_size_is_named_beside_those_that_there_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tiny", "widen", "qwen9-1t", str(tmp_path / "wide")]) != 0
    told = capsys.readouterr().err
    assert "qwen9-1t" in told
    assert "qwen3-8b" in told
