"""Caches the models of a back-test: each is fitted once, however many policies use it.

A fit depends only on its recipe and the row it ends at, so its outputs are kept on disk with the seconds that it took. The
key of an entry hashes everything that the fit depends on: the rows and labels, the parameters, the seed, the model's
source. So a stale entry is never found, and no entry is ever overwritten.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import zipfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import numpy as np

from driftloop.data.streams import Stream
from driftloop.errors import SettingsError, TrainingError
from driftloop.system import files, processes
from driftloop.training import fitting, trained_model
from driftloop.training.fitting import Learner

IN_MEMORY = 512  # entries at most; ELEC in day blocks has 285
IN_MEMORY_BYTES = 500_000_000
CHUNK = 8  # maximum fits per chunk of a worker: each chunk includes the stream


@dataclass(frozen=True, eq=False)
class Fit:
    """A back-test's model: its outputs.

    `outputs` holds class probabilities (rows, K) or values (rows,) for every row from `first` to the end of the stream. `start` and `stop`
    bound its training rows. `failure` states why there is no model; then `outputs` is empty.
    """

    start: int
    stop: int
    outputs: np.ndarray
    seconds: float
    failure: str = ""
    first: int = 0

    def on(self, start: int, stop: int) -> np.ndarray:
        """Its outputs for rows start..stop, all after its training rows."""
        if start < self.stop:
            raise ValueError(f"the model was fitted on rows up to {self.stop}: it cannot be measured from row {start} on")
        return self.outputs[start - self.first : stop - self.first]

    def at_home(self) -> tuple[slice, np.ndarray]:
        """The newest of its training rows, and its outputs for them."""
        return slice(self.first, self.stop), self.outputs[: self.stop - self.first]


@dataclass(frozen=True)
class Recipe:
    """How a model is fitted: everything but the rows.

    `shown` is the number of its training rows, the newest, that it gives outputs for as well.
    """

    params: Mapping[str, Any]
    max_epochs: int
    seed: int
    shown: int = 0


class Fits:
    """Models of one recipe on one stream, each fitted on the newest `params["window"]` rows before its `stop`.

    Args:
        learner, stream: the model classes and the data.
        recipe: how to fit.
        folder: of the entries; created if missing.
        labelled: which rows have a label to learn from, (N,) bool; None: all.

    Raises:
        SettingsError: the folder is not writable.
    """

    def __init__(self, learner: Learner, stream: Stream, recipe: Recipe, *, folder: Path, labelled: np.ndarray | None = None) -> None:
        self.learner, self.stream, self.recipe, self.labelled = learner, stream, recipe, labelled
        self.place = folder.resolve() / fingerprint(learner, stream, recipe, labelled)[:32]
        try:
            self.place.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise SettingsError(f"--cache {folder}: {exc.strerror or exc}: give a folder that can be written") from exc
        size = 8 * max(len(stream.label_names), 1) * len(stream)  # bytes at most
        self._kept = lru_cache(min(IN_MEMORY, 1 + IN_MEMORY_BYTES // size))(self._find)

    def at(self, stop: int) -> Fit:
        """The model fitted on rows up to `stop`, from the cache or fitted now."""
        return self._kept(stop)

    def prepare(self, stops: Iterable[int], *, jobs: int, progress: Callable[[int], object] = lambda _: None) -> None:
        """Fit all missing models in `jobs` processes; `progress` is called with the number of new ones."""
        missing = [stop for stop in sorted(set(stops)) if self._load(stop) is None]
        if jobs == 1:
            for stop in missing:
                self.at(stop)
                progress(1)
            return
        # Pickle only the model classes and the stream, not the models in memory.
        size = max(1, min(CHUNK, len(missing) // (4 * jobs)))
        learner = replace(self.learner, rivals={}, check=None)  # functions that may not be importable there
        chunks = [(learner, self.stream, self.recipe, self.labelled, self.place.parent, missing[at : at + size]) for at in range(0, len(missing), size)]
        if chunks:
            with closing(processes.in_parallel(_fit_chunk, chunks, jobs=jobs)) as done:
                for fitted in done:
                    progress(fitted)

    def _find(self, stop: int) -> Fit:
        found = self._load(stop)
        if found is None:
            self._save(self._fit(stop))
            found = self._load(stop)  # another process may have been first: all use the seconds of the kept entry
            if found is None:
                raise SettingsError(f"{self.place}: the entry just written is unreadable: give another --cache")
        return found

    def _fit(self, stop: int) -> Fit:
        stream, rows, start = self._learned(stop)
        first = max(start, stop - self.recipe.shown)
        try:
            fitted = fitting.fit(self.learner, stream, self.recipe.params, train=(0, rows), max_epochs=self.recipe.max_epochs, seed=self.recipe.seed)
        except TrainingError as exc:
            return Fit(start, stop, np.empty(0), 0.0, str(exc), first)
        return Fit(start, stop, trained_model.predict(fitted.model, self.stream, first, len(self.stream)), fitted.seconds, first=first)

    def _learned(self, stop: int) -> tuple[Stream, int, int]:
        """The stream of the rows with a label, how many of them are before `stop`, and the first row, of all, that a fit learns from."""
        if self.labelled is None:
            return self.stream, stop, fitting.newest((0, stop), self.recipe.params["window"])[0]
        known = np.flatnonzero(self.labelled)
        rows = int(np.searchsorted(known, stop))
        stream = replace(self.stream, rows=self.stream.rows[known], labels=self.stream.labels[known], times=self.stream.times[known], period=None)
        return stream, rows, int(known[fitting.newest((0, rows), self.recipe.params["window"])[0]])

    def _path(self, stop: int) -> Path:
        return self.place / f"{stop}.npz"

    def _load(self, stop: int) -> Fit | None:
        try:
            with np.load(self._path(stop), allow_pickle=False) as entry:
                return Fit(int(entry["start"]), stop, entry["outputs"], float(entry["seconds"]), str(entry["failure"]), int(entry["first"]))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):  # missing, or written to a full disk
            return None

    def _save(self, fit: Fit) -> None:
        try:
            with files.aside(self._path(fit.stop)) as aside, aside.open("wb") as file:
                np.savez_compressed(file, start=fit.start, first=fit.first, outputs=fit.outputs, seconds=fit.seconds, failure=fit.failure)
        except OSError as exc:
            raise SettingsError(f"--cache {self.place}: {exc.strerror or exc}: give a folder that can be written") from exc


def _fit_chunk(chunk: tuple[Learner, Stream, Recipe, np.ndarray | None, Path, list[int]]) -> int:
    learner, stream, recipe, labelled, folder, stops = chunk
    fits = Fits(learner, stream, recipe, folder=folder, labelled=labelled)
    for stop in stops:
        fits.at(stop)
    return len(stops)


def fingerprint(learner: Learner, stream: Stream, recipe: Recipe, labelled: np.ndarray | None = None) -> str:
    """Hash of everything a fit depends on except the row it ends at, as 64 hexadecimal digits."""
    sources = [learner.model_file, Path(inspect.getfile(learner.data)), Path(fitting.__file__)]
    parts = {
        "format": 3,
        "task": stream.task,
        "rows": trained_model.rows_sha256(stream, len(stream)),
        "shape": [*stream.rows.shape, len(stream.label_names)],
        "columns": [[column.kind, len(column.categories)] for column in fitting.known_columns(learner, stream, (0, len(stream)))],
        "recipe": [dict(recipe.params), recipe.max_epochs, recipe.seed, recipe.shown],
        "code": [hashlib.sha256(path.read_bytes()).hexdigest() for path in sources],
        "versions": [installed(name) for name in trained_model.NEEDED],
    } | ({} if labelled is None else {"labelled": hashlib.sha256(labelled.tobytes()).hexdigest()})
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
