"""Chooses an attention back end and makes transformers' models use it.

Called when a model is built. The order below is the order of preference; `azr doctor` shows what each back end says.
Adding one takes its file and a line here.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from learner.attention.base import AttentionBackend, PackedRows
from learner.attention.flash_attention_2 import FlashAttention2
from learner.attention.flash_attention_3 import FlashAttention3
from learner.attention.flash_attention_4 import FlashAttention4
from learner.attention.sdpa import Sdpa
from learner.attention.torch_varlen import TorchVarlen

BACKENDS: tuple[AttentionBackend, ...] = (
    FlashAttention3(),
    FlashAttention4(),
    FlashAttention2(),
    TorchVarlen(),
    Sdpa(),
)

#: The name under which transformers knows packed attention.
IMPLEMENTATION = "azr_packed"

#: What some models ask of attention beyond a scale and a window, by the name transformers passes it under. Left out, it
#: would be another model that is trained.
_CHANGES = {"s_aux": "sinks", "softcap": "capped scores"}


def survey() -> dict[str, str | None]:
    """What each back end says of this machine, in order of preference: None means it can run."""
    return {backend.name: backend.unavailable() for backend in BACKENDS}


def choose(name: str = "auto") -> AttentionBackend:
    """The back end of that name, or the best that can run here; one that cannot run is refused with its reason."""
    for backend in BACKENDS:
        reason = backend.unavailable()
        if name == backend.name:
            if reason is not None:
                raise ValueError(f"attention back end {name!r} cannot run here: {reason}")
            return backend
        if name == "auto" and reason is None:
            return backend
    raise ValueError(f"no attention back end named {name!r}; known: auto, {', '.join(b.name for b in BACKENDS)}")


def fitting(name: str, device: torch.device, dtype: torch.dtype) -> str:
    """What `auto` means for a rank that computes on cores, though cards may be in sight, or in full precision, which
    kernels for cards do not know: the reference. Other names stay."""
    return "sdpa" if name == "auto" and (device.type == "cpu" or dtype is torch.float32) else name


def install(name: str = "auto") -> AttentionBackend:
    """Register the chosen back end with transformers as `IMPLEMENTATION`; load models with that name afterwards."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import flash_attention_mask

    backend = choose(name)

    def packed_attention(
        _module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        scaling: float | None = None,
        **options: Any,
    ) -> tuple[Tensor, None]:
        """transformers' form: [1, heads, tokens, width] in, [1, tokens, heads, width] out."""
        cumulative = options.get("cu_seq_lens_q")
        if cumulative is None:
            raise ValueError(
                "packed attention was called without cu_seq_lens_q: pass the layout's keyword arguments to the model"
            )
        if attention_mask is not None:
            raise ValueError("packed attention takes no mask: pack sequences instead of padding them")
        for asked, what in _CHANGES.items():
            if options.get(asked) is not None:
                raise ValueError(f"this model's attention has {what} ({asked}), which packed attention does not know")
        window = options.get("sliding_window")
        if window is not None and options["max_length_k"] > window:
            raise ValueError(f"sequences of {options['max_length_k']} tokens exceed the model's window of {window}")
        scale = scaling if scaling is not None else query.shape[-1] ** -0.5
        q, k, v = (tensor.squeeze(0).transpose(0, 1) for tensor in (query, key, value))
        rows = PackedRows(
            cumulative,
            options["max_length_q"],
            options["cu_seq_lens_k"],
            options["max_length_k"],
            options.get("key_places"),
        )
        output = backend.attend(q, k, v, rows, scale)
        return output.unsqueeze(0), None

    AttentionInterface.register(IMPLEMENTATION, packed_attention)
    AttentionMaskInterface.register(IMPLEMENTATION, flash_attention_mask)
    return backend


def layout_arguments(rows: PackedRows) -> dict[str, object]:
    """The keyword arguments that carry a packed row's layout through a transformers model."""
    return {
        "cu_seq_lens_q": rows.cumulative,
        "cu_seq_lens_k": rows.cumulative_keys,
        "max_length_q": rows.longest,
        "max_length_k": rows.longest_keys,
        "key_places": rows.key_places,
    }
