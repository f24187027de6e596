"""Judge a table of predictions that any model made: drift or noise, since when, of which kind, and what comes next.

    python watch_table.py --data_path predictions.csv --target y_true --prediction y_pred --time_column timestamp \\
        --reference_until 2018-10-01 --block_by week --report r.html
    python watch_table.py --data_path predictions.csv --target y_true --prediction y_pred --threshold 0.9     # a threshold instead of the reference
    python watch_table.py --data_path predictions.csv --target y_true --prediction y_pred --fail_on_drift     # exit code 10 on drift, for schedulers
    python watch_table.py --data_path today.csv … --label_delay 7d --state state.json   # every day: continues with later rows and labels

Without --threshold drift is a fall of the KPI against the reference period, by more than noise, at the false-alarm rate --alpha over the whole
table. The other columns are the model's inputs: they tell data drift from concept drift. Nothing is trained or served.
"""

from __future__ import annotations

import sys
from typing import Any

from driftloop.cli import flags, parsing, runner
from driftloop.cli.script_flags import JudgeFlags, PredictionFlags, WatchTableFlags


def build_parser() -> parsing.Parser:
    """The flags of this script."""
    parser = parsing.parser("watch_table.py", __doc__)
    parsing.add_flags(parser, PredictionFlags, flags.TextFlags, title="table")
    parsing.add_flags(parser, JudgeFlags, flags.KpiFlags, title="watch")
    parsing.add_flags(parser, flags.ExperimentFlags, title="MLflow")
    return parser


def work(args: WatchTableFlags) -> tuple[dict[str, Any], int]:
    """Judge, log, report; return the result."""
    from driftloop.watch.table_script import watch_table

    return watch_table(args)


def main(argv: list[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return runner.run(work, build_parser(), argv, WatchTableFlags)


if __name__ == "__main__":
    sys.exit(main())
