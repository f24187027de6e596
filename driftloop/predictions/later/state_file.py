"""The state of a watch as a JSON file: written whole or not at all, and read strictly."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final

import numpy as np

from driftloop.data.schema.schema import Schema
from driftloop.drift.verdict import Verdict
from driftloop.errors import DataError, DriftloopError
from driftloop.metrics.results import ReferencePeriod
from driftloop.predictions.later import packed
from driftloop.predictions.later.closed import Closed, FromReference, Past
from driftloop.predictions.later.first_reading import FirstReading
from driftloop.predictions.later.label_delay import LabelDelay
from driftloop.predictions.later.merge import Counts
from driftloop.predictions.later.rows import Rows
from driftloop.predictions.later.watch_state import WatchState
from driftloop.predictions.predicted_table import TableColumns
from driftloop.predictions.segments import segment_columns
from driftloop.predictions.segments.segment_state import SegmentState
from driftloop.predictions.table_goal import TablePlan
from driftloop.predictions.table_result import TableScore
from driftloop.system import files

FORMAT: Final = "driftloop watch"
VERSION: Final = 3


def write(state: WatchState, path: Path) -> Path:
    """Write a state; an older file stays where that fails.

    Raises:
        DataError: the file cannot be written.
    """
    body = packed.pack(_values(state))
    text = json.dumps({"format": FORMAT, "version": VERSION, "sha256": _digest(body), "state": body}, allow_nan=False, ensure_ascii=False)
    try:
        files.replace_file(path, text + "\n")
    except OSError as exc:
        raise DataError(f"{path}: cannot write the watch's state ({exc.strerror or exc})") from exc
    return path


def read(path: Path) -> WatchState:
    """Read a state.

    Raises:
        DataError: there is none, it is damaged, or it is of a newer version.
    """
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise DataError(f"{path}: cannot read the watch's state ({exc.strerror or exc})") from exc
    except (ValueError, RecursionError) as exc:
        raise DataError(f"{path}: is no state of a watch, or damaged (not JSON): restore a copy, or begin the watch again") from exc
    if not isinstance(given, dict) or given.get("format") != FORMAT:
        raise DataError(f"{path}: is no state of a watch: give a file that `watch.save` or --state wrote")
    version = given.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version > VERSION:
        raise DataError(f"{path}: is a state of version {version!r}, this driftloop reads {VERSION}: update driftloop, or begin the watch again")
    try:
        if version < 1 or given.keys() != {"format", "version", "sha256", "state"} or given["sha256"] != _digest(given["state"]):
            raise ValueError("the checksum differs")
        state = packed.unpack(given["state"])
        return _state(_of_version_1(state) if version == 1 else state)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, DriftloopError) as exc:
        raise DataError(f"{path}: is a damaged state of a watch: restore a copy, or begin the watch again") from exc


def _digest(body: Any) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, ensure_ascii=True, separators=(",", ":")).encode()).hexdigest()


def _values(state: WatchState) -> dict[str, Any]:
    """A state as plain values and arrays."""
    reading, closed = state.reading, state.closed
    return {
        **{name: getattr(state, name) for name in ("name", "source", "sha256", "rows", "notes")},
        "asked": asdict(state.asked),
        "plan": asdict(state.plan),
        "reading": {
            **_fields(reading),
            "schema": reading.schema.as_json(),
            "vocabulary": list(reading.vocabulary.items()),
            "cuts": [dict(vars(cut)) for cut in reading.cuts],
        },
        "closed": {
            **_fields(closed),
            "first": asdict(closed.first),
            "verdicts": [asdict(verdict) for verdict in closed.verdicts],
            "scores": [asdict(score) for score in closed.scores],
            "kept": closed.kept.as_values(),
            "past": asdict(closed.past),
            "kind": closed.kind and asdict(closed.kind),
            "edge": _time(closed.edge),
            "segments": closed.segments and closed.segments.as_values(),
        },
        "open": state.open.as_values(),
        "newest": _time(state.newest),
        "ends": None if state.ends is None else _time(state.ends),
        "counts": asdict(state.counts),
    }


def _fields(holder: Any) -> dict[str, Any]:
    return {field.name: getattr(holder, field.name) for field in fields(holder)}


def _time(time: np.datetime64) -> int:
    return int(time.astype("datetime64[ns]").astype(np.int64))


def _of_version_1(given: dict[str, Any]) -> dict[str, Any]:
    """The values of a state from before watches with segments were continued."""
    given["reading"]["cuts"], given["closed"]["segments"] = [], None
    for rows in (given["closed"]["kept"], given["open"]):
        rows["segments"] = np.empty((len(rows["keys"]), 0), np.int16)
    return given


def _state(given: dict[str, Any]) -> WatchState:
    """The state of plain values.

    Raises:
        ValueError, KeyError, TypeError, AttributeError, DriftloopError: they are none.
    """
    reading = _reading(given.pop("reading"))
    asked, plan = given.pop("asked"), given.pop("plan")
    counts, newest, ends = Counts(**given.pop("counts")), np.datetime64(given.pop("newest"), "ns"), given.pop("ends")
    state = WatchState(
        **{**given, "notes": tuple(given["notes"])}
        | {
            "asked": TableColumns(**asked),
            "plan": TablePlan(**{**plan, "label_delay": LabelDelay(**plan["label_delay"])}),
            "reading": reading,
            "closed": _closed(given.pop("closed"), reading),
            "open": Rows.from_values(given.pop("open"), inputs=len(reading.features), cuts=_segments(reading)),
            "newest": newest,
            "ends": None if ends is None else np.datetime64(ends, "ns"),
            "counts": counts,
        }
    )
    if sum(rows for _, rows in state.closed.kept_blocks) != len(state.closed.kept) or len(state.closed.seen) != len(state.closed.kept):
        raise ValueError("blocks and rows differ")
    return state


def _reading(given: dict[str, Any]) -> FirstReading:
    sequences = {name: tuple(given[name]) for name in ("sample", "names", "features")}
    vocabulary = {name: tuple(texts) for name, texts in given["vocabulary"]}
    cuts = tuple(segment_columns.from_values(cut) for cut in given["cuts"])
    return FirstReading(**{**given, **sequences, "schema": Schema.from_json(given["schema"]), "vocabulary": vocabulary, "cuts": cuts})


def _segments(reading: FirstReading) -> list[int]:
    """How many segments each column has."""
    return [len(cut.labels) for cut in reading.cuts]


def _closed(given: dict[str, Any], reading: FirstReading) -> Closed:
    first = given["first"]
    made = {
        "first": FromReference(**{**first, "period": ReferencePeriod(**first["period"]), "counts": tuple(first["counts"]), "notes": tuple(first["notes"])}),
        "verdicts": tuple(_verdict(one) for one in given["verdicts"]),
        "scores": tuple(TableScore(**one) for one in given["scores"]),
        "kept": Rows.from_values(given["kept"], inputs=len(reading.features), cuts=_segments(reading)),
        "kept_blocks": tuple((int(index), int(rows)) for index, rows in given["kept_blocks"]),
        "past": Past(**given["past"]),
        "kind": given["kind"] and _verdict(given["kind"]),
        "edge": np.datetime64(given["edge"], "ns"),
        "segments": SegmentState.from_values(given["segments"], segments=_segments(reading)) if reading.cuts else None,
    }
    return Closed(**{**given, **made})


def _verdict(given: dict[str, Any]) -> Verdict:
    return Verdict(**{**given, "features": tuple(given["features"])})
