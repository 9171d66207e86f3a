"""Shapes of published models, and how many floating-point operations training them takes.

The convention, printed with every result: products only, forward once and backward twice (6 a parameter and token), the
embedding's lookup not counted, the head counted for scored tokens, attention causal (half of the square) and within
sequences only, nothing for what activation checkpointing or the head compute again.

    operations = 6 · body · tokens + 6 · width · vocabulary · scored + 6 · layers · heads · head width · Σ length²
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

CONVENTION = (
    "operations: 6 x (products' parameters) a token, head for scored tokens only, causal attention "
    "6·L·H·d·Σl²; no embedding lookup, nothing for recomputation"
)


@dataclass(frozen=True)
class Shape:
    """A decoder of Qwen2.5's kind."""

    width: int
    feed_forward: int
    layers: int
    heads: int
    kv_heads: int
    vocabulary: int
    tied: bool
    checkpointing: str = "none"
    """What fits one card of 141 GB at the budget below."""
    budget: int = 16_384
    """Tokens of a micro-batch."""
    keep_gathered: bool = False
    """Whether there is room for all weights in half precision besides."""

    @property
    def head_width(self) -> int:
        """Of one attention head."""
        return self.width // self.heads

    @property
    def body(self) -> int:
        """Parameters of the layers' products."""
        attention = 2 * self.width * self.width + 2 * self.width * self.kv_heads * self.head_width
        return self.layers * (attention + 3 * self.width * self.feed_forward)

    def operations(self, lengths: Sequence[int], scored: int) -> float:
        """Floating-point operations of one training step on sequences of these lengths."""
        return 6.0 * (self.body * sum(lengths) + self.width * self.vocabulary * scored) + self.attention(lengths)

    def attention(self, lengths: Sequence[int]) -> float:
        """The part of them that attention's own products take."""
        return 6.0 * self.layers * self.heads * self.head_width * sum(length * length for length in lengths)

    def save(self, folder: Path) -> Path:
        """A model folder with a configuration and nothing else."""
        from transformers import Qwen2Config

        Qwen2Config(
            vocab_size=self.vocabulary,
            hidden_size=self.width,
            intermediate_size=self.feed_forward,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.kv_heads,
            max_position_embeddings=32_768,
            rope_theta=1_000_000.0,
            tie_word_embeddings=self.tied,
            architectures=["Qwen2ForCausalLM"],
        ).save_pretrained(folder)
        return folder

    def save_with_random_weights(self, folder: Path) -> Path:
        """A whole model folder in half precision, with the embedded model's tokenizer: what it says makes no sense, and
        costs as much as if it did."""
        import torch
        from safetensors.torch import save_file
        from transformers import AutoConfig, AutoModelForCausalLM

        from azr.tiny.shipped import folder as embedded

        self.save(folder)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        torch.manual_seed(0)
        with torch.device(device):
            model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder), dtype=torch.bfloat16)
        names = {name for name, _ in model.named_parameters()}
        tensors = {name: tensor.cpu().contiguous() for name, tensor in model.state_dict().items() if name in names}
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json", "chat_template.jinja"):
            shutil.copy(embedded() / name, folder / name)
        described = json.loads((folder / "config.json").read_text())
        ends = json.loads((embedded() / "config.json").read_text())
        described |= {"dtype": "bfloat16", "eos_token_id": ends["eos_token_id"]}
        (folder / "config.json").write_text(json.dumps(described, indent=1))
        return folder


SHAPES = {
    "tiny": Shape(128, 384, 2, 4, 2, 512, True, budget=1_024),
    "qwen2.5-0.5b": Shape(896, 4_864, 24, 14, 2, 151_936, True, budget=32_768, keep_gathered=True),
    "qwen2.5-1.5b": Shape(1_536, 8_960, 28, 12, 2, 151_936, True, budget=32_768, keep_gathered=True),
    "qwen2.5-3b": Shape(2_048, 11_008, 36, 16, 2, 151_936, True, keep_gathered=True),
    "qwen2.5-7b": Shape(3_584, 18_944, 28, 28, 4, 152_064, False, checkpointing="full", budget=24_576),
}
