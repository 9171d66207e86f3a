"""The tiny model's tokenizer: a small byte-pair vocabulary, so that sequences are short.

Owns how text becomes tokens for it. Trained on the corpus itself: whole phrases of code become one token, while digits
and the letters of strings stay single; every byte has a token, so that anything can be written down, if at length.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

#: Tokens of the vocabulary: 256 bytes, an end mark, and merges for what programs of the world repeat.
SIZE = 512

END = "<|end|>"

#: A string of the world, quotes and all; it is set apart first, so that its letters are known from those of code.
_STRING = r"'[a-dA-D]*'"

#: Letters of such a string, and digits: never merged, so that reversing or counting them is a matter of tokens.
_SINGLE = r"[a-dA-D](?=[a-dA-D]*'\Z)|\d"


def train_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """The tokenizer trained on these texts; the same texts in the same order give the same one."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_STRING), behavior="isolated"),
            pre_tokenizers.Split(Regex(_SINGLE), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=END)


def save_tokenizer(tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write it as transformers and vLLM read it. The chat template passes messages on as they are."""
    tokenizer.chat_template = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
    tokenizer.save_pretrained(folder)
