"""Flags shared by several scripts, in groups: each group's dataclass, and the function that adds it to a parser."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from driftloop import settings
from driftloop.cli.call import flag
from driftloop.cli.flag_types import amount, experiment_name, model_name, moment, names, period, rate, retrain_cost, share, time_format, time_zone
from driftloop.cli.parsing import AUTO, history, whole
from driftloop.data.files import texts
from driftloop.drift.rules.rule_names import WATCHING
from driftloop.metrics.kpi_names import KPIS, LOG_LOSS_BOUND

RULE_HELP = (
    "threshold: any block under --threshold_accuracy, noise or not; significant: under it by more than noise, at the false-alarm rate --alpha; "
    "the others detect a rise of the error rate (river's detectors at their defaults)"
)


SLACK = f"{100 * settings.THRESHOLD_SLACK:.0f} %% more errors than on the base model's validation rows"


KPI_HELP = (
    f"what measures the models: {', '.join(KPIS)}; empty: accuracy or mae. brier is scaled to 0..1; a row's log_loss is clipped at "
    f"{LOG_LOSS_BOUND:g}; balanced_accuracy weighs rows by the training rows' class shares. `significant` keeps its rate for them; "
    "f1, roc_auc and average_precision are tested block by block, which takes more blocks"
)


def _encoding(text: str) -> str:
    if text and (told := texts.encoding_fault(text)):
        raise argparse.ArgumentTypeError(told)
    return text


def _separator(text: str) -> str:
    texts.separator(text)
    return text


@dataclass(frozen=True)
class TextFlags:
    """How a file of text is written."""

    encoding: str = flag("", "encoding of a text file, such as latin-1; empty: UTF-8, or that of its byte order mark", type=_encoding)
    separator: str = flag("", "separator of a CSV's columns, such as ';' or tab; empty: inferred from its lines", type=_separator)


@dataclass(frozen=True)
class DataFlags(TextFlags):
    """Which table to read."""

    data_path: str = flag("", "ARFF, CSV or Parquet file (also .gz, .zip); empty: the bundled ELEC")
    target: str = flag("", "label column; empty: 'target' or 'class'")
    time_column: str = flag("", "column with each row's time; 'row': the rows are in time order, but have no time; empty: the only column with times")
    time_format: str = flag("", "format of the times, such as '%%d/%%m/%%Y %%H:%%M', unix_ms, excel; empty: inferred from all rows", type=time_format)
    time_zone: str = flag("", "time zone of times without one, such as Europe/Berlin; empty: times are used as they are", type=time_zone)
    features: str = flag(
        "",
        "feature columns, comma-separated (a name with a comma in double quotes); empty: ELEC's six, or every column but identifiers, constants and free text",
    )
    leave_out: str = flag("", "columns that are not features, comma-separated as in --features")
    schema: str = flag(
        "", "YAML or JSON file that overrules what the training rows show: 'columns: {zone: {kind: category}, id: {role: feature}}'; empty: none"
    )
    bad_rows: str = flag("refuse", "what to do with rows where a value cannot be read", choices=["refuse", "set_aside"])
    missing: str = flag(
        "learn",
        "missing values: learn (a missing value is a value), refuse, or set_aside their rows; a learner that takes numbers only treats them as bad rows",
        choices=["learn", "refuse", "set_aside"],
    )


def table_options(args: DataFlags) -> dict[str, Any]:
    """`DataFlags` as the arguments of `streams.load`."""
    return {
        "path": args.data_path or None,
        "target": args.target or None,
        "time_column": args.time_column or None,
        "time_format": args.time_format,
        "time_zone": args.time_zone,
        "features": names(args.features) or None,
        "leave_out": names(args.leave_out),
        "schema": args.schema or None,
        "bad_rows": args.bad_rows,
        "missing": args.missing,
        "encoding": args.encoding,
        "separator": args.separator,
    }


@dataclass(frozen=True)
class TaskFlags:
    """The task, and the rows before the watch."""

    task: str = flag(
        "",
        "type of the label: classification (classes) or regression (values); empty: it follows from the label",
        choices=["", "classification", "regression"],
        metavar="TASK",
    )
    train_until: str = flag("", "train the base model on the rows before this time; empty: on the oldest 70 %%", type=moment)


def reading(args: DataFlags) -> dict[str, str]:
    """The flags that say how a table was read and are not the default, with absolute paths; none of the bundled ELEC."""
    if not args.data_path:
        return {}
    kinds = [DataFlags, *[TaskFlags] * isinstance(args, TaskFlags)]
    given = {one.name: str(getattr(args, one.name)) for kind in kinds for one in fields(kind) if getattr(args, one.name) != one.metadata["default"]}
    return given | {name: str(Path(given[name]).absolute()) for name in ("data_path", "schema") if name in given}


@dataclass(frozen=True)
class TrainingFlags(TaskFlags):
    """How to train and search."""

    max_epochs: int = flag(3, "passes over the training rows in each fit", type=whole(1, 10_000))
    total_trials: int = flag(0, "sets of parameters to try with Ax; 0: the documented defaults", type=whole(0, 10_000))
    history: int | str = flag(AUTO, "fixed number of preceding rows that the model sees with each row; auto: 0 for the defaults, else searched", type=history)
    optimizer: str = flag("sgd", "optimizer of each fit; AdamW needs lower learning rates", choices=["sgd", "adamw"])
    class_weights: str = flag(
        "none",
        "balanced: in the fit all classes weigh the same, which finds more rows of a rare class, but its probabilities are too high (brier, log_loss); "
        "for learners whose model takes class_weights",
        choices=["none", "balanced"],
    )
    search_space: str = flag("", "YAML file with the search space; empty: the default one")
    seed: int = flag(settings.SEED, "seed of the weights, the batches and the search", type=whole(0, 2**31 - 1))


@dataclass(frozen=True)
class ExperimentFlags:
    """Where runs are logged."""

    mlflow_experiment_name: str = flag("", "MLflow experiment; empty: that of `mlflow run`, MLFLOW_EXPERIMENT_NAME, or Default", type=experiment_name)


@dataclass(frozen=True)
class RegistryFlags:
    """The name under which models are registered and served."""

    register_model_name: str = flag("drift_model", "name of the registered model, also in TorchServe", type=model_name)


@dataclass(frozen=True)
class BaseRunFlags:
    """Which base model to work on."""

    base_run_id: str = flag("", "run id of the base model; empty: the newest of the experiment")
    train_base: bool = flag(False, "train a base model first if the experiment has none")


@dataclass(frozen=True)
class ServerFlags:
    """Which TorchServe to use."""

    torchserve_url: str = flag("", "a running TorchServe, http://host:port; empty: one is started and stopped at the end")


@dataclass(frozen=True)
class WorkerFlags:
    """How many workers serve."""

    workers: int = flag(1, "worker processes for each served version", type=whole(1, 64))


@dataclass(frozen=True)
class ServingFlags(ServerFlags, WorkerFlags):
    """How to serve in TorchServe."""

    take_over: bool = flag(False, "replace a model of another project or store served under the same name; refused otherwise")


@dataclass(frozen=True)
class KpiFlags:
    """What measures a model, in the search, in the watch and before a judge."""

    kpi: str = flag("", KPI_HELP, choices=["", *KPIS], metavar="KPI")
    cost: str = flag("", "what predictions cost, for --kpi cost: 'good:bad=5,bad:good=1' is true:predicted=cost; pairs that are not given cost 0")


@dataclass(frozen=True, kw_only=True)
class BlockFlags:
    """What a block is: some of `WatchFlags`."""

    block_size: int
    block_by: str


@dataclass(frozen=True, kw_only=True)
class GoalFlags:
    """Which KPI is just good enough, and how often a model that reaches it may be called worse: some of `WatchFlags`."""

    threshold: float
    threshold_accuracy: float
    threshold_mae: float
    alpha: float


@dataclass(frozen=True)
class WatchFlags(BlockFlags, GoalFlags):
    """What to score, what counts as drift, and how to respond."""

    test_data_rows: int = flag(0, "number of rows to score after the training rows; 0: all", type=whole(0))
    block_size: int = flag(48, "rows per block; labels arrive when a block ends; 0: a hundredth of the rows to score, 20 to 1000", type=int)
    threshold: float = flag(
        0.0,
        f"the KPI that is just good enough, on its scale or in its unit; 0: --threshold_accuracy or --threshold_mae decides, for other KPIs {SLACK}",
        type=amount,
    )
    threshold_accuracy: float = flag(0.8, f"lowest accuracy, 0..1, that is good enough; 0: {SLACK}", type=share)
    threshold_mae: float = flag(0.0, f"for a regression: largest mean absolute error that is good enough, in the label's unit; 0: {SLACK}", type=amount)
    block_by: str = flag(
        "rows",
        "rows: blocks of --block_size rows; otherwise calendar blocks with any number of rows; a week begins on Monday",
        choices=["rows", "day", "week", "month"],
    )
    drift_rule: str = flag("significant", RULE_HELP, choices=WATCHING)
    alpha: float = flag(settings.ALPHA, "maximum false-alarm probability of `significant` over the whole run, for a model that is good enough", type=rate)
    on_drift: str = flag(
        "retrain",
        "prompt: ask on a terminal, else as advise; retrain: retrain at once; advise: print the command; ignore: score only",
        choices=["prompt", "retrain", "advise", "ignore"],
    )
    policy: str = flag(
        "triggered",
        "when to retrain: triggered, on an alarm of the drift rule; proactive, also on a forecast one (--lead_blocks); periodic, --every so often; continuous, "
        "the model in service is updated on the labels of each block; cost, when what was lost exceeds --retrain_cost. Under the last three an alarm is "
        "only reported",
        choices=settings.POLICIES,
    )
    every: str = flag(
        "",
        "of `periodic`, blocks from one retrain to the next, or day, week or month; empty: 7 blocks; of `continuous`, how often a version is registered; "
        "empty: at the end",
        type=period,
    )
    retrain_cost: str = flag(
        "",
        "of `cost`, what a retrain costs in points of KPI x blocks: 20, or 5/s for each second that it takes; empty: 1/s; 0: retrain after every loss",
        type=retrain_cost,
    )
    max_retrains: int = flag(1000, "maximum number of retrains; the rows after them are only scored", type=whole(0))
    after_drift: str = flag(
        "probation",
        "probation: once drift is found, every block under the threshold is drift until a model has proven itself; same: restart the rule with each version",
        choices=["probation", "same"],
    )
    follow_up: bool = flag(
        False,
        "after a retrain for drift, retrain again each time the rows since the drift have doubled; "
        "after one that was not promoted only then, unless a block is worse than those since the drift",
    )
    proactive: bool = flag(False, "as --policy proactive: also retrain before the block KPI is forecast to fall under the threshold; replaces the probation")
    lead_blocks: int = flag(
        settings.LEAD_BLOCKS, "retrain when the lower bound of the forecast's 40 %% interval is at most this many blocks away; 1: the next block", type=whole(0)
    )
    fail_on_drift: bool = flag(False, "exit with code 10 when a block has drifted")
    report: str = flag("", "also write the HTML report to this file; it is always logged to MLflow")


@dataclass(frozen=True)
class PromoteFlags:
    """How a challenger becomes the champion in a watch."""

    promote: str = flag(
        "judge",
        "judge: by the newest rows before the retrain, at once; shadow: the challenger, fitted on all rows, answers the same later rows as the champion "
        "and is promoted as soon as the evidence suffices",
        choices=["judge", "shadow"],
    )
    promote_alpha: float = flag(
        settings.PROMOTE_ALPHA,
        "maximum probability, over a whole shadow, that a model which is no better is put into service",
        type=rate,
    )
    shadow_blocks: int = flag(settings.SHADOW_BLOCKS, "blocks after which an undecided shadow ends", type=whole(1))
    earlier_versions: int = flag(
        0,
        "at each retrain first try so many earlier champions on the judge's rows: one that beats the champion there and reaches the threshold is promoted "
        "without a fit, for drift that recurs; more than there are: all",
        type=whole(0, 1000),
    )
    go_back: bool = flag(
        False, "after a swap keep the version before in shadow, and undo the swap when that is proven to be better, at --promote_alpha for each swap"
    )


@dataclass(frozen=True)
class JudgingFlags:
    """How a challenger is judged."""

    judge_rows: int = flag(settings.JUDGE_ROWS, "newest rows on which champion and challenger are compared", type=whole(1))
    validation_rows: int = flag(
        settings.VALIDATION_ROWS, "rows before the judge rows that select between trials; a quarter of a table too short for the default", type=whole(1)
    )
    judge_alpha: float = flag(settings.JUDGE_ALPHA, "largest p-value at which the challenger counts as better", type=share)
