"""The whole configuration: one field a section. A new part adds its section here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass, field

from azr.config.sections.actors import ActorsConfig
from azr.config.sections.algorithm import AlgorithmConfig
from azr.config.sections.buffers import BuffersConfig
from azr.config.sections.checkpoint import CheckpointConfig
from azr.config.sections.cluster import ClusterConfig
from azr.config.sections.evaluation import EvaluationConfig
from azr.config.sections.gating import GatingConfig, LengthsConfig, SeedingConfig
from azr.config.sections.learner import LearnerConfig
from azr.config.sections.model import ModelConfig
from azr.config.sections.rollout import RolloutConfig
from azr.config.sections.run import RunConfig
from azr.config.sections.safety import SafetyConfig
from azr.config.sections.sandbox import SandboxConfig
from azr.config.sections.staleness import StalenessConfig
from azr.config.sections.tracking import TrackingConfig
from azr.config.sections.weights import WeightsConfig


@dataclass
class Config:
    """Everything a run can be told."""

    run: RunConfig = field(default_factory=RunConfig)
    """The run itself: name, folder, seed, when it ends."""

    model: ModelConfig = field(default_factory=ModelConfig)
    """What is trained and served."""

    sandbox: SandboxConfig = field(default_factory=SandboxConfig)
    """Where and within which limits model-written programs run."""

    algorithm: AlgorithmConfig = field(default_factory=AlgorithmConfig)
    """What is learned from the stream of responses: rewards, advantages, batches, loss."""

    gating: GatingConfig = field(default_factory=GatingConfig)
    """What makes a proposal a task, and an answer right."""

    lengths: LengthsConfig = field(default_factory=LengthsConfig)
    """How long prompts, outputs and responses may be."""

    seeding: SeedingConfig = field(default_factory=SeedingConfig)
    """How the first tasks are made."""

    buffers: BuffersConfig = field(default_factory=BuffersConfig)
    """The tasks that are kept, and which of them are drawn again."""

    staleness: StalenessConfig = field(default_factory=StalenessConfig)
    """How old data may be, and who waits for whom."""

    actors: ActorsConfig = field(default_factory=ActorsConfig)
    """Who proposes and solves, on how many lanes, and the services they talk to."""

    learner: LearnerConfig = field(default_factory=LearnerConfig)
    """How the learner runs: ranks, memory, precision, attention, checkpoints."""

    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    """What a checkpoint holds besides the learner's tensors."""

    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    """Held-out tasks, before and after."""

    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    """Who is told of metrics, parameters and artifacts."""

    cluster: ClusterConfig = field(default_factory=ClusterConfig)
    """Where the run's processes live, and how long they may take."""

    safety: SafetyConfig = field(default_factory=SafetyConfig)
    """Concerning responses: what is looked for and what is done."""

    rollout: RolloutConfig = field(default_factory=RolloutConfig)
    """The engines that sample responses: how many, how large, how patient those are who ask them."""

    weights: WeightsConfig = field(default_factory=WeightsConfig)
    """How weights get from the learner to the engines."""


def longest_sequence(config: Config) -> int:
    """Most tokens that a prompt, of a solver's or a proposer's, has together with its response."""
    lengths = config.lengths
    return max(lengths.prompt, lengths.content) + lengths.response
