"""Back-test every retraining policy on a stream, and recommend one. Needs no TorchServe.

    python backtest.py                                                  # ELEC, every policy
    python backtest.py --data_path my.csv --target label --kpi brier    # a table of your own: classes or values, categories, missing values
    python backtest.py --policies never,periodic,threshold,significant --plot backtest.png
    python backtest.py --synthetic sea:abrupt --rows 20000              # known truth: false alarms and delays
    python backtest.py --jobs 2 --resume                                # continue a back-test that was killed

The base model learns the oldest 70 % of the stream; the rest is played in blocks, labels arrive when a block ends. A retrain is one
fit on the newest --window rows with fixed parameters, in service from the next block on, without search; --judge_rows adds a judge.
Each model is fitted once for all policies and cached in --cache. Everything is logged to MLflow: a parent run with a child per policy.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from driftloop.cli import flags, parsing, runner
from driftloop.cli.call import flag
from driftloop.cli.script_flags import BacktestFlags, FitFlags, KnownStreamFlags, PlayFlags
from driftloop.watch import learners


def build_parser() -> parsing.Parser:
    """The flags of this script."""
    parser = parsing.parser("backtest.py", __doc__)
    learners.add_flag(parser)
    size = flag(48, "rows per block; labels arrive when a block ends; 0, for a --data_path: a hundredth of the rows to score, 20 to 1000")
    accuracy = flag(0.8, f"lowest accuracy, 0..1, that is good enough; 0, for a --data_path: {flags.SLACK}")
    shared = [one.name for kind in (flags.BlockFlags, flags.GoalFlags) for one in fields(kind)]
    parsing.add_flags(parser, PlayFlags, title="back-test")
    parsing.add_flags(parser, flags.WatchFlags, title="blocks and their KPI", only=shared, block_size=size, threshold_accuracy=accuracy)
    parsing.add_flags(parser, flags.KpiFlags)
    until = flag("", "train the base model on the rows before this time; empty: --first_rows or --train_share decides")
    parsing.add_flags(parser, FitFlags, flags.TaskFlags, title="training", train_until=until)
    parsing.add_flags(parser, KnownStreamFlags, title="stream with known drift, instead of a table")
    parsing.add_flags(parser, flags.ExperimentFlags, title="MLflow")
    parsing.add_flags(parser, flags.DataFlags, flags.TextFlags, title="data")
    return parser


def work(args: BacktestFlags) -> tuple[dict[str, Any], int]:
    """Play, compare, recommend; return the result."""
    from pathlib import Path

    from driftloop.backtest import from_flags, policies, run, text
    from driftloop.metrics import task
    from driftloop.tracking import mlflow_store
    from driftloop.watch import kpi_choice
    from driftloop.watch.preparation import Work, bar, open_work

    learner = learners.load(args.learner, data_path=args.data_path)
    chosen = policies.parse(args.policies)
    means = from_flags.Means(args.jobs, Path(args.cache), args.resume, Path(args.plot) if args.plot else None, bar)
    means.check()
    true = from_flags.known_stream(args) if args.synthetic else None
    opened = (
        Work(mlflow_store.open_store(args.mlflow_experiment_name or None), true.stream, learner)
        if true
        else open_work(args, learner, trained=from_flags.trained(args), shows_columns=bool(args.data_path))
    )
    stream, cut = opened.stream, from_flags.cut_blocks(args, opened.stream)
    doing = kpi_choice.chosen(stream, args, trained=(0, cut[0].start)) or task.of(stream.task)

    def plan(measure: Callable[[], float] | None) -> from_flags.BacktestPlan:
        goal = kpi_choice.goal(stream, args, doing, measure)
        return from_flags.make(args, chosen, learner=learner, stream=stream, cut=cut, goal=goal, kpi=kpi_choice.described(args, doing))

    base = plan(None).base  # check before a model is fitted for the threshold
    wanted = plan(lambda: from_flags.validated(stream, learner, base, first=cut[0].start, doing=doing))
    result = run.play_all(opened.store, learner, stream, wanted, changes=true.changes if true else None, means=means)
    print(text.backtest_text(result))
    return {**result.as_json(), "experiment": opened.store.experiment_name}, 0


def main(argv: list[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return runner.run(work, build_parser(), argv, BacktestFlags)


if __name__ == "__main__":
    sys.exit(main())
