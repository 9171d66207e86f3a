"""What the section `learner` may not be set to, with reason and mend. Called by `azr.config.rules`."""

from __future__ import annotations

from collections.abc import Iterator

from azr.config.sections.learner import ATTENTIONS, CHECKPOINTING, COMPUTE_DTYPES, LearnerConfig


def problems(learner: LearnerConfig, longest: int) -> Iterator[tuple[str, str, str]]:
    """Everything wrong with the section, as (key, what is wrong, how to mend it); `longest` is the most tokens that a
    prompt has together with its response."""
    for name, known in (
        ("attention", ATTENTIONS),
        ("checkpointing", CHECKPOINTING),
        ("compute_dtype", COMPUTE_DTYPES),
    ):
        if (value := getattr(learner, name)) not in known:
            yield f"learner.{name}", f"{value!r} is not known", f"choose one of {', '.join(known)}"
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
        if not number >= low:
            yield f"learner.{name}", f"{number} is out of range", f"it must be at least {low}"
    needed = longest - 1  # a response's last token is predicted, and predicts nothing
    if learner.tokens_per_micro_batch < needed:
        yield (
            "learner.tokens_per_micro_batch",
            f"{learner.tokens_per_micro_batch} does not hold the longest prompt (lengths.prompt, lengths.content) with "
            "its response (lengths.response)",
            f"set {needed} at least, or lower lengths.response",
        )
    if learner.compute_dtype == "float32" and learner.attention not in ("auto", "sdpa"):
        yield (
            "learner.attention",
            f"{learner.attention} computes in half precision, and learner.compute_dtype is float32",
            "leave it at auto, which takes sdpa then",
        )
    if learner.lora.rank > 0 and not learner.lora.alpha > 0.0:
        yield "learner.lora.alpha", f"{learner.lora.alpha} leaves adapters without effect", "it must be above 0"
    if learner.lora.rank > 0 and not learner.lora.targets:
        yield "learner.lora.targets", "no layer gets an adapter", "name one at least, or set learner.lora.rank: 0"
