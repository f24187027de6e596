"""Writes the newer weights of a version that is updated in place, where its workers find them.

A version registers with the folder of its updates in its card. Each worker looks for `state.pt` there before each batch (`handler.py`). The file
is replaced as a whole, so a worker reads the old state or the new one, never a mixture, and all requests that begin after the replacement are
answered from the new one by all workers: no request waits or is lost, nothing is registered, and a worker that restarts finds it, too. Only who
may write to this folder, or to the archive itself, can change what is served: an update is no request.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from driftloop.errors import ServingError
from driftloop.system import files

if TYPE_CHECKING:
    import torch

STATE = "state.pt"


def folder(store: Path, *, name: str, version: str, run_id: str) -> Path:
    """The folder of a version's updates, beside its archive."""
    return (store / f"updates-{name}-{version}-{run_id}").absolute()


def write(where: Path, state: Mapping[str, torch.Tensor], *, update: int, run_id: str) -> None:
    """Replace a version's state by that of an update.

    Args:
        where: from `folder`.
        state: all weights, finite.
        update: its number, from 1.
        run_id: the run that trained the version.

    Raises:
        ServingError: it cannot be written.
    """
    import torch

    try:
        where.mkdir(parents=True, exist_ok=True)
        with files.aside(where / STATE) as made:
            torch.save({"state": {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}, "update": update, "run_id": run_id}, made)
    except (OSError, RuntimeError) as exc:
        raise ServingError(f"update {update} cannot be written to {where}: {exc}; make room there or fix its permissions") from exc


def drop(where: Path) -> None:
    """Remove a version's updates, if there are any: its archive alone counts again."""
    shutil.rmtree(where, ignore_errors=True)


def drop_others(store: Path, *, name: str, keep: Path | None) -> None:
    """Remove the updates of all other versions of a model."""
    ours = re.compile(rf"updates-{re.escape(name)}-\d+-[0-9a-f]+")  # of another model whose name begins like this one: not ours
    for other in store.glob(f"updates-{name}-*"):
        if other != keep and ours.fullmatch(other.name):
            drop(other)
