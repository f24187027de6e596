"""Retrain a drifted model: tune again in nested child runs, judge the challenger, promote it if it is better.

    python retrain_model.py --max_epochs 3 --mlflow_experiment_name drift2 --total_trials 2
    python retrain_model.py --mlflow_experiment_name drift2 --torchserve_url http://127.0.0.1:8080    # and swap it in

It trains on the rows up to the drift found by the newest deployment, never on later ones; if no deployment has found
drift, on the newest rows of the stream. Champion and challenger are compared on the newest rows, which neither was
fitted on.
"""

from __future__ import annotations

import sys
from typing import Any

from driftloop.cli import flags, parsing, runner
from driftloop.cli.call import flag
from driftloop.cli.script_flags import RetrainFlags
from driftloop.watch import learners


def build_parser() -> parsing.Parser:
    """The flags of this script."""
    parser = parsing.parser("retrain_model.py", __doc__)
    learners.add_flag(parser)
    trials = flag(8, "sets of parameters to try with Ax, the documented defaults first; at least 1")
    served = flag("", "a running TorchServe, http://host:port; empty: no swap, only the registry is updated")
    parsing.add_flags(parser, flags.TrainingFlags, flags.TaskFlags, flags.KpiFlags, title="training", total_trials=trials)
    parsing.add_flags(parser, flags.JudgingFlags, title="judging")
    parsing.add_flags(parser, RetrainFlags)
    parsing.add_flags(parser, flags.ExperimentFlags, flags.RegistryFlags, flags.BaseRunFlags, title="MLflow")
    parsing.add_flags(parser, flags.ServerFlags, flags.WorkerFlags, flags.ServingFlags, title="TorchServe", torchserve_url=served)
    parsing.add_flags(parser, flags.DataFlags, flags.TextFlags, title="data")
    return parser


def work(args: RetrainFlags) -> tuple[dict[str, Any], int]:
    """Retrain, judge, promote; return the record."""
    from driftloop.watch.scripts import retrain_drifted

    return retrain_drifted(args, learners.load(args.learner, data_path=args.data_path))


def main(argv: list[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return runner.run(work, build_parser(), argv, RetrainFlags)


if __name__ == "__main__":
    sys.exit(main())
