"""Generates streams with known drift, to evaluate verdicts, forecasts and policies.

The labels follow the rules of SEA, STAGGER, Agrawal and the rotating hyperplane as river states them. The rows are drawn
here, because river's generators support neither autocorrelated rows nor a P(X) that moves under a fixed P(Y|X).

Every feature is a function of its own standard normal value ("latent"). Autocorrelation is an AR(1) of the latents;
data drift shifts the mean of two of them, so that old and new rows overlap and importance weights exist.

Street, Kim: A streaming ensemble algorithm (SEA) for large-scale classification. KDD 2001.
Schlimmer, Granger: Incremental learning from noisy data. Machine Learning 1, 1986.
Agrawal, Imielinski, Swami: Database mining: a performance perspective. IEEE TKDE 5, 1993.
Hulten, Spencer, Domingos: Mining time-changing data streams. KDD 2001.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import signal, special

from driftloop.data.streams import Stream
from driftloop.errors import SettingsError

FEATURES = {
    "sea": ("x0", "x1", "x2"),
    "stagger": ("size", "color", "shape"),
    "agrawal": ("salary", "commission", "age", "elevel", "car", "zipcode", "hvalue", "hyears", "loan"),
    "hyperplane": tuple(f"x{i}" for i in range(10)),
}
GENERATORS = tuple(FEATURES)
DRIFTS = ("none", "abrupt", "gradual", "recurring", "data", "seasonal")

PERIOD = 48  # half-hours a day
START = np.datetime64("2024-01-01T00:00", "ns")
STEP = np.timedelta64(30, "m")
SHIFT = 0.7  # of two latents under data drift, in their standard deviations; importance weights keep 37 % of the effective sample size
_SHIFTED = {"sea": (0, 1), "stagger": (0, 1), "agrawal": (0, 2), "hyperplane": (0, 1)}
_SEA_THRESHOLDS = (9.5, 7.0, 9.0, 8.0)  # river's four, ordered so that the first change flips most labels (one in five)
CONCEPTS = {"sea": 4, "stagger": 3, "agrawal": 3, "hyperplane": 6}


@dataclass(frozen=True)
class Change:
    """From row `start` on a row may be of the new concept, from row `stop` on every row is. Abrupt: both are equal."""

    start: int
    stop: int
    kind: Literal["data", "concept"]


@dataclass(frozen=True, eq=False)
class TrueStream:
    """A stream and all its changes in order; none without drift."""

    stream: Stream
    changes: tuple[Change, ...]


def make(
    generator: str,
    *,
    rows: int,
    seed: int,
    drift: str = "none",
    at: int | Sequence[int] | None = None,
    width: int = 0,
    noise: float = 0.05,
    autocorrelation: float = 0.0,
) -> TrueStream:
    """Draw a stream of half-hours with two classes.

    Args:
        generator: one of `GENERATORS`.
        rows: number of rows.
        seed: of the rows, the flipped labels and the course of a gradual change.
        drift: "none"; "abrupt" or "gradual" (each change brings the next concept); "recurring" (the first two concepts take
            turns); "data" (each change moves P(X) away or back, P(Y|X) stays); "seasonal" (hyperplane only: the concept rotates
            continuously, one turn in `width` rows).
        at: first row of the change, or of each change; by default the middle, and each quarter for "recurring".
        width: rows of a gradual change, in which the probability of the new concept rises from 0 to 1; 0: abrupt.
        noise: probability that a label is flipped, in 0..0.5.
        autocorrelation: lag-1 correlation, in [0, 1), of each latent and of the flips, so that errors come in runs.

    Raises:
        SettingsError: an argument is outside its range.

    >>> true = make("sea", rows=1000, seed=1, drift="abrupt")
    >>> true.stream.rows.shape, true.stream.period, true.changes
    ((1000, 3), 48, (Change(start=500, stop=500, kind='concept'),))
    """
    _check(generator, rows=rows, drift=drift, width=width, noise=noise, autocorrelation=autocorrelation)
    rng = np.random.default_rng(seed)
    latent = _latent(rng, (rows, len(FEATURES[generator])), autocorrelation)
    flipped = _flips(rng, rows, noise, autocorrelation)
    if drift == "seasonal":
        changes: tuple[Change, ...] = (Change(0, rows, "concept"),)
        concept = np.arange(rows) / width * CONCEPTS[generator]
    else:
        changes = _changes(rows, drift, at, width)
        phase = _phase(rng, rows, changes)  # number of changes before each row
        concept = np.zeros(rows) if drift == "data" else phase % (2 if drift == "recurring" else CONCEPTS[generator])
        if drift == "data":
            latent[:, _SHIFTED[generator]] += SHIFT * (phase % 2)[:, None]
    values = _features(generator, latent)
    labels = label(generator, values, concept) ^ flipped
    return TrueStream(_stream(f"{generator}, {drift}", FEATURES[generator], values, labels), changes)


def label(generator: str, rows: np.ndarray, concept: np.ndarray | int) -> np.ndarray:
    """The labels without noise, shape (N,): they define P(Y|X).

    Args:
        generator: one of `GENERATORS`.
        rows: shape (N, F), columns as in `FEATURES`.
        concept: the concept of all or each of the rows, from 0 to below `CONCEPTS[generator]`; for "hyperplane" sixths of a turn.
    """
    columns = np.asarray(rows, np.float64).T
    concept = np.broadcast_to(concept, len(rows))
    if generator == "sea":
        return (columns[0] + columns[1] > np.take(_SEA_THRESHOLDS, concept.astype(int))).astype(np.int64)
    if generator == "hyperplane":
        angle = concept * (2 * np.pi / CONCEPTS[generator])
        signs = np.resize([1.0, -1.0], len(columns))
        centred = columns - 0.5
        return (np.cos(angle) * centred.sum(axis=0) + np.sin(angle) * (signs @ centred) >= 0).astype(np.int64)
    rules = _stagger(columns) if generator == "stagger" else _agrawal(columns)
    return np.choose(concept.astype(int), rules).astype(np.int64)


def shuffled(stream: Stream, *, seed: int) -> TrueStream:
    """The negative control: the rows and labels in random order under the old times.

    This removes all drift and autocorrelation.
    """
    order = np.random.default_rng(seed).permutation(len(stream))
    rows, labels = np.ascontiguousarray(stream.rows[order]), stream.labels[order]
    return TrueStream(replace(stream, name=f"{stream.name}, shuffled", rows=rows, labels=labels, sha256=_sha256(rows, labels)), ())


def _check(generator: str, *, rows: int, drift: str, width: int, noise: float, autocorrelation: float) -> None:
    if generator not in GENERATORS:
        raise SettingsError(f"generator is {generator!r}: give one of {', '.join(GENERATORS)}")
    if drift not in DRIFTS:
        raise SettingsError(f"drift is {drift!r}: give one of {', '.join(DRIFTS)}")
    if rows < 1:
        raise SettingsError(f"rows is {rows}: give at least 1")
    if width < 0 or (width == 0 and drift in ("gradual", "seasonal")):
        raise SettingsError(f"width is {width}: a {drift} drift takes at least 1 row")
    if width and drift == "abrupt":
        raise SettingsError(f"width is {width}: an abrupt drift takes none; give drift='gradual'")
    if drift == "seasonal" and generator != "hyperplane":
        raise SettingsError(f"generator is {generator!r}: only the hyperplane has a seasonal drift")
    if not 0 <= noise <= 0.5:
        raise SettingsError(f"noise is {noise:g}: it must lie in 0..0.5")
    if not 0 <= autocorrelation < 1:
        raise SettingsError(f"autocorrelation is {autocorrelation:g}: it must lie in [0, 1)")


def _changes(rows: int, drift: str, at: int | Sequence[int] | None, width: int) -> tuple[Change, ...]:
    if drift == "none":
        return ()
    if at is None:
        at = [rows * quarter // 4 for quarter in (1, 2, 3)] if drift == "recurring" else [rows // 2]
    starts = [at] if isinstance(at, int | np.integer) else list(at)
    stops = [start + width for start in starts]
    if not starts or starts[0] < 0 or stops[-1] > rows or any(after < stop for after, stop in zip(starts[1:], stops[:-1], strict=True)):
        raise SettingsError(f"at is {at} with width {width}: changes must follow each other within the {rows} rows")
    return tuple(Change(int(start), int(stop), "data" if drift == "data" else "concept") for start, stop in zip(starts, stops, strict=True))


def _phase(rng: np.random.Generator, rows: int, changes: tuple[Change, ...]) -> np.ndarray:
    row, phase, chance = np.arange(rows), np.zeros(rows, int), rng.random(rows)
    for change in changes:
        phase += (row >= change.stop) | ((row >= change.start) & (chance < (row - change.start + 0.5) / max(change.stop - change.start, 1)))
    return phase


def _latent(rng: np.random.Generator, shape: tuple[int, int], autocorrelation: float) -> np.ndarray:
    fresh = rng.standard_normal(shape)
    fresh[1:] *= np.sqrt(1 - autocorrelation**2)  # the first row is drawn from the stationary distribution
    return signal.lfilter([1.0], [1.0, -autocorrelation], fresh, axis=0)


def _flips(rng: np.random.Generator, rows: int, noise: float, autocorrelation: float) -> np.ndarray:
    """1 where the label is flipped: each row keeps the last draw with probability `autocorrelation`, which is then the lag-1 correlation."""
    drawn = rng.random(rows) < noise
    fresh = rng.random(rows) >= autocorrelation
    fresh[0] = True
    return drawn[np.maximum.accumulate(np.where(fresh, np.arange(rows), 0))].astype(np.int64)


def _features(generator: str, latent: np.ndarray) -> np.ndarray:
    uniform = special.ndtr(latent).T  # (F, N), each in 0..1
    if generator == "agrawal":
        columns = _agrawal_features(uniform)
    else:
        columns = {"sea": 10 * uniform, "stagger": _whole(uniform, 0, 2), "hyperplane": uniform}[generator]
    return np.ascontiguousarray(np.transpose(columns), np.float32)


def _agrawal_features(uniform: np.ndarray) -> np.ndarray:
    """Values in 0..1, shape (9, N), as Agrawal's features; the categorical ones as numbers."""
    salary, commission, age, elevel, car, zipcode, hvalue, hyears, loan = uniform
    salary = 20_000 + 130_000 * salary
    commission = np.where(salary >= 75_000, 0, 10_000 + 75_000 * commission)
    zipcode = _whole(zipcode, 0, 8)
    hvalue = (8 - zipcode) * 100_000 * (0.5 + hvalue)
    return np.stack([salary, commission, _whole(age, 20, 80), _whole(elevel, 0, 4), _whole(car, 1, 20), zipcode, hvalue, _whole(hyears, 1, 30), loan * 500_000])


