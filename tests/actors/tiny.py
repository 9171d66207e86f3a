"""A tiny Qwen2 of random weights with a tokenizer of bytes: large enough for vLLM's CPU attention, quick to load."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, Qwen2Config

#: 256 bytes, then the end token.
VOCABULARY, END = 257, 256


def save_engine_model(folder: Path) -> Path:
    """A Hugging Face folder with a two-layer model of about 0.2M parameters, and its tokenizer."""
    config = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        eos_token_id=END,
        bos_token_id=None,
    )
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = {letter: number for number, letter in enumerate(alphabet)} | {"<end>": END}
    tokenizer = Tokenizer(models.BPE(vocab=words, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>")
    wrapped.chat_template = "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}>"
    wrapped.save_pretrained(folder)
    return folder


def changed_weights(folder: Path, step: int) -> dict[str, Tensor]:
    """The model's weights as a learner might have them after some steps: each step's are the same wherever asked."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    generator = torch.Generator().manual_seed(step)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05 * (step > 0))
    return dict(model.state_dict())


def logprobs_under(folder: Path, weights: dict[str, Tensor], prompt: list[int], response: list[int]) -> Tensor:
    """What transformers says of each response token under these weights, at temperature 1."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    model.load_state_dict(weights)
    ids = torch.tensor([prompt + response])
    with torch.no_grad():
        logits = model(input_ids=ids).logits[0, len(prompt) - 1 : -1]
    return torch.log_softmax(logits.float(), -1).gather(-1, ids[0, len(prompt) :, None])[:, 0]


def logprobs_across(
    folder: Path, old: dict[str, Tensor], new: dict[str, Tensor], prompt: list[int], response: list[int], seam: int
) -> Tensor:
    """Of the tokens from `seam` on, under new weights that attend to what old ones computed for all tokens before.

    The last old token was sampled but not yet computed when the weights changed, so the new ones compute it.
    """
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    model.load_state_dict(old)
    ids = torch.tensor([prompt + response])
    before = len(prompt) + seam - 1
    with torch.no_grad():
        cache = model(input_ids=ids[:, :before], use_cache=True).past_key_values
        model.load_state_dict(new)
        logits = model(input_ids=ids[:, before:-1], past_key_values=cache, use_cache=True).logits[0]
    return torch.log_softmax(logits.float(), -1).gather(-1, ids[0, before + 1 :, None])[:, 0]
