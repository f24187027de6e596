"""Train the base model of a drift watch and log it to MLflow as a parent run.

    python base_model.py --max_epochs 3 --mlflow_experiment_name drift1
    python base_model.py --total_trials 8 --mlflow_experiment_name drift1      # search with Ax, each trial a child run
    python base_model.py --data_path my.csv --target label --time_column time

It trains on the oldest 70 % of the stream and measures the model and its baselines on the rest.
"""

from __future__ import annotations

import sys
from typing import Any

from driftloop.cli import flags, parsing, runner
from driftloop.cli.script_flags import BaseModelFlags
from driftloop.watch import learners


def build_parser() -> parsing.Parser:
    """The flags of this script."""
    parser = parsing.parser("base_model.py", __doc__)
    learners.add_flag(parser)
    parsing.add_flags(parser, flags.TrainingFlags, flags.TaskFlags, flags.KpiFlags, title="training")
    parsing.add_flags(parser, flags.ExperimentFlags, title="MLflow")
    parsing.add_flags(parser, flags.DataFlags, flags.TextFlags, title="data")
    return parser


def work(args: BaseModelFlags) -> tuple[dict[str, Any], int]:
    """Train and log; return the figures."""
    from driftloop.watch.scripts import train

    return train(args, learners.load(args.learner, data_path=args.data_path))


def main(argv: list[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return runner.run(work, build_parser(), argv, BaseModelFlags)


if __name__ == "__main__":
    sys.exit(main())
