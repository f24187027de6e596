"""Reads a column as numbers: plain, or as people and spreadsheets write them, if the whole column has only one reading.

A decimal comma, thousands separators, a percent sign or a currency must hold for every number of the column; otherwise the column is
not numeric and the fault states why. A note reports values that are not read as written.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

EXACT: Final = 2**53  # whole numbers up to here are all exact in float64
LEAST: Final = 0.5  # share of the non-missing values that must be numbers in a numeric column
_PLAIN: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?inf(inity)?", re.IGNORECASE | re.ASCII)
_WHOLE: Final = re.compile(r"[+-]?\d+", re.ASCII)
_UNIT: Final = r"%|‰|[$€£¥]|EUR|USD|GBP|CHF|JPY"
_AFFIXED: Final = re.compile(rf"(?P<sign>[+-]?)(?P<before>{_UNIT})?\s*(?P<body>[+-]?[\d.,'\s]+)(?P<after>{_UNIT})?")
BOOLS: Final = "True is read as 1, False as 0"
_SPACES: Final = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u2009": " ", "’": "'", "−": "-"})


@dataclass(frozen=True, eq=False)
class Numbers:
    """A column as numbers.

    `values` is nan where a value is missing or not a number; `rounded` marks whole numbers that float64 cannot represent. `note` states how the
    text was read, "" if as written. `fault` states why the column is not numeric, "" if it is.
    """

    values: np.ndarray  # (N,) float64
    rounded: np.ndarray  # (N,) bool
    note: str = ""
    fault: str = ""


def read(column: pd.Series, *, written: Callable[[], pd.Series] | None = None) -> Numbers:
    """Read a column; `written` returns it as in the file, if reading the file may have rounded it.

    >>> found = read(pd.Series(["0,5", "1.234,5", None]))
    >>> found.values.tolist(), found.note
    ([0.5, 1234.5, nan], "'1.234,5' is read as 1234.5")
    >>> read(pd.Series(["1,234", "5,678"])).fault
    "text: '1,234' may be 1234 or 1.234"
    """
    if pd.api.types.is_datetime64_any_dtype(column) or pd.api.types.is_timedelta64_dtype(column):
        return _none(column, "times")
    if not column.notna().any():
        return _none(column, "empty")
    found = _typed(column, written) if pd.api.types.is_numeric_dtype(column) else _texts(column)  # a bool is numeric
    with np.errstate(invalid="ignore"):
        large = np.count_nonzero(np.abs(found.values) >= EXACT)  # every other id beyond 2^53 may be exact
    if found.rounded.any() and large > LEAST * column.notna().sum() and not found.fault:
        example = _short((written() if written else column).iloc[int(np.flatnonzero(found.rounded)[0])])
        return _none(column, f"whole numbers beyond 2^53 such as {example}, whose last digits float64 loses: subtract an offset, or leave it out")
    return found


def _none(column: pd.Series, fault: str) -> Numbers:
    return Numbers(np.full(len(column), np.nan), np.zeros(len(column), bool), fault=fault)


def _typed(column: pd.Series, written: Callable[[], pd.Series] | None) -> Numbers:
    values = column.to_numpy(np.float64, na_value=np.nan)
    rounded = np.zeros(len(column), bool)
    with np.errstate(invalid="ignore"):
        large = np.flatnonzero((np.abs(values) >= EXACT) & np.isfinite(values) & (values == np.floor(values)))
    if len(large):  # a column with a missing value is float64 already
        given = (written() if written else column).iloc[large]
        rounded[large] = [_is_rounded(raw, value) for raw, value in zip(given, values[large], strict=True)]
    return Numbers(values, rounded, BOOLS if pd.api.types.is_bool_dtype(column) else "")


def _is_rounded(raw: object, value: float) -> bool:
    if isinstance(raw, str) and not _WHOLE.fullmatch(raw.strip()):
        return False  # written with a point or an exponent: a measured value
    return not isinstance(raw, float | np.floating) and int(raw) != int(value)  # type: ignore[call-overload]


def _texts(column: pd.Series) -> Numbers:
    try:
        codes, found = pd.factorize(column)
    except TypeError:
        return _none(column, "lists or the like")
    counts = np.bincount(codes[codes >= 0], minlength=len(found))
    uniques = [_as_text(value) for value in found]
    reading = _reading(uniques, counts)
    if isinstance(reading, str):
        return _none(column, reading)
    values, note = reading
    if not note and any(isinstance(value, bool | np.bool_) for value in found):
        note = BOOLS
    whole = np.array([EXACT <= abs(value) < np.inf and _is_rounded(text, value) for text, value in zip(uniques, values, strict=True)])
    return Numbers(np.append(values, np.nan)[codes], np.append(whole, False)[codes], note)


def _as_text(value: object) -> str:
    if isinstance(value, bytes):
        value = value.decode("utf-8", errors="replace")
    if isinstance(value, bool | np.bool_):
        return str(int(value))
    return str(value).strip().translate(_SPACES)


def _reading(uniques: list[str], counts: np.ndarray) -> tuple[np.ndarray, str] | str:
    """The values of distinct texts and a note, or why they are not numbers; `counts` are the rows of each."""
    plain = as_is = _plain(uniques)
    as_is_values = _converted(uniques, plain)
    if plain.all():
        return as_is_values, ""
    bodies, units = _without_units(uniques)
    if len(units) > 1:
        bodies, ways = uniques, []
    else:
        plain, ways = _plain(bodies), _grouped(bodies)
    least, most = LEAST * counts.sum(), max((counts[mask].sum() for *_, mask in ways), default=0)
    found = [(_converted(bodies, mask, decimal, thousands), mask) for decimal, thousands, mask in ways if counts[mask].sum() == most]
    if most > counts[plain].sum() and most >= least:
        values, mask = found[0]
        rival = next((other for other, _ in found if not np.array_equal(other, values, equal_nan=True)), None)
        if rival is None:
            return values, _note(uniques, values, mask & (values != as_is_values))
        if counts[plain].sum() < least:
            at = int(np.flatnonzero((values != rival) & mask)[0])
            return f"text: {_short(uniques[at])!r} may be {max(values[at], rival[at]):.15g} or {min(values[at], rival[at]):.15g}"
    if counts[plain].sum() >= least:
        values = _converted(bodies, plain)
        return values, _note(uniques, values, plain & ~as_is)
    return f"text: {_short(uniques[int(np.flatnonzero(~as_is)[0])])!r}"


def _plain(texts: list[str]) -> np.ndarray:
    return np.array([bool(_PLAIN.fullmatch(text)) for text in texts])


def _without_units(uniques: list[str]) -> tuple[list[str], set[str]]:
    """The texts without a percent sign or currency, and which of these the texts with digits have: one is the column's unit, several are not."""
    bodies, units = [], set()
    for text in uniques:
        found = _AFFIXED.fullmatch(text)
        if found is None or (found["before"] and found["after"]) or (found["sign"] and found["body"][0] in "+-"):
            bodies.append(text)
            if _PLAIN.fullmatch(text):
                units.add("")
            continue
        bodies.append(found["sign"] + found["body"].strip())
        units.add(found["before"] or found["after"] or "")
    return bodies, units


