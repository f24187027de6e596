"""Back-test every retraining policy on a stream, and recommend one. Needs no TorchServe.

    python backtest.py                                                  # ELEC, every policy
    python backtest.py --policies never,periodic,threshold,significant --plot backtest.png
    python backtest.py --synthetic sea:abrupt --rows 20000              # known truth: false alarms and delays
    python backtest.py --jobs 2 --resume                                # continue a back-test that was killed

The base model learns the oldest 70 % of the stream; the rest is played in blocks, labels arrive when a block ends. A retrain is one
fit on the newest --window rows with fixed parameters, in service from the next block on, without search; --judge_rows adds a judge.
Each model is fitted once for all policies and cached in --cache. Everything is logged to MLflow: a parent run with a child per policy.
"""

from __future__ import annotations

import sys
from typing import Any

from driftloop.cli import flags, parsing, runner
from driftloop.cli.script_flags import BacktestFlags, FitFlags, KnownStreamFlags, PlayFlags
from driftloop.errors import SettingsError
from driftloop.settings import ELEC_LEARNER
from driftloop.watch import learners


def build_parser() -> parsing.Parser:
    """The flags of this script."""
    parser = parsing.parser("backtest.py", __doc__)
    learners.add_flag(parser, default=ELEC_LEARNER)
    parsing.add_flags(parser, PlayFlags, title="back-test")
    parsing.add_flags(parser, FitFlags, title="training")
    parsing.add_flags(parser, KnownStreamFlags, title="stream with known drift, instead of a table")
    parsing.add_flags(parser, flags.ExperimentFlags, title="MLflow")
    parsing.add_flags(parser, flags.DataFlags, flags.TextFlags, title="data")
    return parser


def work(args: BacktestFlags) -> tuple[dict[str, Any], int]:
    """Play, compare, recommend; return the result."""
    from pathlib import Path

    from driftloop.backtest import from_flags, policies, run, text
    from driftloop.tracking import mlflow_store
    from driftloop.watch.preparation import Work, bar, open_work

    learner = learners.load(args.learner)
    if learner.task != "classification":
        raise SettingsError(f"--learner {args.learner}: backtest.py supports classification only, and this is a learner for {learner.task}")
    chosen = policies.parse(args.policies)
    means = from_flags.Means(args.jobs, Path(args.cache), args.resume, Path(args.plot) if args.plot else None, bar)
    means.check()
    true = from_flags.known_stream(args) if args.synthetic else None
    opened = (
        Work(mlflow_store.open_store(args.mlflow_experiment_name or None), true.stream, learner)
        if true
        else open_work(args, learner, trained=from_flags.trained(args))
    )
    wanted = from_flags.make(args, chosen, learner=learner, rows=len(opened.stream))
    result = run.play_all(opened.store, learner, opened.stream, wanted, changes=true.changes if true else None, means=means)
    print(text.backtest_text(result))
    return {**result.as_json(), "experiment": opened.store.experiment_name}, 0


def main(argv: list[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return runner.run(work, build_parser(), argv, BacktestFlags)


if __name__ == "__main__":
    sys.exit(main())
