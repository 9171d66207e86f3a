"""What a learner rank asks of its card, or of its host where it computes on cores, by the arithmetic of
`learner/sharding.py` and `learner/logprob_head.py`.

Pure. Called by `azr.memory_plan.plan`.

    held always      fp32 master weights, their gradients and AdamW's two moments, each divided by the ranks (FSDP2);
                     the root (embedding, head) gathered in the compute dtype, and two layers
    held by a pass   what the layers keep for the backward pass, for `tokens_per_micro_batch` tokens
    working space    the largest of three moments: the head's backward pass · a layer's backward pass (its gradients
                     before they are shared, and its activations when they are computed again) · the end of the pass,
                     when the root's gradient is shared and the activations are gone
"""

from __future__ import annotations

from azr.config.sections.learner import LearnerConfig
from azr.memory_plan.cards import GIB
from azr.memory_plan.demand import Demand, Item
from azr.memory_plan.shapes import Shape

#: Bytes of fp32, in which masters, gradients and moments are kept.
FULL = 4

#: Logits held at a time on a card, and on cores, as in `learner.logprob_head` (a test holds them together).
CHUNK_ELEMENTS = 1 << 29
CORES_CHUNK_ELEMENTS = 1 << 26

#: CUDA context, NCCL's buffers, and what the allocator cannot use for its cuts.
RESERVE = 2 * GIB

#: Whole versions that the first rank's host may hold: one being published, one waiting, one being gathered. Counted as
#: fp32: with adapters they are, and of half as wide ones torch pins as many pages as the next power of two.
HOST_VERSIONS = 3


