"""What each column of a table is for and holds: made once from the training rows, shown, logged, and overruled by a person."""

from __future__ import annotations

import difflib
import re
import textwrap
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final

import numpy as np
import pandas as pd
import yaml

from driftloop.data import leaks, numerals
from driftloop.data.numerals import Numbers
from driftloop.errors import DataError

ROLES: Final = ("feature", "label", "time", "identifier", "left_out")
KINDS: Final = ("number", "category", "boolean", "time")
FEWEST: Final = 20  # rows below which nothing is called an identifier or constant
REPEATS: Final = 10  # equal pairs to be expected of whole numbers drawn from their range, so that none at all is no accident
MANY: Final = 1000  # rows in which whole numbers without a repeat are an identifier, whatever their range
CATEGORY_ROWS: Final = 5  # rows a text must have on average to be a category
MOST_CATEGORIES: Final = 1000
SHOWN: Final = 40  # names a line of the table lists
WIDTH: Final = 100
ASKED: Final = ("not among the features", "by --leave_out", "by --schema")
_NAMED_ID: Final = re.compile(r"(?i:(^|[\W_])(id|uuid|guid))$|[a-z](Id|ID)$")
_CODE: Final = re.compile(r"(?=.*\d)[\w.:{}-]{1,64}")
_PAIRS: Final = ({"true", "false"}, {"yes", "no"}, {"y", "n"}, {"t", "f"})


@dataclass(frozen=True)
class Column:
    """One column of a table.

    `why` says why it is left out or an identifier, and of a feature what a person should know of it, such as a suspected leak. `low` and
    `high` are those of the finite numbers of the training rows, `categories` their distinct texts (of a label the classes), sorted.

    Raises:
        DataError: `role` or `kind` is none.
    """

    name: str
    role: str
    kind: str
    why: str = ""
    low: float | None = None
    high: float | None = None
    categories: tuple[str, ...] = ()
    missing: float = 0.0  # share of the training rows
    unit: str = ""

    def __post_init__(self) -> None:
        for what, value, known in (("role", self.role, ROLES), ("kind", self.kind, KINDS)):
            if value not in known:
                raise DataError(f"column {self.name!r}: {value!r} is no {what}; {did_you_mean(str(value), known)}")


@dataclass(frozen=True)
class Schema:
    """The columns of a table, in its order."""

    columns: tuple[Column, ...] = ()

    def __getitem__(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the features, in the order of the table."""
        return tuple(column.name for column in self.columns if column.role == "feature")

    @property
    def left_out(self) -> tuple[Column, ...]:
        """Identifiers and the columns that are left out for another reason."""
        return tuple(column for column in self.columns if column.role in {"identifier", "left_out"})

    @property
    def notes(self) -> tuple[str, ...]:
        """A line for each column that is left out though nobody asked for that."""
        return tuple(f"left out: {column.name} ({column.why})" for column in self.left_out if column.why not in ASKED)

    def having(self, name: str, **values: Any) -> Schema:
        """The schema with other values of one column."""
        return Schema(tuple(replace(column, **values) if column.name == name else column for column in self.columns))

    def as_json(self) -> dict[str, Any]:
        """JSON values, as `from_json` takes them."""
        return {"columns": [{**asdict(column), "categories": list(column.categories)} for column in self.columns]}

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Schema:
        """The schema of JSON values.

        >>> one = Schema((Column("x", "feature", "number", low=0.0, high=1.0), Column("y", "label", "category", categories=("a", "b"))))
        >>> Schema.from_json(one.as_json()) == one == Schema.from_yaml(one.as_yaml())
        True

        Raises:
            DataError: a column has no name, role or kind, one that is none, or a key that is not known.
        """
        columns = given.get("columns") if isinstance(given, Mapping) else None
        if not isinstance(columns, list) or not all(isinstance(one, Mapping) for one in columns):
            raise DataError("a schema is a mapping with a list of columns: {columns: [{name: x, role: feature, kind: number}]}")
        known = [field.name for field in fields(Column)]
        for one in columns:
            if absent := [key for key in known[:3] if key not in one]:
                raise DataError(f"schema: column {one.get('name', '?')!r} has no {absent[0]}")
            if foreign := [key for key in one if key not in known]:
                raise DataError(f"schema: column {one['name']!r}: {foreign[0]!r} is no key; {did_you_mean(str(foreign[0]), known)}")
        check_names(str(one["name"]) for one in columns)
        return cls(tuple(Column(**{**one, "name": str(one["name"]), "categories": tuple(one.get("categories", ()))}) for one in columns))

    def as_yaml(self) -> str:
        """The same as YAML."""
        return yaml.safe_dump(self.as_json(), sort_keys=False, allow_unicode=True)

    @classmethod
    def from_yaml(cls, text: str) -> Schema:
        """The schema of what `as_yaml` writes.

        Raises:
            DataError: as `from_json`, or the text is not YAML.
        """
        try:
            return cls.from_json(yaml.safe_load(text))
        except yaml.YAMLError as exc:
            raise DataError(f"the schema is not YAML ({str(exc).splitlines()[0]})") from exc

    def table(self) -> str:
        """What a person should see before a training starts, at most 100 characters wide.

        >>> print(Schema((Column("x", "feature", "number", missing=0.1), Column("id", "identifier", "number", "counts up by one in every row"))).table())
        used as number: x (10 % missing)
        left out: id (counts up by one in every row)
        """
        lines = [(role, [shown(one.name) for one in self.columns if one.role == role]) for role in ("label", "time")]
        for kind in KINDS:
            lines.append((f"used as {kind}", [_feature(one) for one in self.columns if one.role == "feature" and one.kind == kind]))
        whys = list(dict.fromkeys(one.why for one in self.left_out))
        lines.append(("left out", [f"{_some([shown(one.name) for one in self.left_out if one.why == why])} ({why})" for why in whys]))
        lines += [("warning", [f"{shown(one.name)} is a {one.why}"]) for one in self.columns if one.role == "feature" and one.why.startswith("suspected")]
        return "\n".join(_line(head, items) for head, items in lines if items)


def _feature(column: Column) -> str:
    notes = [f"{len(column.categories):,} texts"] * bool(column.categories and column.kind == "category") + [f"{100 * column.missing:.2g} % missing"] * (
        column.missing > 0
    )
    return shown(column.name) + (f" ({', '.join(notes)})" if notes else "")


def _some(items: list[str], between: str = ", ") -> str:
    return between.join(items[:SHOWN]) + (f" and {len(items) - SHOWN} more" if len(items) > SHOWN else "")


def _line(head: str, items: list[str]) -> str:
    text = f"{head}: {_some(items, '; ' if head == 'left out' else ', ')}"
    return textwrap.fill(text, WIDTH, subsequent_indent="  ", break_on_hyphens=False)


def shown(name: str) -> str:
    """A column's name in a sentence: quoted where it would be misread."""
    return name if name.isprintable() and not re.search(r"^\s|\s$|^$|[,;()]", name) else repr(name)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A near word, or all that there are."""
    names = list(known)
    near = difflib.get_close_matches(word.casefold(), names, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"give one of {', '.join(names[:12])}{' …' if len(names) > 12 else ''}"


def check_names(names: Iterable[str]) -> None:
    """Refuse two columns of one name.

    Raises:
        DataError: a name occurs twice.
    """
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise DataError(f"two columns are called {name!r}: rename one")
        seen.add(name)


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
    distinct = (texts := values.dropna().astype(str)).unique()
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
