"""How much a run of a model will write, and that a run which cannot write it is refused before it begins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from azr.config import Config, load
from azr.errors import AzrError
from azr.memory_plan.configured import versions_kept
from azr.memory_plan.shapes import shape_of
from azr.run import gpus
from azr.run.needed_room import SHARED_MEMORY, require_room, room_lines
from azr.tiny.shipped import at_its_place

GIB = 1 << 30


def _free(*, disk: int, shared: int = 1 << 50) -> Callable[[Path], int]:
    return lambda folder: shared if folder == SHARED_MEMORY else disk


@pytest.fixture(scope="module")
def config() -> Config:
    return load(["qwen2.5-7b"], ["learner.keep_last=2", "weights.keep_versions=2"])


def test_a_checkpoint_holds_weights_and_two_averages_in_fp32(config: Config) -> None:
    each = 12 * shape_of(config.model.path).parameters / GIB
    [disk, _] = room_lines(config, free=_free(disk=1 << 50))
    assert f"a checkpoint takes {each:.1f} GiB, 3 of them {3 * each:.1f} GiB while the newest is written" in disk


def test_of_adapters_the_averages_are_kept_of_them_alone(config: Config) -> None:
    adapters = load(["qwen2.5-7b"], ["learner.lora.rank=16"])
    whole, small = (room_lines(each, free=_free(disk=1 << 50))[0] for each in (config, adapters))

    def size(line: str) -> float:
        return float(line.split("takes ")[1].split(" GiB", maxsplit=1)[0])

    assert size(small) < 0.4 * size(whole)


def test_versions_lie_in_shared_memory_one_more_than_are_kept(config: Config) -> None:
    parameters = shape_of(config.model.path).published_parameters
    [_, versions] = room_lines(config, free=_free(disk=1 << 50, shared=5 * GIB))
    assert f"3 versions of them take {3 * 2 * parameters / GIB:.1f} GiB of shared memory; /dev/shm has 5.0" in versions
    assert versions.endswith("or put them into a folder (weights.folder)")


@pytest.mark.parametrize(
    ("words", "cards", "each"),
    [
        ([], False, 4),
        ([], True, 2),
        (["rollout.dtype=bfloat16"], False, 2),
        (["cluster.gpu=H200"], False, 2),
        (["cluster.address=auto"], False, 2),
    ],
)
def test_a_version_is_counted_in_the_type_that_its_engine_takes(
    words: list[str], cards: bool, each: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`auto` is full precision on cores, twice the bytes."""
    monkeypatch.setattr(gpus, "has_gpu", lambda: cards)
    tiny = load(["tiny"], words)
    parameters = shape_of(at_its_place(tiny).model.path).published_parameters
    size = f"{versions_kept(tiny) * each * parameters / (1 << 20):,.0f} MiB of shared memory"
    assert size in room_lines(tiny)[1]


def test_versions_in_a_folder_ask_for_no_shared_memory(tmp_path: Path) -> None:
    config = load(["qwen2.5-7b"], [f"weights.folder={tmp_path}"])
    assert len(room_lines(config, free=_free(disk=1 << 50, shared=0))) == 1


def test_a_plan_is_told_also_where_there_is_no_room_for_the_run(config: Config) -> None:
    """It may be made on another machine."""
    [disk, _] = room_lines(config, free=_free(disk=1 * GIB))
    assert "checkpoints has 1.0 GiB left: NO ROOM HERE; make room" in disk


@pytest.mark.parametrize(
    ("checkpoints", "standing", "begins"),
    [(1.9, 0, False), (2.1, 0, True), (0.9, 1, False), (1.1, 1, True), (0.0, 2, True), (0.0, 5, True)],
)
def test_a_run_needs_room_for_a_checkpoint_and_the_next_less_what_it_has(
    checkpoints: float, standing: int, begins: bool, config: Config
) -> None:
    """More are kept where there is more, and where there is less older ones go for the next."""
    free = _free(disk=int(checkpoints * 12 * shape_of(config.model.path).parameters))
    if begins:
        require_room(config, standing=standing, free=free)
        return
    with pytest.raises(AzrError, match=r"no room \(disk\): a checkpoint takes") as raised:
        require_room(config, standing=standing, free=free)
    assert "run.folder" in raised.value.mend


def test_a_run_whose_versions_do_not_fit_into_shared_memory_is_refused(config: Config) -> None:
    with pytest.raises(AzrError, match=r"no room \(weights\): 3 versions") as raised:
        require_room(config, free=_free(disk=1 << 50, shared=64 << 20))
    assert "--shm-size" in raised.value.mend


def test_a_run_that_goes_on_is_not_refused_for_versions_that_may_be_its_own(config: Config) -> None:
    """Those of a driver that was killed a moment ago lie there until its reaper or the next registry removes them."""
    require_room(config, standing=1, free=_free(disk=1 << 50, shared=0))


def test_of_a_model_that_is_frozen_in_parts_only_what_is_certain_is_asked(config: Config) -> None:
    frozen = load(["qwen2.5-7b"], ["learner.freeze=['model.layers.0.*']"])
    least = 4 * shape_of(frozen.model.path).parameters / GIB
    assert f"a checkpoint takes at least {least:.1f} GiB" in room_lines(frozen, free=_free(disk=1 << 50))[0]


def test_of_a_model_that_nobody_knows_nothing_is_said_and_nothing_refused(config: Config) -> None:
    unknown = load(["gpu"], ["model.path=somebody/something"])
    assert room_lines(unknown, free=_free(disk=0, shared=0)) == []
    require_room(unknown, free=_free(disk=0, shared=0))


def test_the_embedded_model_needs_next_to_nothing() -> None:
    tiny = load(["tiny"], [])
    require_room(tiny)
    [disk, versions] = room_lines(tiny)
    each = 12 * shape_of(at_its_place(tiny).model.path).parameters / (1 << 20)
    assert f"takes {each:.0f} MiB" in disk and "MiB of shared memory" in versions
