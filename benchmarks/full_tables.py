"""Write the four public tables whole, as `benchmarks.tables` and `benchmarks.estimate` read them, from NannyML's wheel.

pip download --no-deps nannyml==0.13.1
python -m benchmarks.full_tables nannyml-0.13.1-py3-none-any.whl FOLDER
"""

from __future__ import annotations

import argparse
import gzip
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pandas as pd

from driftloop.cli import parsing
from driftloop.errors import DataError, DriftloopError

DATA: Final = "nannyml/datasets/data"
# of each table: its reference period, its analysis period, and the targets of the analysis
PARTS: Final = {
    "car_loan": ("synthetic_car_loan_reference", "synthetic_car_loan_analysis", "synthetic_car_loan_analysis_target"),
    "car_loan_dq": ("synthetic_car_loan_dq_reference", "synthetic_car_loan_dq_analysis", "synthetic_car_loan_analysis_target"),
    "cards": ("mc_reference", "mc_analysis", "mc_analysis_gt"),
    "car_price": ("regression_synthetic_reference", "regression_synthetic_analysis", "regression_synthetic_analysis_targets"),
}
ROWS: Final = {"car_loan": 100_000, "car_loan_dq": 100_000, "cards": 120_000, "car_price": 120_000}
PREDICTIONS: Final = "y_pred"  # the names of NannyML's own predictions begin so


def main() -> int:
    """Write the tables."""
    parser = parsing.Parser(prog="benchmarks.full_tables", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path, help="the wheel nannyml 0.13.1")
    parser.add_argument("folder", type=Path, help="where the tables are written; created if missing")
    try:
        args = parser.parse_args()
        write(args.wheel, args.folder)
    except DriftloopError as exc:
        print(f"benchmarks.full_tables: error: {exc}", file=sys.stderr)
        return exc.exit_code
    return 0


def write(wheel: Path, folder: Path) -> None:
    """Write FOLDER/car_loan.csv.gz and the others.

    Raises:
        DataError: this is not the wheel.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            tables = {name: whole(*(_read(archive, part) for part in parts)) for name, parts in PARTS.items()}
    except (OSError, zipfile.BadZipFile, KeyError) as exc:
        raise DataError(f"{wheel}: not the wheel nannyml 0.13.1 ({exc}): fetch it with pip download --no-deps nannyml==0.13.1") from exc
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        with gzip.GzipFile(folder / f"{name}.csv.gz", "wb", mtime=0) as file:
            table.to_csv(file, index=False)


def rows_used(rows: Mapping[str, int]) -> str:
    """Words for how much of the public tables was used; other tables are passed over.

    >>> rows_used({"cards": 120_000, "elec": 45_312})
    'all rows of each'
    >>> rows_used({"cards": 10_000})
    'of which only a part was used: 10,000 of 120,000 rows of cards'
    """
    part = [f"{rows[name]:,} of {every:,} rows of {name}" for name, every in ROWS.items() if rows.get(name, every) != every]
    return f"of which only a part was used: {', '.join(part)}" if part else "all rows of each"


def whole(reference: pd.DataFrame, analysis: pd.DataFrame, targets: pd.DataFrame) -> pd.DataFrame:
    """Both periods in time order, the targets of the analysis joined by id, without NannyML's predictions."""
    both = pd.concat([reference, analysis.merge(targets, on="id", validate="one_to_one")], ignore_index=True)
    return both.sort_values("timestamp", kind="stable").loc[:, lambda table: ~table.columns.str.startswith(PREDICTIONS)]


def _read(archive: zipfile.ZipFile, part: str) -> pd.DataFrame:
    with archive.open(f"{DATA}/{part}.csv") as file:
        return pd.read_csv(file)


if __name__ == "__main__":
    sys.exit(main())
