"""The shipped model's card: what it is, how it was made, and its table.

Called by `azr tiny ship`, which writes the card into the model's folder and the table into the documentation's page.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from azr.tiny.evaluation import Row, table_of

_HEAD = """---
library_name: transformers
pipeline_tag: text-generation
license: apache-2.0
tags: [azr, self-play, tiny]
---

# azr tiny

A causal language model of {parameters:,} parameters (Qwen3 architecture, {bytes:,} bytes in bfloat16) that speaks the
compact prompts of azr's six cells and solves part of them. It exists so that self-play has somewhere to start on a
laptop without a network; it knows nothing of the world.

**Made by** `{command}`: programs drawn from a grammar, run in azr's own sandbox, no human data. The same command makes
it again. **Held-out tasks** (`azr/tiny/held_out`) are never trained on: a program belongs to them by its own normal
form, and `azr tiny overlap` searches a corpus for any. **Measured by** `azr tiny evaluate tiny`: greedy once, sampled
at temperature 1; proposals count as right when the gate accepts them. Harder tasks have two to four steps, more
branches and larger arguments.

"""

#: Between these the documentation's page holds the table.
_BEGIN, _END = "<!-- table of azr tiny ship -->", "<!-- end of table -->"

_TAIL = "\nPrograms that a model wrote are run in a sandbox only.\n"


def card(rows: Sequence[Row], *, folder: Path, command: str) -> str:
    """The card of the model in a folder, as Markdown."""
    weights = folder / "model.safetensors"
    head = _HEAD.format(parameters=parameters_of(weights), bytes=weights.stat().st_size, command=command)
    return head + table_of(rows) + _TAIL


def with_table(page: str, rows: Sequence[Row]) -> str:
    """The documentation's page with this table between its marks."""
    before, begins, rest = page.partition(_BEGIN)
    _, ends, after = rest.partition(_END)
    if not (begins and ends):
        raise ValueError(f"the page lacks the marks {_BEGIN} and {_END}")
    return f"{before}{begins}\n\n{table_of(rows)}\n{ends}{after}"


def parameters_of(weights: Path) -> int:
    """Numbers in a safetensors file; tied matrices are there once."""
    from safetensors import safe_open

    with safe_open(weights, framework="numpy") as file:
        names = file.keys()
        return sum(math.prod(file.get_slice(name).get_shape()) for name in names)
