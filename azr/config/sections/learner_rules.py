"""What the section `learner` may not be set to, with reason and mend. Called by `azr.config.rules`."""

from __future__ import annotations

from collections.abc import Iterator

from azr.config.sections.checking import Problem, at_least, one_of
from azr.config.sections.learner import ATTENTIONS, CHECKPOINTING, COMPUTE_DTYPES, LearnerConfig


def problems(learner: LearnerConfig, longest: int) -> Iterator[Problem]:
    """Everything wrong with the section; `longest` is the most tokens that a prompt has together with its response."""
    for name, known in (
        ("attention", ATTENTIONS),
        ("checkpointing", CHECKPOINTING),
        ("compute_dtype", COMPUTE_DTYPES),
    ):
        yield from one_of(f"learner.{name}", getattr(learner, name), known)
    for name, number, low in (
        ("ranks", learner.ranks, 1),
        ("threads", learner.threads, 0),
        ("tokens_per_micro_batch", learner.tokens_per_micro_batch, 1),
        ("lora.rank", learner.lora.rank, 0),
        ("checkpoint_every", learner.checkpoint_every, 1),
        ("keep_last", learner.keep_last, 0),
        ("keep_every", learner.keep_every, 0),
        ("restarts", learner.restarts, 0),
        ("health_check_seconds", learner.health_check_seconds, 0.01),
    ):
        yield from at_least(f"learner.{name}", number, low)
    needed = longest - 1  # a response's last token is predicted, and predicts nothing
    if learner.tokens_per_micro_batch < needed:
        yield Problem(
            "learner.tokens_per_micro_batch",
            f"{learner.tokens_per_micro_batch} does not hold the longest prompt (lengths.prompt, lengths.content) with "
            "its response (lengths.response)",
            f"set {needed} at least, or lower lengths.response",
        )
    if learner.compute_dtype == "float32" and learner.attention not in ("auto", "sdpa"):
        yield Problem(
            "learner.attention",
            f"{learner.attention} computes in half precision, and learner.compute_dtype is float32",
            "leave it at auto, which takes sdpa then",
        )
    if learner.lora.rank > 0 and not learner.lora.alpha > 0.0:
        told = f"{learner.lora.alpha} leaves adapters without effect"
        yield Problem("learner.lora.alpha", told, "it must be above 0")
    if learner.lora.rank > 0 and not learner.lora.targets:
        mend = "name one at least, or set learner.lora.rank: 0"
        yield Problem("learner.lora.targets", "no layer gets an adapter", mend)