def learner_demand(
    shape: Shape, config: LearnerConfig, ranks: int | None = None, *, sent: int = 0, on_cores: bool = False
) -> Demand:
    """What one rank asks of its GPU; `ranks` in place of the configured number, to try others. `sent` bytes of
    new weights are on the first rank's GPU, on their way to engines, while the next step is made. `on_cores` it asks
    its host, in fp32 unless told otherwise, and keeps nothing for CUDA."""
    ranks = config.ranks if ranks is None else ranks
    full = config.compute_dtype == "float32" or (on_cores and config.compute_dtype == "auto")
    width = FULL if full else 2
    trained = trained_parameters(shape, config)
    states = 0 if config.cpu_offload else 1
    tokens, chunk = config.tokens_per_micro_batch, CORES_CHUNK_ELEMENTS if on_cores else CHUNK_ELEMENTS
    kept = tokens * (shape.layers * kept_by_layer(shape, config.checkpointing, width) + _outside(shape, width))
    return Demand(
        (
            Item("master weights", states * FULL * held_parameters(shape, config) // ranks),
            Item("gradients", states * FULL * trained // ranks),
            Item("optimiser", states * 2 * FULL * trained // ranks),
            Item("gathered weights", width * _gathered(shape, config)),
            Item("activations", kept),
            Item("working space", _working_space(shape, config, width, kept, chunk)),
            *([Item("weights being sent", sent)] if sent else []),
            *([] if on_cores else [Item("reserve", RESERVE)]),
        )
    )


def _gathered(shape: Shape, config: LearnerConfig) -> int:
    """Parameters that are whole at a time: the root's, and of a layer and the next one or of all."""
    return shape.parameters if config.keep_gathered else shape.root_parameters + 2 * shape.layer_parameters


def host_demand(shape: Shape, config: LearnerConfig, width: int = 2) -> int:
    """Host memory of the first rank, which gathers whole weights and, with adapters, casts one version to the engines'
    width; with offloading its states as well."""
    versions = HOST_VERSIONS * FULL * shape.published_parameters
    cast = width * shape.published_parameters if width != FULL else 0
    states = FULL * held_parameters(shape, config) + 3 * FULL * trained_parameters(shape, config)
    return versions + cast + (states // config.ranks if config.cpu_offload else 0)


def load_demand(shape: Shape) -> int:
    """Host memory of each rank as it starts, and starts again: it loads the whole model in fp32 before it keeps its
    part (`learner/policy.py`)."""
    return FULL * shape.parameters


def checkpoint_size(shape: Shape, config: LearnerConfig) -> int:
    """Bytes of a checkpoint: all parameters in fp32, and of those with a gradient the optimiser's two averages; of a
    frozen model without these, for nobody knows how much of it is trained."""
    averages = 0 if config.freeze else 2 * FULL * trained_parameters(shape, config)
    return FULL * held_parameters(shape, config) + averages


def shared_memory_demand(shape: Shape, versions: int, width: int = 2) -> int:
    """What so many versions take as files in /dev/shm, on the node of the registry."""
    return versions * width * shape.published_parameters


def two_matrices(shape: Shape) -> int:
    """Tensors are sent one by one (`actors/weights/transports/nccl.py`); two are there when one follows another, and
    the largest, embedding or head, has a layer's or a norm before and after it."""
    return shape.vocabulary * shape.hidden + shape.hidden * max(shape.intermediate, shape.query_width)


def trained_parameters(shape: Shape, config: LearnerConfig) -> int:
    """Parameters with a gradient. `learner.freeze` is not counted: the plan is on the safe side."""
    if not config.lora.rank:
        return shape.parameters
    inside_outside = {
        "q_proj": shape.hidden + shape.query_width,
        "k_proj": shape.hidden + shape.kv_width,
        "v_proj": shape.hidden + shape.kv_width,
        "o_proj": shape.query_width + shape.hidden,
        "gate_proj": shape.hidden + shape.intermediate,
        "up_proj": shape.hidden + shape.intermediate,
        "down_proj": shape.intermediate + shape.hidden,
    }
    widths = sum(inside_outside.get(target, 0) for target in config.lora.targets)
    return shape.layers * config.lora.rank * widths


def held_parameters(shape: Shape, config: LearnerConfig) -> int:
    """Parameters kept in fp32: the model's and its adapters'."""
    return shape.parameters + (trained_parameters(shape, config) if config.lora.rank else 0)


def kept_by_layer(shape: Shape, checkpointing: str, width: int) -> int:
    """Bytes a token that one layer keeps for the backward pass."""
    if checkpointing == "full":
        return width * shape.hidden  # its input
    if checkpointing == "selective":
        # Its input and the results of its seven products: queries, keys, values, output, gate, up, down.
        return width * (3 * shape.hidden + shape.query_width + 2 * shape.kv_width + 2 * shape.intermediate)
    attention = width * (2 * shape.query_width + 2 * shape.kv_width) + FULL * shape.heads  # q, k, v, result, normaliser
    feed_forward = width * 4 * shape.intermediate  # gate, its activation, up, their product
    return 2 * _norm(shape.hidden, width) + _query_norms(shape, width) + attention + feed_forward


def _norm(features: int, width: int) -> int:
    """An RMSNorm keeps its input raised to fp32, the normalised value and the scaled one."""
    return features * (FULL + 2 * width)


def _query_norms(shape: Shape, width: int) -> int:
    return _norm(shape.query_width + shape.kv_width, width) if shape.query_norm else 0


def _outside(shape: Shape, width: int) -> int:
    """Bytes a token outside the layers: the embedding, the last norm, the hidden states that are scored."""
    return 2 * width * shape.hidden + _norm(shape.hidden, width)


def _working_space(shape: Shape, config: LearnerConfig, width: int, kept: int, chunk: int) -> int:
    tokens, matrix = config.tokens_per_micro_batch, shape.vocabulary * shape.hidden
    whole = config.lora.rank == 0
    logits = min(chunk, tokens * shape.vocabulary)
    # A chunk's logits and their gradient; the weight's gradient as it is summed up, and a chunk's part of it.
    head = logits * 2 * width + (matrix * (FULL + width) if whole else 0)
    recomputed = 0 if config.checkpointing == "none" else tokens * kept_by_layer(shape, "none", width)
    # A layer's gradients, and those of the layer before still on their way in fp32; the head's wait for the end.
    shared = shape.layer_parameters * (width + 2 * FULL) + width * matrix if whole else 0
    ending = shape.root_parameters * (width + FULL) if whole else 0
    gathering = FULL * matrix  # the largest matrix, whole, on its way to the engines
    return max(head, shared + recomputed, ending - kept, gathering - kept)
