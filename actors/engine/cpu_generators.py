"""Per-request seeds on a CPU, where vLLM 0.32 dies of them as soon as a prompt is prefilled in more than one step.

A token sampled after a part of a prompt is thrown away, and vLLM takes the request's random generator back by one
draw through `Generator.get_offset`, which only CUDA generators have: the engine's process dies with "get_offset is not
implemented". Prompts are prefilled in parts whenever many come at once, and after every update of the weights. So on
a CPU the generator's state is put aside before such a draw and put back after it.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def mend_generators(runner: Any) -> None:
    """Have this model runner take seeded generators back by their state; nothing is done twice."""
    if getattr(runner, "_azr_mended", False):
        return
    runner._azr_mended = True
    sample, bookkeep = runner._sample, runner._bookkeeping_sync
    aside: dict[int, Any] = {}

    def sample_with_states(*arguments: Any, **named: Any) -> Any:
        aside.clear()
        generators = runner.input_batch.generators
        if generators:
            thrown_away = np.nonzero(runner.discard_request_mask.np[: runner.input_batch.num_reqs])[0]
            aside.update((int(i), generators[int(i)].get_state()) for i in thrown_away if int(i) in generators)
        return sample(*arguments, **named)

    def bookkeep_without_offsets(*arguments: Any, **named: Any) -> Any:
        batch = runner.input_batch
        generators = batch.generators
        for row, state in aside.items():
            generators[row].set_state(state)
        batch.generators = {}
        try:
            return bookkeep(*arguments, **named)
        finally:
            batch.generators = generators

    runner._sample, runner._bookkeeping_sync = sample_with_states, bookkeep_without_offsets
