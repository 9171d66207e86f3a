"""The policy is loaded from whole weights, or the file that is none is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from azr.errors import AzrError
from learner.policy import load_policy
from tests.learner.tiny import save_tiny_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save_tiny_model(tmp_path / "model")


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: b"",
        lambda whole: whole[:-100],
        lambda whole: whole[:12],
        lambda whole: whole + b"more",
        lambda whole: whole[:8] + b"x" * 50 + whole[58:],
        lambda whole: whole[:12] + b"\xff" + whole[13:],
        lambda whole: b"\xff" * 8 + whole[8:],
    ],
    ids=["nothing", "cut off", "not even a head", "too long", "no JSON in its head", "no UTF-8 in its head", "no size"],
)
def test_damaged_weights_are_told_by_their_file_in_one_line(damage: Callable[[bytes], bytes], model: Path) -> None:
    weights = model / "model.safetensors"
    weights.write_bytes(damage(weights.read_bytes()))
    with pytest.raises(AzrError) as refused:
        load_policy(model, attention="sdpa")
    assert refused.value.what.startswith(f"{weights} cannot be read: ")
    assert "\n" not in refused.value.what
    assert refused.value.mend.startswith("fetch or export this model once more")


def test_a_link_that_leads_nowhere_is_told_likewise(model: Path) -> None:
    """As in the cache of a hub from which somebody deleted the largest files."""
    weights = model / "model.safetensors"
    weights.unlink()
    weights.symlink_to(model / "gone")
    with pytest.raises(AzrError, match=r"model\.safetensors cannot be read: "):
        load_policy(model, attention="sdpa")


def test_damaged_files_that_nobody_loads_keep_nobody_from_loading(model: Path) -> None:
    (model / "consolidated.safetensors").write_bytes(b"")
    load_policy(model, attention="sdpa")
    (model / "model.safetensors").write_bytes(b"")
    load_policy(model, attention="sdpa", random_weights=True)
