"""The whole lifecycle over a stream: train, serve, score block by block, detect drift, retrain, swap, to the end of the stream.

    python lifecycle.py                       # ELEC; the retrain's own search may choose a history
    python lifecycle.py --history 0           # the instance-wise model: the loop has to retrain again and again
    python lifecycle.py --drift_rule threshold --threshold_accuracy .7        # the plain rule: retrain on any bad block
    python lifecycle.py --proactive --lead_blocks 3                           # retrain before the forecast crossing, too
    python lifecycle.py --data_path my.csv --target label --time_column time --block_size 100 --threshold_accuracy .8
    python lifecycle.py --learner examples.nyc_taxi.learner:TAXI              # another model, with defaults of its own for the flags

The base model learns the oldest 70 % of the stream; the rest is watched in blocks. The base model that is never
retrained is scored on the same rows, so that the gain is measured. Everything is in MLflow under one parent run.
"""

from __future__ import annotations

import sys
from typing import Any

from driftloop.cli import flags, parsing, runner
from driftloop.cli.script_flags import LifecycleFlags
from driftloop.watch import learners


def build_parser() -> parsing.Parser:
    """The flags of this script."""
    parser = parsing.parser("lifecycle.py", __doc__)
    learners.add_flag(parser)
    flags.add_watch_flags(parser, test_data_rows=0, block_size=48, threshold=0.8, rule="significant", on_drift="retrain", max_retrains=1000)
    flags.add_training_flags(parser, total_trials=12, what="sets of parameters that each retrain tries with Ax, the documented defaults first")
    parser.add_argument(
        "--base_trials", type=parsing.whole(0, 10_000), default=0, help="sets of parameters to try for the base model; 0: the documented defaults"
    )
    flags.add_retrain_flags(parser)
    flags.add_tracking_flags(parser, registers=True, base=False)
    flags.add_serving_flags(parser)
    flags.add_data_flags(parser)
    return parser


def work(args: LifecycleFlags) -> tuple[dict[str, Any], int]:
    """Run the lifecycle; give its result."""
    from driftloop.watch.scripts import run_lifecycle

    return run_lifecycle(args, learners.load(args.learner))


def main(argv: list[str] | None = None) -> int:
    """Run the script; give its exit code."""
    return runner.run(work, build_parser(), argv, LifecycleFlags)


if __name__ == "__main__":
    sys.exit(main())
