"""Reads what a model predicted: the class or value of each row, and the probabilities of its classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd

from driftloop.data import classes
from driftloop.data.schema import columns, numerals
from driftloop.errors import DataError

SUM_OFF: Final = 1e-3  # tolerance of a row's sum of probabilities around 1
UNLABELLED: Final = -1  # the code of a row without a label


@dataclass(frozen=True, eq=False)
class ReadPredictions:
    """What was predicted of each row of a table, beside its label.

    `labels` are class codes into `names`, `UNLABELLED` where there is none; or values, nan where there is none. `outputs` are 1 for the predicted
    class and 0 for the others, (N, K), or values, (N,); `probabilities` (N, K) are None where no column holds them. Where `usable` is False the row
    has no prediction. `second`: a single column of probabilities is that of the second class, not of the first.
    """

    labels: np.ndarray
    outputs: np.ndarray
    probabilities: np.ndarray | None
    names: tuple[object, ...]
    usable: np.ndarray
    notes: tuple[str, ...] = ()
    second: bool | None = None

    @property
    def labelled(self) -> np.ndarray:
        """Which rows have a label, (N,)."""
        return np.isfinite(self.labels) if self.labels.dtype.kind == "f" else self.labels != UNLABELLED

    def of(self, rows: np.ndarray) -> ReadPredictions:
        """The same of some rows, in their order."""
        chances = None if self.probabilities is None else self.probabilities[rows]
        return replace(self, labels=self.labels[rows], outputs=self.outputs[rows], probabilities=chances, usable=self.usable[rows])


def of_values(label: pd.Series, prediction: pd.Series) -> ReadPredictions:
    """The labels and predictions of a regression.

    Raises:
        DataError: a value is no number.
    """
    read = {"label": _numbers(label, "label"), "prediction": _numbers(prediction, "prediction")}
    return ReadPredictions(read["label"], read["prediction"], None, (), np.isfinite(read["prediction"]))


def _numbers(column: pd.Series, what: str) -> np.ndarray:
    if not column.notna().any():
        return np.full(len(column), np.nan)
    found = columns.target_values(column)
    bad = {row: reason for row, reason in found.faults.items() if pd.notna(column.iloc[row])}
    if bad:
        row, reason = next(iter(sorted(bad.items())))
        raise DataError(f"row {row + 1}: {reason.replace('the label', f'the {what} {column.name!r}')}: correct it, or leave it empty")
    return found.values[:, 0]


def of_classes(
    label: pd.Series,
    prediction: pd.Series,
    probability: Sequence[pd.Series],
    *,
    declared: bool,
    second: bool | None = None,
    before: Sequence[object] = (),
) -> ReadPredictions:
    """The labels and predictions of a classification.

    Args:
        label: as in the table; missing where a row has no label yet.
        prediction: the predicted classes, written as the labels are.
        probability: the probability of one of two classes (the one that is predicted where it is higher), or one column for each class, whose
            names end with the class; none: unknown.
        declared: as in `classes.read`.
        second: as in `ReadPredictions`, where it is known.
        before: all classes of a table before, those of the model first; the last rows are one of each, and no rows of the table.

    Returns:
        What was read; classes that are labels alone, of which the model has no probability, come last.

    Raises:
        DataError: no prediction is one of the labels, or the probabilities are not in 0..1, do not sum to 1 or do not name the classes.
    """
    both = pd.concat([*alike(label, prediction)], ignore_index=True)
    read, rows = classes.read(both.rename(label.name), declared=declared), len(label)
    unclear = {row: reason for row, reason in read.faults.items() if "is missing" not in reason}
    if unclear:
        row, reason = next(iter(sorted(unclear.items())))
        raise DataError(f"row {row % rows + 1}: {reason if row < rows else reason.replace('the label', 'the prediction')}")
    there = np.ones(2 * rows, bool)
    there[list(read.faults)] = False
    _check_same(read.values[:rows][there[:rows]], read.values[rows:][there[rows:]], label.name, prediction.name)
    names, known = np.unique(read.values[there], return_inverse=True)
    if len(names) < 2:
        raise DataError(f"labels and predictions are {'all ' + repr(names.tolist()[0]) if len(names) else 'empty'}: two classes at least are needed")
    codes = np.full(2 * rows, UNLABELLED)
    codes[there] = known
    predicted, usable = np.maximum(codes[rows:], 0), there[rows:]
    chances, notes = None, read.notes
    if probability:
        real = usable & (np.arange(rows) < rows - len(before))
        model = _of_model(probability, names.tolist(), set(predicted[real].tolist()), before)
        chances, told, second = _probabilities(probability, names.tolist(), predicted, usable, second=second, model=model)
        usable, notes = usable & ~np.isnan(chances).any(axis=1), (*notes, *told)
        order = np.array([*model, *sorted(set(range(len(names))) - set(model))])
        names, chances, place = names[order], chances[:, order], np.argsort(order)
        codes, predicted = np.where(codes == UNLABELLED, UNLABELLED, place[np.maximum(codes, 0)]), place[predicted]
    outputs = np.eye(len(names), dtype=np.float32)[predicted]
    return ReadPredictions(codes[:rows], outputs, chances, tuple(names.tolist()), usable, notes, second)


def alike(label: pd.Series, prediction: pd.Series) -> list[pd.Series]:
    """Both as objects; True and False become 1 and 0 where the other column holds numbers."""
    sides, found = [label, prediction], []
    for at, side in enumerate(sides):
        other, known = sides[1 - at], side.dropna()
        boolean = len(known) > 0 and bool(known.map(lambda value: isinstance(value, bool | np.bool_)).all())
        numbers = pd.api.types.is_numeric_dtype(other) and not pd.api.types.is_bool_dtype(other)
        found.append(side.map({True: 1, False: 0}).astype(object) if boolean and numbers else side.astype(object))
    return found


def _check_same(labels: np.ndarray, predicted: np.ndarray, label: object, prediction: object) -> None:
    """Refuse predictions of which none is a label: they are written in another way."""
    if not len(predicted):
        raise DataError(f"--prediction {prediction!r} is empty in every row")
    classes_of = [set(side.tolist()) for side in (predicted, labels)]
    if len(labels) and classes_of[0].isdisjoint(classes_of[1]):
        shown = [", ".join(map(repr, sorted(side)[:3])) for side in classes_of]
        raise DataError(f"no prediction in {prediction!r} ({shown[0]}) is a label of {label!r} ({shown[1]}): write classes alike, and probabilities apart")


def _probabilities(
    given: Sequence[pd.Series], names: list[object], predicted: np.ndarray, usable: np.ndarray, *, second: bool | None, model: list[int]
) -> tuple[np.ndarray, list[str], bool | None]:
    """The probability of each class, (N, K), nan where one is missing, what to tell of them, and `second`."""
    read = [_chances(column) for column in given]
    chances = np.zeros((len(predicted), len(names)))
    unknown = [repr(name) for code, name in enumerate(names) if code not in model]
    notes = [f"The model has no probability of the label {', '.join(unknown)}: it counts as 0."] if unknown else []
    if len(read) == 1:
        if len(model) != 2:
            raise DataError(f"--probability {given[0].name!r} is one column for {len(model)} classes: give one for each class, whose name ends with the class")
        known = usable & ~np.isnan(read[0])
        sides = [read[0][known & (predicted == code)] for code in model]
        if second is None:
            second = not all(len(side) for side in sides) or bool(sides[1].mean() >= sides[0].mean())
        told = f"{given[0].name} is taken as the probability of {names[model[int(second)]]!r}: it is higher where that is predicted"
        chances[:, model] = np.column_stack([1 - read[0], read[0]] if second else [read[0], 1 - read[0]])
        return chances, [told, *notes], second
    chances[:, model] = np.column_stack([read[at] for at in places([str(column.name) for column in given], [names[code] for code in model])])
    off = np.flatnonzero(np.abs(chances.sum(axis=1) - 1) > SUM_OFF)
    if len(off):
        raise DataError(f"row {off[0] + 1}: the probabilities sum to {chances[off[0]].sum():.4g}, not 1, as in {len(off):,} rows: give those of all classes")
    return chances, notes, None


def _of_model(given: Sequence[pd.Series], names: list[object], predicted: set[int], before: Sequence[object]) -> list[int]:
    """The codes of the classes that the model knows: all but labels that it never predicts and of which no probability is given."""
    if len(given) == 1:
        known = predicted | {code for code, name in enumerate(names) if str(name) in set(map(str, before[:2]))}
        return sorted(known) if len(names) > 2 and len(known) == 2 else list(range(len(names)))
    columns = [str(column.name).casefold() for column in given]
    return [code for code, name in enumerate(names) if code in predicted or any(column.endswith(str(name).casefold()) for column in columns)]


def _chances(column: pd.Series) -> np.ndarray:
    found = numerals.read(column)
    values = found.values
    bad = np.flatnonzero(column.notna().to_numpy() & ~((values >= 0) & (values <= 1)))
    if len(bad):
        raise DataError(f"row {bad[0] + 1}: the probability {column.name!r} is {column.iloc[bad[0]]}, not in 0..1, as in {len(bad):,} rows")
    return values


def places(given: list[str], names: list[object]) -> list[int]:
    """The column of each class: the only one whose name ends with it, a longer class first.

    Raises:
        DataError: a class has none, or a column no class.
    """
    found: dict[str, int] = {}
    for name in sorted(map(str, names), key=len, reverse=True):
        ending = [at for at, column in enumerate(given) if column.casefold().endswith(name.casefold()) and at not in found.values()]
        if len(ending) != 1:
            raise DataError(f"--probability {', '.join(given)}: {'no column' if not ending else 'more than one column'} ends with the class {name!r}")
        found[name] = ending[0]
    if len(given) != len(names):
        other = next(column for at, column in enumerate(given) if at not in found.values())
        raise DataError(f"--probability {other!r} ends with none of the classes {', '.join(map(repr, names))}")
    return [found[str(name)] for name in names]
