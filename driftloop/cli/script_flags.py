"""The flags of each script at the root: the shared groups, and its own."""

from __future__ import annotations

from dataclasses import dataclass

from driftloop.cli.call import LearnerFlags
from driftloop.cli.flags import BaseRunFlags, DataFlags, ExperimentFlags, JudgingFlags, RegistryFlags, ServingFlags, TrainingFlags, WatchFlags


@dataclass(frozen=True)
class WorkFlags(LearnerFlags, ExperimentFlags, DataFlags):
    """Flags of all scripts: learner, experiment and table."""


@dataclass(frozen=True)
class BaseModelFlags(WorkFlags, TrainingFlags):
    """Flags of scripts that can train a base model."""


@dataclass(frozen=True)
class SwapFlags(BaseModelFlags, JudgingFlags, RegistryFlags, ServingFlags):
    """Flags of scripts that can retrain and swap the winner in."""


@dataclass(frozen=True)
class LoopFlags(SwapFlags, WatchFlags):
    """Flags of scripts that serve, watch, and respond to drift."""

    port: int


@dataclass(frozen=True)
class DeployFlags(LoopFlags, BaseRunFlags):
    """Of deploy_model.py."""

    serve_only: bool


@dataclass(frozen=True)
class RetrainFlags(SwapFlags, BaseRunFlags):
    """Of retrain_model.py."""

    until_row: int
    until_time: str


@dataclass(frozen=True)
class LifecycleFlags(LoopFlags):
    """Of lifecycle.py."""

    base_trials: int


@dataclass(frozen=True)
class BacktestFlags(WorkFlags):
    """Of backtest.py."""

    policies: str
    block_size: int
    threshold_accuracy: float
    alpha: float
    lead_blocks: int
    train_share: float
    first_rows: int
    random_seeds: int
    judge_rows: int
    judge_alpha: float
    jobs: int
    cache: str
    resume: bool
    plot: str
    max_epochs: int
    window: int
    history: int
    seed: int
    synthetic: str
    rows: int
