"""What is put into vLLM's model, by its own layer-wise reload: whole weights, also after a load that broke off."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from vllm.config import VllmConfig
from vllm.model_executor.model_loader.reload import initialize_layerwise_reload, record_metadata_for_reloading
from vllm.v1.worker.gpu_worker import Worker as VllmWorker

from actors.engine.extension import Staging
from tests.actors.engine.breaking import BreakingExtension

#: Rows of the packed layer that each part takes.
ROWS = {"q": slice(0, 4), "k": slice(4, 6), "v": slice(6, 8)}


class Packed(nn.Module):
    """A layer whose weight comes in three parts, as that of attention does."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(8, 3), requires_grad=False)
        self.weight.weight_loader = load_part  # type: ignore[attr-defined]


def load_part(param: Tensor, loaded: Tensor, part: str) -> None:
    """One part into its rows."""
    param[ROWS[part]].copy_(loaded)


class Model(nn.Module):
    """Two such layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = Packed(), Packed()

    def load_weights(self, weights: Iterable[tuple[str, Tensor]]) -> set[str]:
        """As many of vLLM's models do it: into the parameters that were there when it began."""
        params: dict[str, Any] = dict(self.named_parameters())
        for name, tensor in weights:
            layer, part = name.split(".")
            param = params[f"{layer}.weight"]
            param.weight_loader(param, tensor, part)
        return {"first.weight", "second.weight"}


class Worker(BreakingExtension):
    """vLLM's worker, as far as the extension uses it."""

    def __init__(self) -> None:
        self.model = Model()
        record_metadata_for_reloading(self.model)
        self.model_runner = SimpleNamespace(get_model=lambda: self.model)
        self.vllm_config, self.model_config = VllmConfig(), None
        self.weight_transfer_engine: Any = None
        self._weight_update_active = False

    def load(self, filled: float) -> int:
        """Put weights in place that are this number everywhere."""
        staging = object.__new__(Staging)
        staging.tensors = [
            (f"{layer}.{part}", torch.full((rows.stop - rows.start, 3), filled))
            for layer in ("first", "second")
            for part, rows in ROWS.items()
        ]
        staging.error, staging._thread = "", SimpleNamespace(is_alive=lambda: False)  # type: ignore[assignment]
        self._azr_staging = staging
        return self.azr_apply()

    def values(self) -> list[float]:
        """What the model holds."""
        weights = (self.model.first.weight, self.model.second.weight)
        return sorted({value for each in weights for value in each.unique().tolist()})  # type: ignore[no-untyped-call]


class NativeEngine:
    """vLLM's side of its own transfer, as far as its worker's start asks for it."""

    supports_draft_weight_update = True

    def __init__(self, model: nn.Module) -> None:
        self.model, self.target = model, "draft"

    def start_weight_update(self) -> None:
        """What the engines of `nccl` and `ipc` do."""
        initialize_layerwise_reload(self.model)

    def reset_weight_update_target(self) -> None:
        """Back to the model itself."""
        self.target = "model"


class TestLoading:
    def test_whole_weights_are_in_place_afterwards_in_the_tensors_that_were_there(self) -> None:
        worker = Worker()
        before = worker.model.first.weight.data_ptr()
        assert worker.load(1.0) == 6
        assert worker.values() == [1.0]
        assert worker.model.first.weight.data_ptr() == before

    @pytest.mark.parametrize("part", ["first.k", "first.v", "second.q", "second.v"])
    def test_after_a_load_that_broke_off_the_next_one_is_whole(self, part: str) -> None:
        worker = Worker()
        worker.load(1.0)
        worker.azr_break_before(part)
        with pytest.raises(MemoryError):
            worker.load(2.0)
        worker.load(3.0)
        assert worker.values() == [3.0]

    def test_nor_does_one_that_broke_off_twice_leave_anything(self) -> None:
        worker = Worker()
        for part in ("second.v", "first.v"):
            worker.azr_break_before(part)
            with pytest.raises(MemoryError):
                worker.load(2.0)
        worker.load(3.0)
        assert worker.values() == [3.0]


class TestAfterANativeUpdateThatWasGivenUp:
    def test_the_files_weights_are_whole_and_vllm_takes_the_next_native_update(self) -> None:
        worker: Any = Worker()
        worker.weight_transfer_engine = NativeEngine(worker.model)
        worker._check_weight_transfer_engine = lambda: None
        start = functools.partial(VllmWorker._start_weight_update, worker)
        start()
        worker.model.load_weights([("first.q", torch.full((4, 3), 2.0))])
        with pytest.raises(RuntimeError, match="already"):
            start()
        worker.load(3.0)
        assert worker.values() == [3.0]
        assert worker.weight_transfer_engine.target == "model"
        start()
