"""The flags that several scripts share, by what they are about: each group's values, and what adds them to a parser."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

from driftloop import settings
from driftloop.cli.flag_types import amount, experiment_name, model_name, moment, names, rate, share, time_format, time_zone
from driftloop.cli.parsing import AUTO, add_switch, history, whole
from driftloop.data.files import texts
from driftloop.drift.rules.rule_names import WATCHING

RULE_HELP = (
    "threshold: any block under --threshold_accuracy, noise or not; significant: under it by more than noise, at the rate --alpha; "
    "the others watch for a rise of the errors (river's detectors at their defaults)"
)


@dataclass(frozen=True)
class TextFlags:
    """How a file of text is written."""

    encoding: str
    separator: str


@dataclass(frozen=True)
class DataFlags(TextFlags):
    """Which table to read."""

    data_path: str
    target: str
    time_column: str
    time_format: str
    time_zone: str
    features: str
    leave_out: str
    schema: str
    bad_rows: str


def add_data_flags(to: argparse.ArgumentParser) -> None:
    """Which table to read."""
    group = to.add_argument_group("data")
    group.add_argument("--data_path", default="", help="ARFF, CSV or Parquet file (also .gz, .zip); empty: the bundled ELEC")
    group.add_argument("--target", default="", help="label column; empty: 'target' or 'class'")
    group.add_argument("--time_column", default="", help="column with each row's time; needed for a table of your own")
    group.add_argument(
        "--time_format",
        type=time_format,
        default="",
        help="how the times are written, such as '%%d/%%m/%%Y %%H:%%M', unix_ms, excel; empty: inferred from all rows",
    )
    group.add_argument("--time_zone", type=time_zone, default="", help="zone of times that carry none, such as Europe/Berlin; empty: taken as they are")
    group.add_argument(
        "--features",
        default="",
        help="columns, separated by commas, a name with one in double quotes; empty: ELEC's six, or every other numeric column but identifiers and constants",
    )
    group.add_argument("--leave_out", default="", help="columns that are no features, written as those of --features")
    group.add_argument(
        "--schema",
        default="",
        help="YAML or JSON file that overrules what the training rows show: 'columns: {zone: {kind: category}, id: {role: feature}}'; empty: nothing",
    )
    group.add_argument("--bad_rows", default="refuse", choices=["refuse", "set_aside"], help="what to do with rows that hold no finite value")
    add_text_flags(group)


def add_text_flags(to: argparse._ArgumentGroup | argparse.ArgumentParser) -> None:
    """How a file of text is written."""
    to.add_argument("--encoding", type=_encoding, default="", help="encoding of a text file, such as latin-1; empty: UTF-8, or that of its byte order mark")
    to.add_argument(
        "--separator", type=_separator, default="", help="separator of a CSV's columns, such as ';' or tab; empty: the one that gives every line as many fields"
    )


def table_options(args: DataFlags) -> dict[str, Any]:
    """What `add_data_flags` says, as `streams.load` takes it."""
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
        "encoding": args.encoding,
        "separator": args.separator,
    }


def _encoding(text: str) -> str:
    if text and (told := texts.encoding_fault(text)):
        raise argparse.ArgumentTypeError(told)
    return text


def _separator(text: str) -> str:
    texts.separator(text)
    return text


@dataclass(frozen=True)
class TaskFlags:
    """What the label is, and which rows come before the watch."""

    task: str
    train_until: str


@dataclass(frozen=True)
class TrainingFlags(TaskFlags):
    """How to train and search."""

    max_epochs: int
    total_trials: int
    history: int | str
    optimizer: str
    search_space: str
    seed: int


def add_training_flags(to: argparse.ArgumentParser, *, total_trials: int, what: str) -> None:
    """How to train and search."""
    group = to.add_argument_group("training")
    group.add_argument("--max_epochs", type=whole(1, 10_000), default=3, help="passes over the training rows in each fit")
    group.add_argument("--total_trials", type=whole(0, 10_000), default=total_trials, help=what)
    group.add_argument("--history", type=history, default=AUTO, help="rows before each row that the model sees, fixed; auto: 0 for the defaults, else searched")
    group.add_argument("--optimizer", choices=["sgd", "adamw"], default="sgd", help="optimizer of each fit; AdamW needs lower learning rates")
    group.add_argument("--search_space", default="", help="YAML file with the search space; empty: the documented one")
    group.add_argument("--seed", type=whole(0, 2**31 - 1), default=settings.SEED, help="fixes the weights, the batches and the search")
    add_task_flags(group)


def add_task_flags(to: argparse._ArgumentGroup | argparse.ArgumentParser) -> None:
    """What the label is, and which rows come before the watch."""
    to.add_argument("--task", choices=["classification", "regression"], default="classification", help="what the label is: classes, or values")
    to.add_argument("--train_until", type=moment, default="", help="the base model learns the rows before this time; empty: the oldest 70 %%")


@dataclass(frozen=True)
class ExperimentFlags:
    """Where the runs go."""

    mlflow_experiment_name: str


@dataclass(frozen=True)
class RegistryFlags:
    """Under which name models are registered and served."""

    register_model_name: str


@dataclass(frozen=True)
class BaseRunFlags:
    """Which base model to work on."""

    base_run_id: str
    train_base: bool


def add_tracking_flags(to: argparse.ArgumentParser, *, registers: bool, base: bool) -> None:
    """Where the runs go."""
    group = to.add_argument_group("MLflow")
    group.add_argument(
        "--mlflow_experiment_name", type=experiment_name, default="", help="experiment; empty: that of `mlflow run`, MLFLOW_EXPERIMENT_NAME, or Default"
    )
    if registers:
        group.add_argument("--register_model_name", type=model_name, default="drift_model", help="registered model, and the name it is served under")
    if base:
        group.add_argument("--base_run_id", default="", help="base run to work on; empty: the newest of the experiment")
        add_switch(group, "--train_base", "train a base model first when the experiment holds none")


@dataclass(frozen=True)
class ServingFlags:
    """Which TorchServe to use."""

    torchserve_url: str
    workers: int
    take_over: bool


def add_serving_flags(to: argparse.ArgumentParser, *, starts: bool = True, alone: bool = False) -> None:
    """Which TorchServe to use; `alone`: also to serve and do nothing else."""
    group = to.add_argument_group("TorchServe")
    own = "; empty: one is started, and ended" if starts else "; empty: nothing is swapped in, the registry alone is updated"
    group.add_argument("--torchserve_url", default="", help=f"a running TorchServe, http://host:port{own}")
    if starts:
        group.add_argument("--port", type=whole(0, 65531), default=0, help="first of five consecutive ports of a TorchServe that is started here; 0: free ones")
    group.add_argument("--workers", type=whole(1, 64), default=1, help="worker processes for each served version")
    if alone:
        add_switch(group, "--serve_only", "put the champion, else the base model, into the TorchServe at --torchserve_url; nothing is scored")
    add_switch(group, "--take_over", "replace a model of another project or store that the TorchServe serves under the same name; else that is refused")


@dataclass(frozen=True)
class WatchFlags:
    """What to score, what counts as drift, and what to do then."""

    test_data_rows: int
    block_size: int
    threshold_accuracy: float
    threshold_mae: float
    block_by: str
    drift_rule: str
    alpha: float
    on_drift: str
    max_retrains: int
    after_drift: str
    follow_up: bool
    proactive: bool
    lead_blocks: int
    fail_on_drift: bool
    report: str


def add_watch_flags(
    to: argparse.ArgumentParser, *, test_data_rows: int, block_size: int, threshold: float, rule: str, on_drift: str, max_retrains: int
) -> None:
    """What to score, what counts as drift, and what to do then."""
    group = to.add_argument_group("watch")
    group.add_argument("--test_data_rows", type=whole(0), default=test_data_rows, help="rows to score, those after the training rows; 0: all that are left")
    group.add_argument("--block_size", type=int, default=block_size, help="rows a block; labels come when a block ends")
    group.add_argument("--threshold_accuracy", type=share, default=threshold, help="lowest accuracy, 0..1, that is good enough")
    group.add_argument(
        "--threshold_mae", type=amount, default=0.0, help="of a regression: largest mean absolute error that is good enough, in the label's unit"
    )
    group.add_argument(
        "--block_by",
        default="rows",
        choices=["rows", "day", "week", "month"],
        help="rows: blocks of --block_size rows; otherwise calendar blocks with any number of rows; a week begins on Monday",
    )
    group.add_argument("--drift_rule", default=rule, choices=WATCHING, help=RULE_HELP)
    group.add_argument(
        "--alpha",
        type=rate,
        default=settings.ALPHA,
        help="maximum false-alarm probability of `significant` over the whole run, for a model that is good enough",
    )
    group.add_argument(
        "--on_drift",
        choices=["prompt", "retrain", "advise", "ignore"],
        default=on_drift,
        help="prompt asks on a terminal and advises elsewhere; retrain does so at once; advise says what to run; ignore only scores",
    )
    group.add_argument("--max_retrains", type=whole(0), default=max_retrains, help="maximum number of retrains; the rows after them are only scored")
    group.add_argument(
        "--after_drift",
        default="probation",
        choices=["probation", "same"],
        help="probation: once drift is found, every block under the threshold is drift until a model has proven itself; "
        "same: restart the rule with each version",
    )
    add_switch(group, "--follow_up", "after a retrain for drift, retrain again each time the rows since the drift have doubled; promoted only if better")
    add_switch(group, "--proactive", "also retrain before the block KPI is forecast to fall under the threshold; replaces the probation")
    group.add_argument(
        "--lead_blocks",
        type=whole(0),
        default=settings.LEAD_BLOCKS,
        help="retrain when the lower bound of the forecast's 40 %% interval is at most this many blocks away; 1: the next block",
    )
    add_switch(group, "--fail_on_drift", "exit with code 10 when a block has drifted")
    group.add_argument("--report", default="", help="write the HTML report to this file, too; it is always logged to MLflow")


@dataclass(frozen=True)
class JudgingFlags:
    """How a challenger is judged."""

    judge_rows: int
    validation_rows: int
    judge_alpha: float


def add_retrain_flags(to: argparse.ArgumentParser) -> None:
    """How a challenger is judged."""
    group = to.add_argument_group("judging")
    group.add_argument("--judge_rows", type=whole(1), default=settings.JUDGE_ROWS, help="newest rows on which champion and challenger are compared")
    group.add_argument(
        "--validation_rows", type=whole(1), default=settings.VALIDATION_ROWS, help="rows before those that choose between trials; of a short table a quarter"
    )
    group.add_argument("--judge_alpha", type=share, default=settings.JUDGE_ALPHA, help="largest p-value at which the challenger counts as better")
