"""Retrain the taxi model that is in service: the flags of retrain_model.py with the defaults of this stream.

python -m examples.nyc_taxi.retrain --mlflow_experiment_name taxi --torchserve_url http://127.0.0.1:8080
"""

from __future__ import annotations

import sys
from typing import Any

import retrain_model
from driftloop.cli import parsing, runner
from driftloop.cli.script_flags import RetrainFlags
from examples.nyc_taxi.defaults import with_defaults


def build_parser() -> parsing.Parser:
    """The flags of retrain_model.py, with the defaults of the taxi stream."""
    return with_defaults(retrain_model.build_parser(), prog="examples/nyc_taxi/retrain.py", description=__doc__)


def work(args: RetrainFlags) -> tuple[dict[str, Any], int]:
    """Retrain, judge, promote; give the record."""
    from driftloop.watch.scripts import retrain_drifted
    from examples.nyc_taxi.learner import TAXI

    return retrain_drifted(args, TAXI)


def main(argv: list[str] | None = None) -> int:
    """Run the script; give its exit code."""
    return runner.run(work, build_parser(), argv, RetrainFlags)


if __name__ == "__main__":
    sys.exit(main())
