"""How the learner runs: model, precision, memory, ranks, checkpoints. What it optimises is `AlgorithmConfig`'s."""

from __future__ import annotations

from dataclasses import dataclass, field

ATTENTIONS = ("auto", "flash_attention_3", "flash_attention_4", "flash_attention_2", "torch_varlen", "sdpa")
CHECKPOINTING = ("none", "selective", "full")
COMPUTE_DTYPES = ("auto", "float32", "bfloat16")


@dataclass
class LoraConfig:
    """Low-rank adapters in place of full weights, for cards that hold no optimiser state of the whole model."""

    rank: int = 0
    """0: off, all weights are trained."""
    alpha: float = 32.0
    """Updates are scaled by alpha / rank."""
    targets: list[str] = field(
        default_factory=lambda: ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    )
    """Linear layers that get an adapter, by the last part of their name; not the output layer, nor frozen ones."""


@dataclass
class LearnerConfig:
    """One process a rank, under Ray Train."""

    ranks: int = 1
    """Learner processes; each takes one GPU, or a share of the CPU cores."""
    threads: int = 0
    """OpenMP threads of a rank; 0: its share of the cores, beside a GPU half of that and 8 at most. Threads that wait
    for each other on cores that engines want as well burn time, so fewer can be faster."""
    tokens_per_micro_batch: int = 16384
    """Budget of a packed forward pass on one rank. No sequence is cut, so it must hold the longest prompt with its
    response."""
    share_prompts: bool = True
    """Compute a prompt once for all its responses in a micro-batch. The same numbers, for fewer tokens."""
    attention: str = "auto"
    """`auto`, `flash_attention_3`, `flash_attention_4`, `flash_attention_2`, `torch_varlen`, `sdpa`."""
    compute_dtype: str = "auto"
    """`auto`: bfloat16 on a GPU over fp32 master weights, float32 on a CPU."""
    checkpointing: str = "none"
    """Activations kept: `none` recomputes nothing, `selective` recomputes all but matrix products, `full` all."""
    keep_gathered: bool = False
    """Hold all layers' weights in half precision from forward to backward, in place of gathering them twice: 2 bytes a
    parameter on each rank for one gather less a micro-batch."""
    compile: bool = False
    """torch.compile each layer."""
    cpu_offload: bool = False
    """Keep parameters and optimiser state in host memory between uses."""
    freeze: list[str] = field(default_factory=list)
    """Parameters that are not trained, by shell-style patterns of their names, e.g. `model.embed_tokens.*`."""
    lora: LoraConfig = field(default_factory=LoraConfig)
    """Low-rank adapters."""
    report_entropy: bool = True
    """Compute the policy's entropy for the metrics even when no bonus is paid on it."""
    checkpoint_every: int = 50
    """Learner steps between checkpoints."""
    keep_last: int = 2
    """Newest checkpoints that are kept, and that journals go back to."""
    keep_every: int = 0
    """Checkpoints whose step is a multiple of this are kept as well; 0: none. A resume from one that is not among the
    newest takes up the snapshots in it."""
    restarts: int = 3
    """How often the ranks are restarted from the newest checkpoint after one is lost, before the run ends; the count
    begins again where a checkpoint was written since."""
    health_check_seconds: float = 0.2
    """How often Ray Train polls its workers. Its own 2 s make every report wait that long."""
