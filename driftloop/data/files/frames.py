"""Takes a table as other libraries hold it, such as Arrow, polars or Spark, as a DataFrame of pandas."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from typing import Any, Protocol, TypeAlias, TypeGuard

import pandas as pd

from driftloop.data.files.arrow import arrow
from driftloop.errors import SettingsError


class ArrowStream(Protocol):
    """What exports its rows by Arrow's PyCapsule interface: tables of pyarrow and polars, relations of DuckDB, and others."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """See https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html."""


class Collected(Protocol):
    """A DataFrame of Spark, of which only the columns that are selected are collected."""

    columns: list[str]

    def select(self, *names: Any) -> Any:
        """Some of its columns."""

    def toPandas(self) -> pd.DataFrame:
        """All its rows."""


Frame: TypeAlias = "pd.DataFrame | ArrowStream | Collected"


def is_path(given: object) -> TypeGuard[str | PathLike[str]]:
    """Whether it names a file."""
    return isinstance(given, str | PathLike)


def as_pandas(given: Any, *, needed: Iterable[str] | None = None, unneeded: Iterable[str] = ()) -> pd.DataFrame:
    """A table of any library as a DataFrame; one of pandas as it is.

    Args:
        given: the table.
        needed: columns that are read; None: all.
        unneeded: columns that are not: they are empty then.

    Raises:
        SettingsError: it is no table, or pyarrow is lacking, by which it is read.

    >>> as_pandas([1, 2])
    Traceback (most recent call last):
    driftloop.errors.SettingsError: a table is needed, not a list: give a DataFrame of pandas, polars or Spark, a table of Arrow, or a file
    """
    if isinstance(given, pd.DataFrame):
        return given
    if hasattr(given, "toPandas") and hasattr(given, "select"):
        names, empty = _names(given.columns, needed, unneeded)
        return given.select(*["`" + name.replace("`", "``") + "`" for name in names]).toPandas().assign(**empty)
    if hasattr(given, "collect") and hasattr(given, "collect_schema"):  # a LazyFrame of polars
        given = given.collect()
    if hasattr(given, "__arrow_c_stream__") or hasattr(given, "__arrow_c_array__"):
        table = arrow("a table of Arrow or polars").table(given)
        names, empty = _names(table.column_names, needed, unneeded)
        # Without pandas' metadata an index that was saved comes back as a column, as from a file.
        return table.select(names).to_pandas(ignore_metadata=True, date_as_object=False).assign(**empty)
    if hasattr(given, "to_pandas"):
        return given.to_pandas()
    kind = type(given).__name__
    raise SettingsError(f"a table is needed, not a {kind}: give a DataFrame of pandas, polars or Spark, a table of Arrow, or a file")


def _names(columns: Iterable[str], needed: Iterable[str] | None, unneeded: Iterable[str]) -> tuple[list[str], dict[str, None]]:
    """The columns to take, and empty ones instead of those that are there and not needed: who names them for leaving them out has to find them."""
    left, wanted = {name: None for name in columns if name in set(unneeded)}, None if needed is None else set(needed)
    return [name for name in columns if name not in left and (wanted is None or name in wanted)], left