def _whole(uniform: np.ndarray, low: int, high: int) -> np.ndarray:
    """Whole numbers low..high, all equally likely."""
    return np.minimum(low + np.floor(uniform * (high - low + 1)), high)


def _stagger(columns: np.ndarray) -> list[np.ndarray]:
    size, color, shape = columns
    return [(size == 0) & (color == 0), (color == 2) | (shape == 0), size >= 1]


def _agrawal(columns: np.ndarray) -> list[np.ndarray]:
    """Functions 1, 2 and 3 of the paper (river counts from 0)."""
    salary, _, age, elevel = columns[:4]
    group = [age < 40, age < 60]
    by_salary = np.select(group, [(salary >= 50_000) & (salary <= 100_000), (salary >= 75_000) & (salary <= 125_000)], (salary >= 25_000) & (salary <= 75_000))
    by_education = np.select(group, [elevel <= 1, (elevel >= 1) & (elevel <= 3)], elevel >= 2)
    return [(age < 40) | (age >= 60), by_salary, by_education]


def _stream(name: str, features: tuple[str, ...], rows: np.ndarray, labels: np.ndarray) -> Stream:
    return Stream(
        name=name,
        rows=rows,
        labels=labels,
        label_names=(0, 1),
        features=features,
        times=START + np.arange(len(rows)) * STEP,
        period=PERIOD,
        source="synthetic",
        sha256=_sha256(rows, labels),
    )


def _sha256(rows: np.ndarray, labels: np.ndarray) -> str:
    return hashlib.sha256(rows.tobytes() + labels.tobytes()).hexdigest()
