"""Infers the schema of a table from its training rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Final

import numpy as np
import pandas as pd

from driftloop.data.schema import encoding, leaks, numerals
from driftloop.data.schema.numerals import Numbers
from driftloop.data.schema.schema import ASKED, Column, Schema, check_names

FEWEST: Final = 20  # rows below which nothing is called an identifier or constant
REPEATS: Final = 10  # equal pairs to be expected of whole numbers drawn from their range, so that none at all is no accident
MANY: Final = 1000  # rows in which whole numbers without a repeat are an identifier, whatever their range
CATEGORY_ROWS: Final = 5  # rows a text must have on average to be a category
MOST_CATEGORIES: Final = 1000
_NAMED_ID: Final = re.compile(r"(?i:(^|[\W_])(id|uuid|guid))$|[a-z](Id|ID)$")
_CODE: Final = re.compile(r"(?=.*\d)[\w.:{}-]{1,64}")
_PAIRS: Final = ({"true", "false"}, {"yes", "no"}, {"y", "n"}, {"t", "f"})


def infer(
    frame: pd.DataFrame,
    *,
    target: str,
    time_column: str | None = None,
    regression: bool = False,
    unit: str = "",
    only: Collection[str] | None = None,
    read: Callable[[str], Numbers] | None = None,
) -> Schema:
    """What the columns are, from the training rows.

    With at least 20 rows, numbers that count up by one are an identifier, as are whole numbers or codes (UUIDs and the like) that are
    different in every row, when this is no accident: at least 1,000 rows, or a range so narrow that 10 repeats were to be expected, or a
    name such as id or customer_id. Numbers with a fraction never are. A text is a category when it has 5 rows on average and 1,000 texts at
    most. A feature that gives the label away is named in `why`, see `leaks.suspicion`; it stays a feature.

    Args:
        frame: the training rows.
        target: the label's column; rows without a label are not among them.
        time_column: that of the time.
        regression: the label is a number.
        unit: of a regression's label.
        only: the features, where a person has chosen them: they are taken as they are, and the other columns are not looked at.
        read: gives a column of these rows as numbers; by default `numerals.read`.

    >>> infer(pd.DataFrame({"id": range(20), "x": [0.5, 1.5] * 10, "y": ["a", "b"] * 10}), target="y").features
    ('x',)

    Raises:
        DataError: two columns have one name.
    """
    check_names(map(str, frame.columns))
    columns = []
    for name in frame.columns:
        missing = float(frame[name].isna().mean()) if len(frame) else 0.0
        if name == target:
            columns.append(_label(frame[name], regression=regression, unit=unit, missing=missing))
        elif name == time_column:
            columns.append(Column(name, "time", "time", missing=missing))
        elif only is not None and name not in only:
            kind = "number" if pd.api.types.is_numeric_dtype(frame[name]) else "category"
            columns.append(Column(name, "left_out", kind, ASKED[0], missing=missing))
        else:
            numbers = read(name) if read else numerals.read(frame[name])
            found = _column(frame[name], numbers, missing=missing)
            found = replace(found, role="feature", why="") if only is not None else found
            if found.role == "feature":
                values = frame[name] if numbers.fault else pd.Series(numbers.values, frame.index)
                found = replace(found, why=leaks.suspicion(values, frame[target], regression=regression) or found.why)
            columns.append(found)
    return Schema(tuple(columns))


def _label(values: pd.Series, *, regression: bool, unit: str, missing: float) -> Column:
    if regression:
        low, high = _limits(numerals.read(values).values)
        return Column(str(values.name), "label", "number", low=low, high=high, missing=missing, unit=unit)
    return Column(str(values.name), "label", "category", categories=tuple(sorted(map(str, values.dropna().unique()))), missing=missing)


def _column(values: pd.Series, found: Numbers, *, missing: float) -> Column:
    """A column that is neither label nor time."""
    name = str(values.name)
    if found.fault == "times":
        return Column(name, "left_out", "time", found.fault, missing=missing)
    if name.startswith("Unnamed:"):
        return Column(name, "left_out", "number", "it has no name", missing=missing)
    if found.fault == "empty" or (len(values) and missing == 1):
        return Column(name, "left_out", "number", "empty" if found.fault == "empty" else "empty in every training row", missing=missing)
    if found.fault.startswith("text"):
        return _text(name, values, found.fault, missing=missing)
    if found.fault:
        return Column(name, "left_out", "number", found.fault, missing=missing)
    known = values.dropna()
    boolean = pd.api.types.is_bool_dtype(values) or (values.dtype == object and known.map(type).isin([bool, np.bool_]).all())
    (low, high), role, why = _limits(found.values), "feature", ""
    if len(values) >= FEWEST and not missing and low == high and np.isfinite(found.values).all():
        role, why = "left_out", f"{low:.15g} in every row"
    elif told := _identifier(name, found.values[np.isfinite(found.values)]):
        role, why = "identifier", told
    return Column(name, role, "boolean" if boolean else "number", why, low=low, high=high, missing=missing)


def _text(name: str, values: pd.Series, fault: str, *, missing: float) -> Column:
    distinct = (texts := encoding.texts(values).dropna()).unique()
    if len(values) >= FEWEST and len(distinct) == len(texts) and all(_CODE.fullmatch(text) for text in distinct):
        return Column(name, "identifier", "category", f"{fault}; different in every row", missing=missing)
    if len(values) >= FEWEST and len(distinct) == 1 and not missing:
        return Column(name, "left_out", "category", f"{fault} in every row", categories=tuple(distinct), missing=missing)
    if len(distinct) > min(MOST_CATEGORIES, max(2, len(texts) // CATEGORY_ROWS)):
        return Column(name, "left_out", "category", f"{fault}; {len(distinct):,} different texts", missing=missing)
    folded = {text.strip().casefold() for text in distinct}
    kind = "boolean" if len(folded) == 2 and folded in _PAIRS else "category"
    return Column(name, "feature", kind, f"{len(distinct):,} different texts", categories=tuple(sorted(distinct)), missing=missing)


def _identifier(name: str, numbers: np.ndarray) -> str:
    """Why these finite values are an identifier, "" when they are none."""
    if len(numbers) < FEWEST or not (numbers == np.floor(numbers)).all():
        return ""
    if (np.diff(numbers) == 1).all():
        return "counts up by one in every row"
    repeats = len(numbers) ** 2 / 2 / (numbers.max() - numbers.min() + 1)
    surprising = len(numbers) >= MANY or repeats >= REPEATS or _NAMED_ID.search(name)
    return "another whole number in every row" if surprising and len(np.unique(numbers)) == len(numbers) else ""


def _limits(values: np.ndarray) -> tuple[float | None, float | None]:
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if len(finite) else (None, None)
