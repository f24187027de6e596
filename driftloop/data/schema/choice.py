"""Which columns of a table become features: inferred from its training rows, overruled by a schema file, and that by flags."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import pandas as pd

from driftloop.data.schema import columns, encoding, inference, numerals
from driftloop.data.schema.encoding import Written
from driftloop.data.schema.numerals import Numbers
from driftloop.data.schema.schema import Column, Schema
from driftloop.data.schema.schema_file import Overruled, Overrules
from driftloop.errors import DataError
from driftloop.settings import TRAIN_SHARE

MOST_CATEGORIES = 10_000  # of a feature that is asked for by name


def oldest(times: np.ndarray) -> int:
    """How many of the rows with these times a base model learns when nobody says: the oldest 70 %."""
    return int(TRAIN_SHARE * len(times))


@dataclass(frozen=True)
class Asked:
    """What a person says of the columns, and which are features by default (`usual`; None: as the rows show).

    `trained` gives how many of the rows with these times, (N,), the base model learns. `values_as_they_are`: the learner takes categories and
    missing values; otherwise it takes finite numbers only. `known`: the schema that the base model was trained with; empty: infer it.
    """

    features: Sequence[str] | None = None
    usual: Sequence[str] | None = None
    leave_out: Sequence[str] = ()
    overrules: Overrules = field(default_factory=Overrules)
    trained: Callable[[np.ndarray], int] = oldest
    values_as_they_are: bool = False
    known: Schema = field(default_factory=Schema)


@dataclass(frozen=True, eq=False)
class Around:
    """The columns of a table that are no features, read: label and time, and which rows have both."""

    target: str
    time_column: str | None
    labels: np.ndarray  # (N,)
    times: np.ndarray  # (N,) datetime64[ns]
    usable: np.ndarray  # (N,) bool
    regression: bool = False
    unit: str = ""


def choose(frame: pd.DataFrame, around: Around, asked: Asked, *, written: Written | None = None) -> tuple[Schema, columns.Features]:
    """The schema of a table and its features. Where the learner takes numbers only, a text or a category is left out with the reason.

    The schema is inferred from the training rows: of those with a label and a time the first that `asked.trained` counts. How the numbers of a
    column are written (decimal comma, percent) is a matter of the whole file. Identifiers, constant and empty columns are left out unless
    asked for by name. A known schema stands as it is, unless other features are asked for.

    Raises:
        DataError: a column asked for is not there, given twice, not numeric, or the label; or no feature is left.
        SettingsError: the schema file names a column that is not there.
    """
    only = asked.features if asked.features is None else columns.chosen(frame, asked.features, target=around.target)
    _check_left_out(frame, around, asked)
    asked.overrules.check(map(str, frame.columns))
    known = asked.known if asked.known.columns and set(only or ()) <= set(asked.known.features) else None
    for name in known.features if known else ():
        columns.present(frame, name, "a feature of the base model")
    names = only or (known.features if known else [name for name in frame.columns if name not in {around.target, around.time_column}])
    read = {name: numerals.read(frame[name], written=partial(written, name) if written else None) for name in names}
    train = np.flatnonzero(around.usable)
    train = train[: asked.trained(around.times[train])]
    found = (
        _known(known, frame)
        if known
        else inference.infer(
            frame.assign(**{around.target: around.labels}).iloc[train],
            target=around.target,
            time_column=around.time_column,
            regression=around.regression,
            unit=around.unit,
            only=only or asked.usual,
            read=lambda name: _part(read[name], train),
        )
    )
    found = _overruled(found, asked)
    found = _coded(found, frame, read, train, asked=asked, written=written) if asked.values_as_they_are else _numbers_only(found, read, asked)
    wanted = only or sorted(found.features, key=lambda name: [*(asked.usual or ()), name].index(name))
    if not wanted:
        why = "".join(f"; left out: {column.name} ({column.why})" for column in found.left_out[:3])
        raise DataError(f"there is no {'' if asked.values_as_they_are else 'numeric '}feature column; the columns are {columns.listed(frame.columns)}{why}")
    coded = {name: found[name].categories for name in wanted if found[name].categories}
    categories = coded if asked.values_as_they_are else None
    return found, columns.features(frame, {name: read[name] for name in wanted}, written=written, categories=categories)


def _known(known: Schema, frame: pd.DataFrame) -> Schema:
    """The schema of a base model, for a table that has its columns and perhaps others."""
    names = {column.name for column in known.columns}
    others = [str(name) for name in frame.columns if name not in names]
    return Schema((*known.columns, *(Column(name, "left_out", "number", "not in the table that the base model was trained on") for name in others)))


def _coded(found: Schema, frame: pd.DataFrame, read: dict[str, Numbers], train: np.ndarray, *, asked: Asked, written: Written | None) -> Schema:
    """The schema with the categories of every feature that is one, also by --schema: those that are named there, then the others of the training rows.

    Raises:
        DataError: a feature is a time, has no number where it should be one, another number where it should be a boolean, or too many categories.
    """
    for column in [column for column in found.columns if column.role == "feature"]:
        name, fault = column.name, read[column.name].fault
        if column.kind == "time" or fault == "times":
            raise DataError(f"feature {name!r} is a time, which no learner takes: derive numbers from it, such as the hour, or leave it out")
        if column.kind == "number" and fault:
            raise DataError(f"feature {name!r} is not numeric ({fault}): give it the kind category in --schema, or leave it out")
        if column.kind == "boolean" and not fault:
            foreign = read[name].values[~np.isin(read[name].values, (0, 1)) & np.isfinite(read[name].values)]
            if len(foreign):
                raise DataError(f"feature {name!r} is a boolean in --schema and holds {foreign[0]:g}: give it the kind number or category")
        if column.kind == "category" or (column.kind == "boolean" and fault):
            shown = column.categories or encoding.sorted_texts(encoding.as_written(frame[name], written).iloc[train])
            named = asked.overrules.columns.get(name, Overruled()).categories if column.kind == "category" else ()
            categories = tuple(dict.fromkeys([*named, *shown]))
            if not categories:
                raise DataError(f"feature {name!r} is a category without any value in the training rows: leave it out, or name its categories in --schema")
            if len(categories) > MOST_CATEGORIES:
                raise DataError(f"feature {name!r} has {len(categories):,} different texts: leave it out, or group them into fewer")
            found = found.having(name, categories=categories)
    return found


def _part(numbers: Numbers, rows: np.ndarray) -> Numbers:
    return replace(numbers, values=numbers.values[rows], rounded=numbers.rounded[rows])


def _check_left_out(frame: pd.DataFrame, around: Around, asked: Asked) -> None:
    for name in asked.leave_out:
        columns.present(frame, name, "--leave_out")
        if name in {around.target, around.time_column}:
            raise DataError(f"--leave_out {name!r} is the column of the {'label' if name == around.target else 'time'}: it is no feature as it is")
        if name in (asked.features or ()):
            raise DataError(f"{name!r} is in --features and in --leave_out: give it in one of the two")


def _overruled(found: Schema, asked: Asked) -> Schema:
    """What the file says, then the flags: exactly --features, where they are given."""
    for name, said in asked.overrules.columns.items():
        column = found[name]
        role = "" if asked.features is not None else said.role
        why = column.why
        if role in {"left_out", "identifier"} and column.role == "feature":
            why = "by --schema"
        elif role == "feature" and column.role != "feature":
            why = ""
        found = found.having(name, role=role or column.role, kind=said.kind or column.kind, unit=said.unit or column.unit, why=why)
    for name in asked.leave_out:
        if found[name].role == "feature":
            found = found.having(name, role="left_out", why="by --leave_out")
    return found


def _numbers_only(found: Schema, read: dict[str, Numbers], asked: Asked) -> Schema:
    """The schema without the features that are no numbers.

    Raises:
        DataError: one of them was asked for by name.
    """
    for name in asked.features or ():
        said = asked.overrules.columns.get(name, Overruled())
        if said.kind in {"category", "time"}:
            raise DataError(f"{name!r} is in --features and a {said.kind} in --schema, and this learner takes numbers only: change one of the two")
        if fault := read[name].fault:
            raise DataError(f"feature {name!r} is not numeric ({fault}): leave it out or encode it")
    for column in [column for column in found.columns if column.role == "feature"]:
        said = asked.overrules.columns.get(column.name, Overruled())
        fault = read[column.name].fault
        if said.kind in {"category", "time"}:
            found = found.having(column.name, role="left_out", why=f"a {said.kind} by --schema; this learner takes numbers only")
        elif fault and (said.role == "feature" or said.kind in {"number", "boolean"}):
            raise DataError(f"feature {column.name!r} is not numeric ({fault}): leave it out or encode it")
        elif fault:
            found = found.having(column.name, role="left_out", why=f"{fault}; {column.why}, and this learner takes numbers only")
    return found
