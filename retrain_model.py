"""Retrain a drifted model: tune again in nested child runs, judge the challenger, promote it if it is better.

    python retrain_model.py --max_epochs 3 --mlflow_experiment_name drift2 --total_trials 2
    python retrain_model.py --mlflow_experiment_name drift2 --torchserve_url http://127.0.0.1:8080    # and swap it in

It trains on the rows up to the drift that the newest deployment found, and on nothing later; without a
deployment that found drift, on the newest rows of the stream. Champion and challenger are compared on the newest
rows that neither was fitted on.
"""

from __future__ import annotations

import sys
from typing import Any

from driftloop.cli import flags, parsing, runner
from driftloop.cli.script_flags import RetrainFlags
from driftloop.watch import learners


def build_parser() -> parsing.Parser:
    """The flags of this script."""
    parser = parsing.parser("retrain_model.py", __doc__)
    learners.add_flag(parser)
    flags.add_training_flags(parser, total_trials=8, what="sets of parameters to try with Ax, the documented defaults first; at least 1")
    flags.add_retrain_flags(parser)
    parser.add_argument("--until_row", type=parsing.whole(0), default=0, help="first row that must not be seen; 0: the row after the drifted block")
    parser.add_argument("--until_time", default="", help="--until_row as a time, such as 2020-04-01T07:30:00Z; empty: --until_row decides")
    flags.add_tracking_flags(parser, registers=True, base=True)
    flags.add_serving_flags(parser, starts=False)
    flags.add_data_flags(parser)
    return parser


def work(args: RetrainFlags) -> tuple[dict[str, Any], int]:
    """Retrain, judge, promote; give the record."""
    from driftloop.watch.scripts import retrain_drifted

    return retrain_drifted(args, learners.load(args.learner))


def main(argv: list[str] | None = None) -> int:
    """Run the script; give its exit code."""
    return runner.run(work, build_parser(), argv, RetrainFlags)


if __name__ == "__main__":
    sys.exit(main())
