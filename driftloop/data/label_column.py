"""Reads the label of each row: a class, or for a regression a value; a row may have none."""

from __future__ import annotations

import numpy as np
import pandas as pd

from driftloop.data import classes, elec
from driftloop.data.files import tables
from driftloop.data.schema import columns, roles
from driftloop.data.schema.choice import Asked
from driftloop.errors import DataError

UNLABELLED = "the label is missing"


def task(labels: pd.Series, times: np.ndarray, asked: Asked) -> str:
    """classification or regression, as the base model's schema says, else as the labels of the training rows look."""
    known = next((column for column in asked.known.columns if column.role == "label"), None)
    if known:
        return "regression" if known.kind == "number" else "classification"
    timed = np.flatnonzero(~np.isnat(times))
    return roles.task_of(labels.iloc[timed[: asked.trained(times[timed])]])


def read(table: tables.Table, frame: pd.DataFrame, name: str, *, regression: bool, known: bool) -> tuple[np.ndarray, columns.Faults, tuple[str, ...]]:
    """The labels, which rows have none and why, and what to tell of them."""
    if regression:
        values = columns.target_values(frame[name])
        return values.values[:, 0], values.faults, values.notes
    if known:
        labels = classes.read(frame[name], missing=f"the label is missing or none of {', '.join(elec.LABELS)}")
    else:
        labels = classes.read(table.written(name), declared=name in table.declared)
    return labels.values, labels.faults, labels.notes


def unlabelled(table: tables.Table, faults: columns.Faults) -> tuple[np.ndarray, columns.Faults]:
    """Which rows have no label and no other fault of their line, (N,) bool, and the faults of the other labels."""
    found = np.zeros(len(table.frame), bool)
    found[[row for row, reason in faults.items() if reason == UNLABELLED and row not in table.faults]] = True
    return found, {row: reason for row, reason in faults.items() if not found[row]}


def unlabelled_note(rows: int) -> tuple[str, ...]:
    """What to tell of so many unlabelled rows; nothing of none."""
    return (f"unlabelled: {rows:,} rows have no label; they are neither trained on nor scored",) * (rows > 0)


def codes(labels: np.ndarray, name: str, *, regression: bool) -> tuple[np.ndarray, np.ndarray]:
    """The distinct labels, sorted, and the code of each row's, (N,).

    Raises:
        DataError: there is one only.
    """
    found, codes = np.unique(labels, return_inverse=True)
    if len(found) < 2:
        raise DataError(f"the label {name!r} is {found.tolist()[0]!r} in every row: two {'values' if regression else 'classes'} at least are needed")
    return found, codes
