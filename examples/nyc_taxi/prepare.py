"""Make data/nyc_taxi.parquet from a table of the TLC's trip records: only the needed columns, in small types, uncleaned.

    python -m examples.nyc_taxi.prepare trips.parquet

`trips.parquet` has the columns pickup_datetime, dropoff_datetime, trip_distance, pickup_location_id, dropoff_location_id and
file_month ("2018-01"). The trips of each month are sorted by pick-up time; impossible values are kept, so that the watch can
count them.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from driftloop.cli import parsing, runner
from driftloop.cli.call import Flags, flag
from driftloop.errors import DataError
from driftloop.system import files
from examples.nyc_taxi.cleaning import TARGET, TIME
from examples.nyc_taxi.trips import DATA

NEEDED = ("pickup_datetime", "dropoff_datetime", "trip_distance", "pickup_location_id", "dropoff_location_id", "file_month")


def compact(trips: pd.DataFrame) -> pd.DataFrame:
    """The columns of the example: time, target, features, and the month of the file that a trip came from (as 201801).

    Raises:
        DataError: a column is missing.
    """
    missing = [name for name in NEEDED if name not in trips]
    if missing:
        raise DataError(f"the table lacks {', '.join(missing)}: give the TLC's trips with file_month")
    pickup = trips["pickup_datetime"].astype("datetime64[ms]")
    seconds = (trips["dropoff_datetime"] - trips["pickup_datetime"]).dt.total_seconds()
    made = pd.DataFrame(
        {
            TIME: pickup,
            TARGET: (seconds / 60).astype("float32"),
            "pickup_zone": trips["pickup_location_id"].astype("int16"),
            "dropoff_zone": trips["dropoff_location_id"].astype("int16"),
            "distance_miles": trips["trip_distance"].astype("float32"),
            "hour": pickup.dt.hour.astype("int8"),
            "weekday": pickup.dt.weekday.astype("int8"),  # 0 = Monday
            "file_month": trips["file_month"].str.replace("-", "").astype("int32"),
        }
    )
    return made.sort_values(["file_month", TIME], kind="stable", ignore_index=True)


@dataclass(frozen=True)
class PrepareFlags(Flags):
    """The values of this script's flags."""

    trips: Path
    out: Path = flag(DATA, "Parquet file to write", type=Path)


def build_parser() -> parsing.Parser:
    """The flags of this script."""
    parser = parsing.parser("examples/nyc_taxi/prepare.py", __doc__)
    parser.add_argument("trips", type=Path, help="the table of trips, Parquet")
    parsing.add_flags(parser, PrepareFlags)
    return parser


def work(args: PrepareFlags) -> tuple[dict[str, Any], int]:
    """Read, compact, and write atomically."""
    try:
        made = compact(pd.read_parquet(args.trips))
    except OSError as exc:
        raise DataError(f"{args.trips}: {exc}") from exc
    with files.aside(args.out) as aside:
        made.to_parquet(aside, index=False, compression="zstd", compression_level=19)
    print(f"{args.out}: {len(made):,} trips, {args.out.stat().st_size / 1e6:.1f} MB")
    return {"rows": len(made), "bytes": args.out.stat().st_size}, 0


def main(argv: list[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return runner.run(work, build_parser(), argv, PrepareFlags)


if __name__ == "__main__":
    sys.exit(main())
