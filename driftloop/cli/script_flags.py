"""The flags of each script at the root: the shared groups, and its own."""

from __future__ import annotations

from dataclasses import dataclass

from driftloop import settings
from driftloop.cli.call import Flags, LearnerFlags, flag
from driftloop.cli.flag_types import amount, moment, rate, retrain_cost, share, time_format, time_zone
from driftloop.cli.flags import (
    BaseRunFlags,
    BlockFlags,
    DataFlags,
    ExperimentFlags,
    GoalFlags,
    JudgingFlags,
    KpiFlags,
    PromoteFlags,
    RegistryFlags,
    ServingFlags,
    TaskFlags,
    TextFlags,
    TrainingFlags,
    WatchFlags,
)
from driftloop.cli.parsing import whole


@dataclass(frozen=True)
class WorkFlags(LearnerFlags, ExperimentFlags, DataFlags):
    """Flags of all scripts: learner, experiment and table."""


@dataclass(frozen=True)
class KpiGoalFlags(WorkFlags, KpiFlags, GoalFlags):
    """Flags of scripts that hold a model against a KPI's threshold."""


@dataclass(frozen=True)
class BaseModelFlags(WorkFlags, TrainingFlags, KpiFlags):
    """Flags of scripts that can train a base model."""


@dataclass(frozen=True)
class ServedFlags(WorkFlags, RegistryFlags, ServingFlags):
    """Flags of scripts that change what is served."""


@dataclass(frozen=True)
class SwapFlags(BaseModelFlags, JudgingFlags, ServedFlags):
    """Flags of scripts that can retrain and swap the winner in."""


@dataclass(frozen=True)
class LoopFlags(SwapFlags, KpiGoalFlags, WatchFlags, PromoteFlags):
    """Flags of scripts that serve, watch, and respond to drift."""

    port: int = flag(0, "first of five consecutive ports for the TorchServe to start; 0: free ones", type=whole(0, 65531))


@dataclass(frozen=True)
class DeployFlags(LoopFlags, BaseRunFlags):
    """Of deploy_model.py."""

    serve_only: bool = flag(False, "put the champion, else the base model, into the TorchServe at --torchserve_url; nothing is scored")


@dataclass(frozen=True)
class RetrainFlags(SwapFlags, BaseRunFlags):
    """Of retrain_model.py."""

    until_row: int = flag(0, "first row that the retrain must not see; 0: the row after the drifted block", type=whole(0))
    until_time: str = flag("", "--until_row as a time, such as 2020-04-01T07:30:00Z; empty: --until_row decides")


@dataclass(frozen=True)
class RollbackFlags(ServedFlags, TaskFlags):
    """Of rollback_model.py."""

    version: int = flag(0, "version that is to serve again; 0: the one before the champion", type=whole(0))
    reason: str = flag("", "why, in words; logged with the name of the user")


@dataclass(frozen=True)
class LifecycleFlags(LoopFlags):
    """Of lifecycle.py."""

    base_trials: int = flag(0, "sets of parameters to try for the base model; 0: the documented defaults", type=whole(0, 10_000))


@dataclass(frozen=True)
class PlayFlags:
    """What a back-test plays, and how it is judged."""

    policies: str = flag(
        "all",
        "policies, separated by commas: never, always, periodic (every 2, 7, 28 blocks), periodic-N, random, threshold, significant, probation, "
        "adwin, ddm, eddm, hddm_a, hddm_w, kswin, page_hinkley, proactive, cost, continuous (the network's weights), online (another learner), or all",
    )
    retrain_cost: str = flag(
        "", "of `cost`, what a retrain costs in points of KPI x blocks: 20, or 5/s for each second of its fit; empty: 1/s", type=retrain_cost
    )
    retrain_blocks: int = flag(0, "blocks that a retrain takes: its model answers so many blocks later", type=whole(0, 10_000))
    lead_blocks: int = flag(
        settings.LEAD_BLOCKS, "`proactive` retrains when the forecast's lower bound is at most this many blocks away", type=whole(0, 10_000)
    )
    train_share: float = flag(settings.TRAIN_SHARE, "share of the rows, the oldest, that the base model is trained on", type=share)
    first_rows: int = flag(0, "number of oldest rows that the base model is trained on; 0: --train_share decides", type=whole(0))
    random_seeds: int = flag(20, "random runs to compare each triggered policy with", type=whole(1, 1000))
    judge_rows: int = flag(0, "newest rows on which a retrain must beat the model in service; 0: no judge", type=whole(0))
    judge_alpha: float = flag(settings.JUDGE_ALPHA, "largest p-value at which the retrain counts as better", type=share)
    label_delay_blocks: int = flag(0, "blocks by which labels are late: rules and retrains see a block's labels this many blocks after its end", type=whole(0))
    label_share: float = flag(1.0, "share of the rows, drawn with --seed, whose labels rules and retrains ever see", type=share)
    jobs: int = flag(1, "processes that train in parallel; the results do not depend on it", type=whole(1, 256))
    cache: str = flag(".driftloop/fits", "folder in which fits are cached")
    resume: bool = flag(False, "continue the newest unfinished back-test of the same stream and settings")
    plot: str = flag("", "also write the plot to this PNG file; it is always logged to MLflow")


