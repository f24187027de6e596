"""Replay the trips of 2020 against the prediction service: the flags of monitoring/local/replay.py with the defaults of this stream.

python -m examples.nyc_taxi.replay --url http://127.0.0.1:8000 --rate 500
"""

from __future__ import annotations

import sys
from typing import Any

from driftloop.cli import parsing, runner
from examples.nyc_taxi.cleaning import faults
from examples.nyc_taxi.defaults import with_defaults
from monitoring.local import replay


def build_parser() -> parsing.Parser:
    """The flags of monitoring/local/replay.py, with the defaults of the taxi stream."""
    parser = with_defaults(replay.build_parser(), prog="examples/nyc_taxi/replay.py", description=__doc__)
    parser.set_defaults(stream="taxi", block_size=100)
    return parser


def work(args: replay.ReplayFlags) -> tuple[dict[str, Any], int]:
    """Replay; give what came of it."""
    return replay.work(args, check=faults)


def main(argv: list[str] | None = None) -> int:
    """Run the script; give its exit code."""
    return runner.run(work, build_parser(), argv, replay.ReplayFlags)


if __name__ == "__main__":
    sys.exit(main())
