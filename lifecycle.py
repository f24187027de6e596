"""The whole lifecycle over a stream: train, serve, score block by block, detect drift, retrain, swap, to the end of the stream.

    python lifecycle.py                       # ELEC; a retrain's search may choose a history
    python lifecycle.py --history 0           # the model sees one row: the loop has to retrain again and again
    python lifecycle.py --drift_rule threshold --threshold_accuracy .7        # the plain rule: retrain after any bad block
    python lifecycle.py --proactive --lead_blocks 3                           # also retrain ahead of a forecast crossing
    python lifecycle.py --data_path my.csv --target label                     # a table of your own: the rest is inferred
    python lifecycle.py --learner examples.nyc_taxi.learner:TAXI              # another learner, with its own defaults

The base model learns the oldest 70 % of the stream; the rest is watched in blocks. The unretrained base model is
scored on the same rows to measure the gain. Everything is logged to MLflow under one parent run.
"""

from __future__ import annotations

import sys
from typing import Any

from driftloop.cli import flags, parsing, runner
from driftloop.cli.call import flag
from driftloop.cli.script_flags import LifecycleFlags, LoopFlags
from driftloop.watch import learners


def build_parser() -> parsing.Parser:
    """The flags of this script."""
    parser = parsing.parser("lifecycle.py", __doc__)
    learners.add_flag(parser)
    trials = flag(12, "sets of parameters that each retrain tries with Ax, the documented defaults first")
    parsing.add_flags(parser, flags.WatchFlags, title="watch")
    parsing.add_flags(parser, flags.TrainingFlags, flags.TaskFlags, flags.KpiFlags, title="training", total_trials=trials)
    parsing.add_flags(parser, LifecycleFlags)
    parsing.add_flags(parser, flags.JudgingFlags, title="judging")
    parsing.add_flags(parser, flags.PromoteFlags, title="promotion")
    parsing.add_flags(parser, flags.ExperimentFlags, flags.RegistryFlags, title="MLflow")
    parsing.add_flags(parser, flags.ServerFlags, LoopFlags, flags.WorkerFlags, flags.ServingFlags, title="TorchServe")
    parsing.add_flags(parser, flags.DataFlags, flags.TextFlags, title="data")
    return parser


def work(args: LifecycleFlags) -> tuple[dict[str, Any], int]:
    """Run the lifecycle; return its result."""
    from driftloop.watch.scripts import run_lifecycle

    return run_lifecycle(args, learners.load(args.learner, data_path=args.data_path))


def main(argv: list[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return runner.run(work, build_parser(), argv, LifecycleFlags)


if __name__ == "__main__":
    sys.exit(main())
