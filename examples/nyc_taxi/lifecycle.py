"""The whole lifecycle on New York taxi trips: trained on 2018 and 2019, watched week by week through 2020.

    python -m examples.nyc_taxi.lifecycle --mlflow_experiment_name taxi --report taxi.html
    python -m examples.nyc_taxi.lifecycle --on_drift ignore              # what happens when nobody retrains
    python -m examples.nyc_taxi.lifecycle --drift_rule adwin             # one of river's detectors on the absolute errors

The flags are those of lifecycle.py with the defaults of this stream; what is done is the same code.
"""

from __future__ import annotations

import sys
from typing import Any

import lifecycle
from driftloop.cli import parsing, runner
from driftloop.cli.script_flags import LifecycleFlags
from examples.nyc_taxi.defaults import with_defaults


def build_parser() -> parsing.Parser:
    """The flags of lifecycle.py, with the defaults of the taxi stream."""
    parser = with_defaults(lifecycle.build_parser(), prog="examples/nyc_taxi/lifecycle.py", description=__doc__)
    parser.set_defaults(total_trials=4)
    return parser


def work(args: LifecycleFlags) -> tuple[dict[str, Any], int]:
    """Run the lifecycle; give its result."""
    from driftloop.watch.scripts import run_lifecycle
    from examples.nyc_taxi.learner import TAXI

    return run_lifecycle(args, TAXI)


def main(argv: list[str] | None = None) -> int:
    """Run the script; give its exit code."""
    return runner.run(work, build_parser(), argv, LifecycleFlags)


if __name__ == "__main__":
    sys.exit(main())
