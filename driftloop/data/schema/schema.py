"""What each column of a table is for and holds: made once from the training rows, shown, logged, and overruled by a person."""

from __future__ import annotations

import difflib
import re
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final

import yaml

from driftloop.errors import DataError

ROLES: Final = ("feature", "label", "time", "identifier", "left_out")
KINDS: Final = ("number", "category", "boolean", "time")
SHOWN: Final = 40  # names a line of the table lists
WIDTH: Final = 100
ASKED: Final = ("not among the features", "by --leave_out", "by --schema")


@dataclass(frozen=True)
class Column:
    """One column of a table.

    `why` says why it is left out or an identifier, and of a feature what a person should know of it, such as a suspected leak. `low` and
    `high` are those of the finite numbers of the training rows, `categories` their distinct texts (of a label the classes), sorted, after those
    that a schema file names.

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
    joined = text.replace(" %", "\u00a0%")  # a number stays beside its sign
    return textwrap.fill(joined, WIDTH, subsequent_indent="  ", break_on_hyphens=False).replace("\u00a0%", " %")


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
