"""Joins labels from a CSV file to their predictions.

    python -m monitoring labels --stream elec --file labels.csv --spool .driftloop/spool

The file has the columns id and label, optionally labelled_at (RFC 3339; default: now), and may be compressed (.gz or .zip).
The labels go into the spool, like those of `POST /labels`; the shipper joins them to the log by id and sends them to the
monitor. All lines are checked first: if one is invalid, it is named and none is taken. Importing a file twice does no harm.
"""

from __future__ import annotations

import csv
import functools
import io
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from driftloop.cli import parsing, runner
from driftloop.cli.call import Flags, flag, required
from driftloop.cli.flags import TextFlags
from driftloop.data.files import texts, unpacking
from driftloop.errors import DataError, SettingsError
from monitoring import described
from monitoring.records import checks, events
from monitoring.spool import shipper
from monitoring.spool.writer import Spool
from monitoring.stream_settings import StreamConfig

COLUMNS = ("id", "label")
CHUNK = 1000  # labels in memory


def read(path: Path, stream: StreamConfig, *, now: str, encoding: str = "", separator: str = "") -> Iterator[events.Label]:
    """The labels of a CSV file.

    Raises:
        DataError: the file cannot be read, or a line is invalid; the message names it.
    """
    if not path.exists():
        raise DataError(f"{path}: no such file: give a CSV file as --file")
    text, delimiter = texts.columns_apart(texts.decoded(unpacking.contents(path)[1], path, encoding), texts.separator(separator))
    try:
        lines = csv.DictReader(io.StringIO(text), strict=True, delimiter=delimiter)
        if missing := [name for name in COLUMNS if name not in (lines.fieldnames or ())]:
            raise DataError(f"{path}: has no column {' and '.join(missing)}: the first line must name id and label")
        for line in lines:
            yield _label(line, stream, now, where=f"{path}, line {lines.line_num}")
    except csv.Error as exc:
        raise DataError(f"{path}: cannot be read as CSV: {exc}") from exc


def _label(line: dict[str, Any], stream: StreamConfig, now: str, *, where: str) -> events.Label:
    try:
        value = _value(line["label"], stream)
        record = events.from_json({"kind": "label", "id": line["id"], "stream": stream.name, "label": value, "labelled_at": line.get("labelled_at") or now})
    except DataError as exc:
        raise DataError(f"{where}: {exc}") from exc
    assert isinstance(record, events.Label)
    return record


def _value(text: str | None, stream: StreamConfig) -> checks.Value:
    if stream.task == "classification":
        known = {str(one): one for one in stream.labels}
        if text not in known:
            raise DataError(f"the label must be one of {', '.join(known)}, not {text!a:.50}")
        return known[text]
    try:
        return float(text or "")
    except ValueError:
        raise DataError(f"the label must be a number, not {text!a:.50}") from None


@dataclass(frozen=True)
class LabelsFlags(Flags, TextFlags):
    """The values of this command's flags."""

    stream: str = required("name of the stream")
    file: Path = required("CSV file with the columns id and label", type=Path)
    spool: Path = flag(Path(".driftloop/spool"), "the spool's folder", type=Path)
    streams_file: str = flag("", "YAML file that describes the streams; empty: the bundled monitoring/streams.yaml")


def build_parser() -> parsing.Parser:
    """The flags of this command."""
    return parsing.parser("monitoring labels", __doc__, LabelsFlags, TextFlags)


def work(args: LabelsFlags) -> tuple[dict[str, Any], int]:
    """Check the file, then put its labels into the spool."""
    stream = described.pick(args.stream, args.streams_file)
    if not args.spool.is_dir():
        raise SettingsError(f"--spool {args.spool}: no such folder: give the spool of the prediction service and the shipper")
    read_all = functools.partial(read, args.file, stream, now=events.now(), encoding=args.encoding, separator=args.separator)
    taken = sum(1 for _ in read_all())  # checks all lines
    labels = read_all()
    with Spool(args.spool) as spool:
        while chunk := [label.as_json() for label in itertools.islice(labels, CHUNK)]:
            spool.append(chunk)
    then = "a shipper serves it" if shipper.works_in(args.spool) else "NO shipper serves it now: start one on that folder"
    print(f"{taken:,} label{'s' * (taken != 1)} of {args.stream} written to the spool {args.spool}; {then}")
    return {"stream": args.stream, "labels": taken}, 0


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    return runner.run(work, build_parser(), argv, LabelsFlags)
