"""Fill the prediction log with the trips of all 36 months: the flags of monitoring/local/fill.py with the defaults of this stream.

python -m examples.nyc_taxi.fill_log --mongodb_uri mongodb://127.0.0.1:27017
"""

from __future__ import annotations

import sys
from typing import Any

from driftloop.cli import parsing, runner
from examples.nyc_taxi.defaults import with_defaults
from monitoring.local import fill


def build_parser() -> parsing.Parser:
    """The flags of monitoring/local/fill.py, with the defaults of the taxi stream."""
    parser = with_defaults(fill.build_parser(), prog="examples/nyc_taxi/fill_log.py", description=__doc__)
    parser.set_defaults(stream="taxi")
    return parser


def work(args: fill.FillFlags) -> tuple[dict[str, Any], int]:
    """Fill; give what came of it."""
    from examples.nyc_taxi.learner import TAXI

    return fill.work(args, TAXI)


def main(argv: list[str] | None = None) -> int:
    """Run the script; give its exit code."""
    return runner.run(work, build_parser(), argv, fill.FillFlags)


if __name__ == "__main__":
    sys.exit(main())
