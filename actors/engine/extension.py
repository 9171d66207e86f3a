"""What runs inside vLLM's workers: new weights staged aside while sampling goes on, then put in place in one call.

vLLM mixes `WeightExtension` into its worker class and calls its methods by name, one at a time, between two steps.
Staging therefore happens in a thread of its own; only `azr_apply` holds the engine up. Everything that can go wrong
with weights on their way (a file torn, a sender dead, a checksum wrong) goes wrong while staging, when the old weights
are still untouched. vLLM's own start/update/finish takes them off their layers first and cannot go back.

    azr_stage ──► thread: receive, check ──► azr_staged? ──► (engine paused) azr_apply ──► azr_loaded
                        │ fails: old weights serve on               │ fails: torn, see `TornWeightsError`
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from actors.engine.cpu_generators import mend_generators
from actors.engine.liveness import die_with_parent
from actors.weights.fingerprint import fingerprint
from actors.weights.transports.receivers import receive

if TYPE_CHECKING:
    import torch


class Staging:
    """Weights being received in a thread, and what came of it."""

    def __init__(self, kind: str, info: dict[str, Any], expected: str, device: torch.device, rank: int) -> None:
        self.tensors: list[tuple[str, torch.Tensor]] = []
        self.checksum = ""
        self.error = ""
        self._arguments = (kind, info, device, rank)
        self._expected = expected
        self._thread = threading.Thread(target=self._run, name="stage-weights", daemon=True)
        self._thread.start()

    @property
    def done(self) -> bool:
        """Whether it has come to an end, good or bad."""
        return not self._thread.is_alive()

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """What was received, by name."""
        return {name: tuple(tensor.shape) for name, tensor in self.tensors}

    def state(self) -> dict[str, Any]:
        """What the front end is told."""
        size = sum(tensor.numel() * tensor.element_size() for _, tensor in self.tensors)
        return {"done": True, "error": self.error, "checksum": self.checksum, "bytes": size}

    def _run(self) -> None:
        try:
            self.tensors = receive(*self._arguments)
            if self._expected:
                self.checksum = fingerprint(self.tensors)
                if self.checksum != self._expected:
                    raise ValueError(f"checksum {self.checksum} where {self._expected} was sent")
        except Exception as error:  # whatever it is, the old weights are whole and the front end is told
            self.error = f"{type(error).__name__}: {error}"
            self.tensors = []


class WeightExtension:
    """Mixed into vLLM's worker, whose `device`, `rank`, `model_runner`, `model_config` and `vllm_config` it uses."""

    _azr_guarded = False
    _azr_staging: Staging | None = None
    _azr_shapes: dict[str, tuple[int, ...]] | None = None

    def azr_guard(self) -> int:
        """Called once, before anything is sampled: end with the process that started this one, whatever ends that,
        and mend what vLLM gets wrong on a CPU. The answer: this process's id."""
        worker: Any = self
        if not self._azr_guarded:
            die_with_parent()
            if worker.device.type == "cpu":
                mend_generators(worker.model_runner)
        self._azr_guarded = True
        return os.getpid()

    def azr_stage(self, kind: str, info: dict[str, Any], expected: str) -> None:
        """Begin to receive weights; what was staged before is dropped."""
        worker: Any = self
        self._azr_staging = Staging(kind, info, expected, worker.device, worker.rank)

    def azr_staged(self) -> dict[str, Any]:
        """How staging stands: `done`, and then `error`, `checksum`, `bytes`."""
        staging = self._azr_staging
        if staging is None:
            return {"done": True, "error": "nothing is staged"}
        if not staging.done:
            return {"done": False}
        if not staging.error and self._azr_shapes not in (None, staging.shapes):
            staging.error = _differences(self._azr_shapes or {}, staging.shapes)
        return staging.state()

    def azr_apply(self) -> int:
        """Put what was staged into the model; the engine must be paused. The answer: how many tensors."""
        import torch
        from vllm.config import set_current_vllm_config
        from vllm.model_executor.model_loader.reload import finalize_layerwise_reload, initialize_layerwise_reload

        worker: Any = self
        staging, self._azr_staging = self._azr_staging, None
        if staging is None or not staging.done or staging.error:
            raise RuntimeError("there are no whole weights to put in place")
        model = worker.model_runner.get_model()
        with set_current_vllm_config(worker.vllm_config), torch.no_grad():
            _take_back(model, worker.model_config)
            initialize_layerwise_reload(model)
            loaded = model.load_weights(iter(staging.tensors))
            finalize_layerwise_reload(model, worker.model_config)
        _end_native_update(worker)
        missing = {name for name, _ in model.named_parameters()} - set(loaded or ())
        # What quantising adds (scales, for one) no checkpoint brings, and vLLM makes anew.
        if loaded is not None and missing and worker.model_config.quantization is None:
            raise RuntimeError(f"no weights came for {', '.join(sorted(missing)[:3])}")
        self._azr_shapes = staging.shapes
        return len(staging.tensors)

    def azr_discard(self) -> None:
        """Drop what was staged."""
        self._azr_staging = None

    def azr_loaded(self) -> str:
        """Checksum of the weights in the model as the engine holds them."""
        worker: Any = self
        return fingerprint(worker.model_runner.get_model().named_parameters())


def _take_back(model: Any, model_config: Any) -> None:
    """Undo a load that broke off half-way, staged or vLLM's own: drop what it buffered, put the layers' tensors back.

    vLLM would go on counting where that load stopped: of a layer that had got its q and k, the next load's q would make
    the count full, and the layer would be built without its v, in silence.
    """
    from vllm.model_executor.model_loader.reload import finalize_layerwise_reload
    from vllm.model_executor.model_loader.reload.layerwise import get_layerwise_info

    begun = [info for info in map(get_layerwise_info, model.modules()) if info.can_load()]
    for info in begun:
        info.load_numel = 0
        info.loaded_weights.clear()
    if begun:
        finalize_layerwise_reload(model, model_config)


def _end_native_update(worker: Any) -> None:
    """Let vLLM take its own kind of update again. One that its caller gave up, or whose end failed, is under way for
    ever in its eyes, and it refuses to start another."""
    worker._weight_update_active = False
    if worker.weight_transfer_engine is not None:
        worker.weight_transfer_engine.reset_weight_update_target()


def _differences(known: dict[str, tuple[int, ...]], found: dict[str, tuple[int, ...]]) -> str:
    wrong = sorted(name for name in known.keys() | found.keys() if known.get(name) != found.get(name))
    return f"{len(wrong)} tensors are not those of the version before, {wrong[0]} among them"