@dataclass(frozen=True)
class FitFlags:
    """How a back-test fits."""

    max_epochs: int = flag(3, "passes over the training rows in each fit", type=whole(1, 10_000))
    window: int = flag(settings.RETRAIN_PARAMS["window"], "newest rows that a retrain is trained on; 0: all", type=whole(0))
    history: int = flag(0, "rows before each row that the model sees; `continuous` sees none", type=whole(0, 10_000))
    seed: int = flag(settings.SEED, "seed of the weights, the batches and the random policies", type=whole(0, 2**31 - 1))


@dataclass(frozen=True)
class KnownStreamFlags:
    """A synthetic stream with known drift."""

    synthetic: str = flag("", "generator:drift, such as sea:abrupt or hyperplane:gradual; empty: the table")
    rows: int = flag(20_000, "rows of the synthetic stream", type=whole(1))


@dataclass(frozen=True)
class BacktestFlags(KpiGoalFlags, BlockFlags, TaskFlags, PlayFlags, FitFlags, KnownStreamFlags):
    """Of backtest.py."""


@dataclass(frozen=True)
class PredictionFlags:
    """Which table of predictions to read."""

    data_path: str = flag("", "required: ARFF, CSV or Parquet file (also .gz, .zip) with a row for each prediction")
    target: str = flag("", "required: label column; a row without a label is not judged, only estimated")
    prediction: str = flag("", "required: column of the predicted classes, written as the labels are, or of the predicted values")
    probability: str = flag(
        "",
        "column of the probability of one of two classes, or a column for each class, comma-separated, whose names end with the class; "
        "empty: no estimate without labels, no KPI of probabilities",
    )
    id_column: str = flag("", "column that tells one row from all others; the first row of an id counts, with its last label")
    time_column: str = flag("", "column with each row's time; 'row': the rows are in time order, but have no time; empty: the only column with times")
    time_format: str = flag("", "format of the times, such as '%%d/%%m/%%Y %%H:%%M', unix_ms, excel; empty: inferred from all rows", type=time_format)
    time_zone: str = flag("", "time zone of times without one, such as Europe/Berlin; empty: times are used as they are", type=time_zone)
    features: str = flag("", "columns of the model's inputs, comma-separated; empty: every other column but identifiers, constants and free text")
    leave_out: str = flag("", "columns that are not inputs, comma-separated as in --features")
    task: str = flag(
        "",
        "type of the label: classification (classes) or regression (values); empty: it follows from the label",
        choices=["", *settings.TASKS],
        metavar="TASK",
    )
    unit: str = flag("", "unit of a regression's label, such as minutes")


@dataclass(frozen=True)
class JudgeFlags:
    """How to judge a table of predictions."""

    reference_until: str = flag("", "time at which the reference period ends, such as 2018-10-01; empty: --reference_rows decides", type=moment)
    reference_rows: int = flag(0, "number of oldest rows in the reference period; 0: 30 %% of all", type=whole(0))
    block_by: str = flag(
        "rows",
        "rows: blocks of --block_size rows; otherwise calendar blocks with any number of rows; a week begins on Monday",
        choices=["rows", "day", "week", "month"],
    )
    block_size: int = flag(0, "rows per block; 0: a hundredth of the rows to judge, 20 to 1000", type=whole(0))
    threshold: float = flag(0.0, "the KPI that is just good enough, on its scale or in its unit; 0: drift is a fall against the reference period", type=amount)
    alpha: float = flag(
        settings.ALPHA, "maximum false-alarm probability over the whole table, for a model as good as the threshold or the reference period", type=rate
    )
    label_delay: str = flag("", "how long labels take: 12h, 7d, 2w after a block's last row, or a number of blocks; until then a block is not judged")
    state: str = flag("", "file that the watch is continued from, if it exists, and saved to: then --data_path holds later rows or labels")
    segments: str = flag(
        "",
        "columns whose values, or ranges of numbers, are judged each by itself against its own reference period, comma-separated as in --features; "
        "--alpha holds over all of them together",
    )
    fail_on_drift: bool = flag(False, "exit with code 10 when a block or a segment has drifted")
    report: str = flag("", "also write the HTML report to this file; it is always logged to MLflow")


@dataclass(frozen=True)
class WatchTableFlags(Flags, ExperimentFlags, PredictionFlags, TextFlags, JudgeFlags, KpiFlags):
    """Of watch_table.py."""