def _grouped(bodies: list[str]) -> list[tuple[str, str, np.ndarray]]:
    """Each number format, as decimal mark and thousands separator, and which texts fit it."""
    found = []
    for decimal, thousands in ((".", ","), (",", "."), (".", " "), (",", " "), (".", "'"), (",", "'")):
        way = re.compile(rf"[+-]?(\d+|[1-9]\d{{0,2}}({re.escape(thousands)}\d{{3}})+)({re.escape(decimal)}\d+)?", re.ASCII)
        found.append((decimal, thousands, np.array([bool(way.fullmatch(text)) for text in bodies])))
    return found


def _converted(texts: list[str], mask: np.ndarray, decimal: str = ".", thousands: str = "") -> np.ndarray:
    return np.array([float(text.replace(thousands, "").replace(decimal, ".")) if ok else np.nan for text, ok in zip(texts, mask, strict=True)], np.float64)


def _note(uniques: list[str], values: np.ndarray, changed: np.ndarray) -> str:
    """How a text is read, and one that would otherwise be another number, such as 1.234 in a column of decimal commas."""
    if not changed.any():
        return ""
    by_length = sorted(map(int, np.flatnonzero(changed)), key=lambda place: -len(uniques[place]))
    examples = [next((place for place in by_length if bool(_PLAIN.fullmatch(uniques[place])) is plain), None) for plain in (False, True)]
    first, *second = [place for place in examples if place is not None]
    return f"{_short(uniques[first])!r} is read as {values[first]:.15g}" + "".join(f" and {_short(uniques[at])!r} as {values[at]:.15g}" for at in second)


def _short(raw: object) -> str:
    text = str(raw)
    return text if len(text) <= 40 else f"{text[:40]}…"
