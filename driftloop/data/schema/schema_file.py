"""What a person overrules in a schema: a YAML or JSON file that gives columns another role, kind or unit, or a category its texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from os import PathLike
from pathlib import Path
from typing import Final

import yaml

from driftloop.data.schema import encoding, strict_yaml
from driftloop.data.schema.schema import KINDS, ROLES, Column, did_you_mean
from driftloop.errors import SettingsError

FORM: Final = "give a mapping of columns such as 'columns: {zone: {kind: category}, id: {role: left_out}}'"
MEASURED: Final = frozenset(one.name for one in fields(Column)) - {"name", "role", "kind", "unit", "categories"}  # taken from the data, whatever the file says


@dataclass(frozen=True)
class Overruled:
    """What a file says of one column; "" where it says nothing. `categories` get the first codes, whether a row has them or not."""

    role: str = ""
    kind: str = ""
    unit: str = ""
    categories: tuple[str, ...] = ()


@dataclass(frozen=True)
class Overrules:
    """What a file says of columns by name; none without a file."""

    source: str = ""
    columns: Mapping[str, Overruled] = field(default_factory=dict)

    def the(self, role: str, given: str | None, flag: str) -> str | None:
        """The column of a role that one column has, and which the flag may give as well.

        Raises:
            SettingsError: there are two.
        """
        found = [name for name, one in self.columns.items() if one.role == role]
        if len({*found, *([given] if given else [])}) > 1:
            raise SettingsError(f"{self.source}: {', '.join(map(repr, found))} {'has' if len(found) == 1 else 'have'} the role {role}"
                                f"{f', {flag} is {given!r}' if given else ''}: give one column")  # fmt: skip
        if given is not None and given in self.columns and self.columns[given].role not in {"", role}:
            raise SettingsError(f"{self.source}: {given!r} has the role {self.columns[given].role} and is the column of {flag}: give one of the two")
        return found[0] if found else given

    def check(self, names: Iterable[str]) -> None:
        """Refuse a column that the table does not have.

        Raises:
            SettingsError: there is one; the message suggests a near name.
        """
        known = list(names)
        for name in self.columns:
            if name not in known:
                raise SettingsError(f"{self.source}: {name!r} is not a column; {did_you_mean(name, known)}")


def read(path: str | PathLike[str]) -> Overrules:
    """Read what overrules the inferred schema: roles, kinds and units by column, or a whole schema as it was logged.

    Of a whole schema the figures (ranges, missing shares) are not taken: they are measured again. The texts of a category keep their codes, and
    those that only the rows have follow.

    Raises:
        SettingsError: the file cannot be read, or holds a role, a kind, a key or a category that is none.
    """
    source = f"--schema {path}"
    try:
        given = strict_yaml.load(Path(path).read_text(encoding="utf-8"))
    except UnicodeDecodeError as exc:
        raise SettingsError(f"{source}: is not UTF-8 text: save it as UTF-8") from exc
    except (OSError, ValueError, yaml.YAMLError) as exc:
        told = getattr(exc, "problem", None) or getattr(exc, "strerror", None) or str(exc).partition("\n")[0]
        raise SettingsError(f"{source}: cannot be read ({told}): {FORM}") from exc
    if isinstance(given, dict) and isinstance(given.get("columns"), list | dict) and len(given) == 1:
        given = given["columns"]
    if isinstance(given, list) and all(isinstance(one, dict) and "name" in one for one in given):
        names = [str(one["name"]) for one in given]
        if twice := [name for name in names if names.count(name) > 1]:
            raise SettingsError(f"{source}: {twice[0]!r} stands twice")
        given = {one["name"]: {key: value for key, value in one.items() if key != "name"} for one in given}
    if not isinstance(given, dict) or not given:
        raise SettingsError(f"{source}: {FORM}")
    return Overrules(source, {_name(name, source): _overruled(one, f"{source}: {name!r}") for name, one in given.items()})


def _name(name: object, source: str) -> str:
    if isinstance(name, bool | None) or not isinstance(name, str | int | float):
        raise SettingsError(f"{source}: {name!r} is read by YAML as no text: write the column's name in quotes")
    return str(name)


def _overruled(given: object, where: str) -> Overruled:
    if not isinstance(given, dict) or not given:
        raise SettingsError(f"{where}: give its role or kind, such as {{role: left_out}} or {{kind: category}}")
    known = ("role", "kind", "unit")
    for key in given:
        if key not in {*known, "categories"} and key not in MEASURED:
            raise SettingsError(f"{where}: {key!r} is no key; {did_you_mean(str(key), [*known, 'categories'])}")
    for key, words in (("role", ROLES), ("kind", KINDS)):
        if key in given and given[key] not in words:
            raise SettingsError(f"{where}: {given[key]!r} is no {key}; {did_you_mean(str(given[key]), words)}")
    if not any(key in given for key in known):
        raise SettingsError(f"{where}: says neither role nor kind nor unit")
    return Overruled(**{key: str(given[key]) for key in known if key in given}, categories=_categories(given.get("categories", ()), where))


def _categories(given: object, where: str) -> tuple[str, ...]:
    if not isinstance(given, list | tuple) or any(isinstance(one, bool) or not isinstance(one, str | int | float) for one in given):
        raise SettingsError(f"{where}: categories: give a list of texts or numbers; YAML reads yes, no, on and off as texts only in quotes")
    found = tuple(map(encoding.text, given))
    if len(set(found)) < len(found):
        raise SettingsError(f"{where}: categories: {next(one for one in found if found.count(one) > 1)!r} stands twice")
    return found
