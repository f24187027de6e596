"""Deploy the taxi model, score it week by week, and say whether it has drifted: the flags of deploy_model.py with the defaults of this stream.

python -m examples.nyc_taxi.deploy --mlflow_experiment_name taxi --train_base
"""

from __future__ import annotations

import sys
from typing import Any

import deploy_model
from driftloop.cli import parsing, runner
from driftloop.cli.script_flags import DeployFlags
from examples.nyc_taxi.defaults import with_defaults


def build_parser() -> parsing.Parser:
    """The flags of deploy_model.py, with the defaults of the taxi stream."""
    return with_defaults(deploy_model.build_parser(), prog="examples/nyc_taxi/deploy.py", description=__doc__)


def work(args: DeployFlags) -> tuple[dict[str, Any], int]:
    """Deploy, watch, decide; give the result."""
    from driftloop.watch.scripts import deploy
    from examples.nyc_taxi.learner import TAXI

    return deploy(args, TAXI)


def main(argv: list[str] | None = None) -> int:
    """Run the script; give its exit code."""
    return runner.run(work, build_parser(), argv, DeployFlags)


if __name__ == "__main__":
    sys.exit(main())
