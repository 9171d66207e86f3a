"""The policy network: any Hugging Face causal language model, scored at response tokens only.

Owns the wrapper whose forward pass ends in log-probabilities, not logits. The head's product runs inside the wrapper,
so that under FSDP its weight is whole exactly while it is needed. Called by `learner.trainer`.

    MicroBatch ──► decoder (packed attention) ──► hidden states ──gather──► log-prob head ──► log p, entropy
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM

from azr.errors import AzrError
from azr.text import shortened
from learner.attention.registry import IMPLEMENTATION, install, layout_arguments
from learner.logprob_head import token_logprobs
from learner.samples import MicroBatch

#: Settings under which a model's logits are not hidden · weightᵀ, so that our head would score another model.
_LOGIT_TRANSFORMS = ("final_logit_softcapping", "logits_scaling", "logit_scale", "lm_head_multiplier")
#: Kinds of layers in which tokens meet by attention alone, which is given the cuts between packed responses.
_ATTENTION_LAYERS = ("full_attention", "sliding_attention")

#: Files in which transformers looks for weights first; others beside them (`consolidated.safetensors`) it passes over.
_WEIGHTS = "model*.safetensors"
#: Characters of a library's own words in an error.
_WHY_WIDTH = 300


class Policy(nn.Module):
    """A causal language model as a scorer of sampled tokens."""

    def __init__(self, language_model: nn.Module) -> None:
        super().__init__()
        self.language_model = language_model
        _refuse_other_decoders(language_model)
        _refuse_other_heads(language_model)

    @property
    def config(self) -> Any:
        """The model's transformers configuration."""
        return self.language_model.config

    @property
    def layers(self) -> nn.ModuleList:
        """The decoder's layers, the units of sharding, checkpointing and compilation."""
        return cast(nn.ModuleList, self.language_model.get_decoder().layers)  # type: ignore[operator]

    def forward(
        self, batch: MicroBatch, temperature: float = 1.0, with_entropy: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Log-probabilities (fp32) of the micro-batch's response tokens, and entropies if asked for."""
        decoder = self.language_model.get_decoder()  # type: ignore[operator]
        hidden = decoder(
            input_ids=batch.input_ids,
            position_ids=batch.position_ids,
            use_cache=False,
            **layout_arguments(batch.rows),
        ).last_hidden_state[0]
        head = self.language_model.get_output_embeddings()  # type: ignore[operator]
        return token_logprobs(
            hidden.index_select(0, batch.scored),
            head.weight,
            batch.targets,
            temperature=temperature,
            with_entropy=with_entropy,
        )


def load_policy(source: str | Path, *, attention: str = "auto", random_weights: bool = False) -> Policy:
    """The policy from a Hugging Face folder or name, in fp32: master weights are full precision whatever computes.

    With `random_weights` only the configuration is read (shapes for benchmarks, or a model to be pretrained).
    """
    install(attention)
    config = AutoConfig.from_pretrained(source)
    if random_weights:
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation=IMPLEMENTATION)
    else:
        require_whole_weights(Path(source))
        model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32, attn_implementation=IMPLEMENTATION)
    return Policy(model)


def require_whole_weights(folder: Path) -> None:
    """Refuse a folder of which a file of weights is damaged, by that file: what transformers raises names none.

    Heads alone are read. They say how long a file must be, so that one that was cut off is found however large it is.
    What is no folder is a name, whose files are looked at when they are downloaded.
    """
    for path in sorted(folder.glob(_WEIGHTS)):
        try:
            with safe_open(path, "pt"):
                pass
        except (SafetensorError, OSError) as error:
            raise AzrError(
                f"{path} cannot be read: {shortened(str(error), _WHY_WIDTH)}",
                "fetch or export this model once more, or name another one",
            ) from error


def _refuse_other_decoders(model: nn.Module) -> None:
    """Refuse a model whose layers are not where they are looked for (GPT-2 keeps them under `h`), or in which tokens
    meet by more than attention (convolutions, state spaces, linear attention)."""
    decoder = model.get_decoder()  # type: ignore[operator]
    layers = getattr(decoder, "layers", None)
    if not isinstance(layers, nn.ModuleList):
        raise ValueError(
            f"{type(model).__name__} cannot be trained: its decoder, a {type(decoder).__name__}, must keep its layers "
            "in an nn.ModuleList named `layers`, as Llama's and Qwen's do"
        )
    kinds = [kind for kind in getattr(model.config, "layer_types", None) or () if kind not in _ATTENTION_LAYERS]
    mixes = [type(part).__name__ for part in layers.modules() if isinstance(part, nn.Conv1d)]
    without = [type(layer).__name__ for layer in layers if not hasattr(layer, "self_attn")]
    if others := kinds or without or mixes:
        raise ValueError(
            f"{type(model).__name__} cannot be trained: in its layers of {others[0]} tokens meet otherwise than by "
            "attention over all or a window, which alone is told where one packed response ends and the next begins"
        )


def _refuse_other_heads(model: nn.Module) -> None:
    """Refuse a model whose logits are more than one matrix product, naming what it does to them."""
    for name in _LOGIT_TRANSFORMS:
        value = getattr(model.config, name, None)
        if value not in (None, 1, 1.0):
            raise ValueError(f"this model changes its logits ({name}={value}), which the log-prob head does not know")
    if getattr(model.get_output_embeddings(), "bias", None) is not None:  # type: ignore[operator]
        raise ValueError("this model's output layer has a bias, which the log-prob head does not know")
