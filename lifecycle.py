"""The whole lifecycle over a stream: train, serve, score block by block, find drift, retrain, swap, go on to the end.

    python lifecycle.py                       # ELEC; the retrain's own search may choose a history
    python lifecycle.py --history 0           # the instance-wise model: the loop has to retrain again and again
    python lifecycle.py --drift_rule threshold --threshold_accuracy .7        # the plain rule: retrain on any bad block
    python lifecycle.py --proactive --lead_blocks 3                           # retrain before the forecast crossing, too
    python lifecycle.py --data_path my.csv --target label --time_column time --block_size 100 --threshold_accuracy .8

The base model learns the oldest 70 % of the stream; the rest is watched in blocks. The base model that is never
retrained is scored on the same rows, so that the gain is measured. Everything is in MLflow under one parent run.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from driftloop import cli
from driftloop.errors import EXIT_DRIFT


def build_parser() -> cli.Parser:
    """The flags of this script."""
    parser = cli.parser("lifecycle.py", __doc__)
    cli.add_watch_flags(parser, test_data_rows=0, block_size=48, threshold=0.8, rule="significant", on_drift="retrain", max_retrains=1000)
    cli.add_training_flags(parser, total_trials=12, what="sets of parameters that each retrain tries with Ax, the documented defaults first")
    parser.add_argument("--base_trials", type=cli.whole(0, 10_000), default=0, help="the same for the base model; 0: the documented defaults")
    cli.add_retrain_flags(parser)
    cli.add_tracking_flags(parser, registers=True, base=False)
    cli.add_serving_flags(parser)
    cli.add_data_flags(parser)
    return parser


def work(args: argparse.Namespace) -> tuple[dict[str, Any], int]:
    """Run the lifecycle; give its result."""
    import time
    from dataclasses import replace

    from driftloop import base, summary, tracking
    from driftloop.deployment import OnDrift, check_places, log_outcome, watch_plan, watch_served
    from driftloop.work import base_plan, open_work
    from learner import ELEC

    started = time.monotonic()
    check_places(args)
    opened = open_work(args, ELEC)
    decide = OnDrift(args.on_drift)
    watch_plan(opened, args, trained_stop=base.base_span(opened.stream)[1], decide=decide)  # refuse before the training what cannot be watched after it
    with tracking.run(opened.store, "lifecycle", role="base") as run_id:
        print("training the base model", file=sys.stderr)
        known = base.train_base(opened.store, ELEC, opened.stream, base_plan(args, total_trials=args.base_trials), run_id=run_id)
        result = watch_served(opened, args, known, served=known, decide=decide)
        result = replace(result, run_id=run_id, seconds=time.monotonic() - started)
        log_outcome(opened, args, result)
    print(summary.summary_text(result))
    return result.as_json(), EXIT_DRIFT if result.drift and args.fail_on_drift else 0


def main(argv: list[str] | None = None) -> int:
    """Run the script; give its exit code."""
    return cli.run(work, build_parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
