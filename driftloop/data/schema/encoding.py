"""How the values of a table's features become the numbers of a stream's rows, and back.

A number is itself and a boolean 0 or 1. A category, or a boolean written as text, is its code: its place among the column's `categories`:
those of a schema file, the other texts of the training rows in order, then later ones as they first appear. A missing value is nan. A model
knows the codes of its own training rows; every later one is "other" to it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pandas as pd

from driftloop.data.schema.schema import Column, Schema

Written = Callable[[str], pd.Series]
_NOT_AS_A_NUMBER: Final = r"[+-]?(0\d|\d{16})"  # such as 007 and 4000123412341234: a float64 merges or shortens them
_NO_SCHEMA: Final = Schema()
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,14}")


def texts(values: pd.Series) -> pd.Series:
    """Each value of a category as text, None where missing; a whole number has no decimal point, however the file writes it.

    >>> texts(pd.Series([161.0, None, 7])).tolist(), texts(pd.Series(["a", True])).tolist()
    (['161', None, '7'], ['a', 'True'])
    """
    codes, distinct = pd.factorize(values)
    found = np.array([*map(text, distinct), None], object)
    return pd.Series(found[codes], values.index, object, str(values.name))


def text(value: Any) -> str:
    """One value of a category as text, see `texts`."""
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def as_written(values: pd.Series, written: Written | None) -> pd.Series:
    """The values of a category: as in the file where reading them as numbers changes some, such as 007, else as they were read.

    >>> as_written(pd.Series([501, 501, None], name="zip"), lambda name: pd.Series(["00501", "501", ""])).tolist()
    ['00501', '501', nan]
    """
    if written is None or not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return values
    raw = written(str(values.name)).astype(str).str.strip().where(values.notna())
    return raw if raw.str.match(_NOT_AS_A_NUMBER, na=False).any() else values


def sorted_texts(values: pd.Series) -> tuple[str, ...]:
    """The distinct texts of a category, numbers in their order.

    >>> sorted_texts(pd.Series([10, 9, None])), sorted_texts(pd.Series(["b", "a10", "a9"]))
    (('9', '10'), ('a10', 'a9', 'b'))
    """
    if pd.api.types.is_numeric_dtype(values):
        return tuple(dict.fromkeys(texts(values.dropna().sort_values())))
    return tuple(sorted(texts(values).dropna().unique()))


def vocabulary(given: pd.Series, first: Sequence[str]) -> tuple[str, ...]:
    """The categories of a column: `first`, then the other texts as they first appear.

    >>> vocabulary(pd.Series(["c", "a", None, "b"]), ("a",))
    ('a', 'c', 'b')
    """
    return tuple(dict.fromkeys([*first, *given.dropna().unique()]))


def codes(given: pd.Series, categories: Sequence[str]) -> np.ndarray:
    """The code of each text, (N,) float64; nan where missing, the number of categories where unknown.

    >>> codes(pd.Series(["b", None, "c"]), ("a", "b")).tolist()
    [1.0, nan, 2.0]
    """
    found = pd.Categorical(given, categories=list(categories)).codes.astype(np.float64)
    return np.where(found >= 0, found, np.where(given.isna(), np.nan, float(len(categories))))


def decode(rows: np.ndarray, columns: Sequence[Column]) -> list[list[Any]]:
    """Rows (N, F) as a caller writes them in JSON: numbers, texts, True and False, None where missing.

    >>> decode(np.array([[0.5, 1.0], [np.nan, np.nan]]), [Column("x", "feature", "number"), Column("c", "feature", "category", categories=("a", "b"))])
    [[0.5, 'b'], [None, None]]
    """
    return [list(row) for row in zip(*map(_decoded, rows.T, columns), strict=True)]


def as_in_table(rows: np.ndarray, columns: Sequence[Column]) -> list[list[Any]]:
    """As `decode`, but numbers where a category is one of numbers in the table.

    >>> as_in_table(np.array([[1.0], [np.nan]]), [Column("zone", "feature", "category", low=9.0, high=161.0, categories=("9", "161"))])
    [[161], [None]]
    """
    as_numbers = [replace(one, categories=numbers(one.categories) or one.categories) if one.low is not None else one for one in columns]
    return decode(rows, as_numbers)


def numbers(categories: Sequence[str]) -> tuple[Any, ...]:
    """The categories as whole numbers; none where one of them is none, or is written otherwise.

    >>> numbers(("9", "161")), numbers(("9", "0161")), numbers(("9", "a"))
    ((9, 161), (), ())
    """
    return tuple(map(int, categories)) if all(_WHOLE.fullmatch(one) for one in categories) else ()


def _decoded(values: np.ndarray, column: Column) -> Iterable[Any]:
    if column.categories:
        return [None if np.isnan(value) else column.categories[int(value)] for value in values]
    if column.kind == "boolean":
        return [None if np.isnan(value) else bool(value) for value in values]
    return values.tolist() if not np.isnan(values).any() else [None if np.isnan(value) else float(value) for value in values]


def known(columns: Sequence[Column], rows: np.ndarray, schema: Schema = _NO_SCHEMA) -> tuple[Column, ...]:
    """The columns as a model knows them that was trained on rows (N, F): the categories end with the last one among the rows.

    Where all of a column is missing they are those of the table's schema, which the base model's training rows had: the column stays one of texts.

    >>> zone = Column("zone", "feature", "category", categories=("a", "b", "c"))
    >>> [known([zone], np.array([[code]]), Schema((replace(zone, categories=("a", "b")),)))[0].categories for code in (0.0, np.nan)]
    [('a',), ('a', 'b')]
    """
    first = {column.name: len(column.categories) for column in schema.columns}
    return tuple(
        replace(column, categories=column.categories[: first.get(column.name, 0) if np.isnan(values).all() else 1 + int(np.nanmax(values))])
        if column.categories
        else column
        for column, values in zip(columns, rows.T, strict=True)
    )
