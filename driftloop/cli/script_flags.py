"""What each script at the root is given: the shared groups of flags that it has, and its own flags."""

from __future__ import annotations

from dataclasses import dataclass

from driftloop.cli.call import LearnerFlags
from driftloop.cli.flags import BaseRunFlags, DataFlags, ExperimentFlags, JudgingFlags, RegistryFlags, ServingFlags, TrainingFlags, WatchFlags


@dataclass(frozen=True)
class WorkFlags(LearnerFlags, ExperimentFlags, DataFlags):
    """Of all: a learner, an experiment and a table."""


@dataclass(frozen=True)
class BaseModelFlags(WorkFlags, TrainingFlags):
    """Of base_model.py, and of whatever else can train a base model."""


@dataclass(frozen=True)
class SwapFlags(BaseModelFlags, JudgingFlags, RegistryFlags, ServingFlags):
    """Of what can retrain, and swap the winner in."""


@dataclass(frozen=True)
class LoopFlags(SwapFlags, WatchFlags):
    """Of what serves, watches, and answers drift."""

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
