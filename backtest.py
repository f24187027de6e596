"""Play a stream under every retraining policy, and say which to choose. No TorchServe is needed.

    python backtest.py                                                  # ELEC, every policy
    python backtest.py --policies never,periodic,threshold,significant --plot backtest.png
    python backtest.py --synthetic sea:abrupt --rows 20000              # the truth is known: false alarms and delays
    python backtest.py --jobs 2 --resume                                # continue a back-test that was killed

The base model learns the oldest 70 % of the stream; the rest is played in blocks, labels come when a block ends. A retrain is one
fit on the newest --window rows with fixed parameters, in service from the next block on: no search, and no judge unless --judge_rows asks
for one. Each model is fitted once for all policies and kept in --cache. All of it is in MLflow: a parent run with a child per policy.
"""

from __future__ import annotations

import sys
from typing import Any

from driftloop import settings
from driftloop.cli import flags, parsing, runner
from driftloop.cli.flag_types import rate, share
from driftloop.cli.script_flags import BacktestFlags
from driftloop.errors import SettingsError
from driftloop.watch import learners


def build_parser() -> parsing.Parser:
    """The flags of this script."""
    parser = parsing.parser("backtest.py", __doc__)
    learners.add_flag(parser)
    group = parser.add_argument_group("back-test")
    group.add_argument(
        "--policies",
        default="all",
        help="policies, separated by commas: never, always, periodic (every 2, 7, 28 blocks), periodic-N, random, threshold, significant, probation, "
        "adwin, ddm, eddm, hddm_a, hddm_w, kswin, page_hinkley, proactive, continuous, or all",
    )
    group.add_argument("--block_size", type=int, default=48, help="rows a block; labels come when a block ends")
    group.add_argument("--threshold_accuracy", type=rate, default=0.8, help="lowest accuracy, 0..1, that is good enough")
    group.add_argument(
        "--alpha",
        type=rate,
        default=settings.ALPHA,
        help="maximum false-alarm probability of `significant` over the whole run, for a model that is good enough",
    )
    group.add_argument(
        "--lead_blocks",
        type=parsing.whole(0, 10_000),
        default=settings.LEAD_BLOCKS,
        help="`proactive` retrains when the forecast's lower bound is at most this many blocks away",
    )
    group.add_argument("--train_share", type=share, default=settings.TRAIN_SHARE, help="share of the rows, the oldest, that the base model learns")
    group.add_argument("--first_rows", type=parsing.whole(0), default=0, help="rows, the oldest, that the base model learns; 0: --train_share decides")
    group.add_argument("--random_seeds", type=parsing.whole(1, 1000), default=20, help="random runs to compare each triggered policy with")
    group.add_argument("--judge_rows", type=parsing.whole(0), default=0, help="newest rows on which a retrain must beat the model in service; 0: no judge")
    group.add_argument("--judge_alpha", type=share, default=settings.JUDGE_ALPHA, help="largest p-value at which the retrain counts as better")
    group.add_argument("--jobs", type=parsing.whole(1, 256), default=1, help="processes that fit; the figures do not depend on it")
    group.add_argument("--cache", default=".driftloop/fits", help="folder that keeps the fits")
    parsing.add_switch(group, "--resume", "continue the newest unfinished back-test of the same stream and settings")
    group.add_argument("--plot", default="", help="write the picture to this PNG file, too; it is always logged to MLflow")
    group = parser.add_argument_group("training")
    group.add_argument("--max_epochs", type=parsing.whole(1, 10_000), default=3, help="passes over the training rows in each fit")
    group.add_argument("--window", type=parsing.whole(0), default=settings.RETRAIN_PARAMS["window"], help="newest rows that a retrain learns; 0: all")
    group.add_argument("--history", type=parsing.whole(0, 10_000), default=0, help="rows before each row that the model sees; `continuous` sees none")
    group.add_argument("--seed", type=parsing.whole(0, 2**31 - 1), default=settings.SEED, help="fixes the weights, the batches, and what is drawn")
    group = parser.add_argument_group("stream with known drift, instead of a table")
    group.add_argument("--synthetic", default="", help="generator:drift, such as sea:abrupt or hyperplane:gradual; empty: the table")
    group.add_argument("--rows", type=parsing.whole(1), default=20_000, help="rows of the synthetic stream")
    flags.add_tracking_flags(parser, registers=False, base=False)
    flags.add_data_flags(parser)
    return parser


def work(args: BacktestFlags) -> tuple[dict[str, Any], int]:
    """Play, compare, recommend; give the result."""
    from pathlib import Path

    from driftloop.backtest import from_flags, policies, run, text
    from driftloop.tracking import mlflow_store
    from driftloop.watch.preparation import Work, bar, open_work

    learner = learners.load(args.learner)
    if learner.task != "classification":
        raise SettingsError(f"--learner {args.learner}: backtest.py plays classification only, and this is a learner of {learner.task}")
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
    """Run the script; give its exit code."""
    return runner.run(work, build_parser(), argv, BacktestFlags)


if __name__ == "__main__":
    sys.exit(main())
