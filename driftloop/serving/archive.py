"""Packs a model into a .mar that TorchServe can load, and checks it before it is published.

What is inside: `weights.pt` (a state_dict, never a pickled object), `model.json` (the card: which
class to build, with which arguments, for which columns and labels), the model's source file, the
handler, `model-config.yaml` (workers and time limits) and the archiver's manifest.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from driftloop.errors import ArchiveError
from driftloop.system import files, processes

if TYPE_CHECKING:
    import torch

WEIGHTS, CARD, CONFIG, MANIFEST = "weights.pt", "model.json", "model-config.yaml", "MAR-INF/MANIFEST.json"
CARD_KEYS = frozenset({"class", "module", "arguments", "features", "labels", "version"})
MAY_HAVE = frozenset({"task", "run_id", "columns", "updates"})
RUN_ID = re.compile(r"-([0-9a-f]{32})\.mar$")
WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")  # valid for the archiver and in a URL path unescaped
ARCHIVER_TIMEOUT_S = 120.0


def build_mar(
    *,
    name: str,
    version: str,
    card: Mapping[str, Any],
    state_dict: Mapping[str, torch.Tensor],
    model_file: Path,
    handler_file: Path,
    store: Path,
    workers: int = 1,
    response_timeout_s: int = 60,
    startup_timeout_s: int = 120,
) -> Path:
    """Build `store`/`name`-`version`-`run id`.mar atomically, replacing an archive of that name.

    Args:
        name: model name as TorchServe serves it.
        version: its version, for example "3".
        card: `class`, `module` (the name of `model_file`), `arguments` (of the constructor), `features`
            (column names in order), `labels` (values by class index), `version`; `task` where it is a regression;
            `columns` (name, kind and categories of each feature) where the model takes values as they are;
            `updates`, the folder of its newer weights, of a version that is updated in place;
            `run_id`, the MLflow run that trained it: identifies the archive, since another store has the same version numbers.
        state_dict: the weights; every one must be finite.
        model_file: source of the model class; imports none of our modules.
        handler_file: TorchServe handler with exactly one class.
        store: model store folder; created when absent.
        workers: worker processes for this version. Stored in the archive because its
            configuration overrides the registration call's.
        response_timeout_s: a worker without an answer for this long is restarted.
        startup_timeout_s: the same while it loads the model.

    Raises:
        ArchiveError: the parts do not fit together, or the archiver failed.
    """
    _check_parts(name=name, version=version, card=card, state_dict=state_dict, model_file=model_file, handler_file=handler_file)
    settings = {"minWorkers": workers, "maxWorkers": workers, "batchSize": 1, "responseTimeout": response_timeout_s, "startupTimeout": startup_timeout_s}
    try:
        store.mkdir(parents=True, exist_ok=True)
        # The archiver empties $TMPDIR/<name> first and writes in place, so it gets its own folder.
        with tempfile.TemporaryDirectory(dir=store, prefix=".build-") as private:
            folder = Path(private)
            _write_parts(folder, card=card, state_dict=state_dict, settings=settings, sources=(model_file, handler_file))
            built = _archive(folder, name=name, version=version, model_file=model_file.name, handler_file=handler_file.name)
            check_mar(built, name=name, version=version)
            target = store / f"{'-'.join(filter(None, (name, version, card.get('run_id'))))}.mar"
            with files.aside(target) as made:
                built.replace(made)
    except OSError as exc:
        raise ArchiveError(f"{name} {version} could not be archived in {store}: {exc}; correct the path or make room there") from exc
    return target


def check_mar(path: Path, *, name: str, version: str) -> dict[str, Any]:
    """Check that an archive is intact and contains this model version; return its card.

    Raises:
        ArchiveError: it is not a valid zip file, a part is missing, or it is another model's.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
            if damaged:
                raise ArchiveError(f"{path.name}: {damaged} inside is damaged; build the archive again")
            model = json.loads(archive.read(MANIFEST))["model"]
            card = json.loads(archive.read(CARD))
            missing = {WEIGHTS, CONFIG, card["module"], model["handler"]} - set(archive.namelist())
    except (OSError, zipfile.BadZipFile, ValueError, KeyError, TypeError) as exc:
        raise ArchiveError(f"{path.name} is not a valid model archive ({exc}); build it again") from exc
    if missing:
        raise ArchiveError(f"{path.name} lacks {', '.join(sorted(missing))}; build it again")
    found = (model.get("modelName"), model.get("modelVersion"), card.get("version"))
    if found != (name, version, version):
        raise ArchiveError(f"{path.name} contains {found[0]} {found[1]} (card: {found[2]}), not {name} {version}; build it again")
    return dict(card)


def run_in(url: str) -> str:
    """The run id in the URL that a version was registered from; "" when there is none: not our archive, or an early one.

    >>> run_in("file:///srv/elec-3-0123456789abcdef0123456789abcdef.mar"), run_in("elec-3.mar")
    ('0123456789abcdef0123456789abcdef', '')
    """
    found = RUN_ID.search(url)
    return found[1] if found else ""


def _check_parts(*, name: str, version: str, card: Mapping[str, Any], state_dict: Mapping[str, torch.Tensor], model_file: Path, handler_file: Path) -> None:
    for what, value in (("model name", name), ("version", version)):
        if not WORD.fullmatch(value):
            raise ArchiveError(f"the {what} is {value!r}: use letters, digits, '.', '_' and '-', starting with a letter or digit")
    for path in (model_file, handler_file):
        if not path.is_file():
            raise ArchiveError(f"{path} is not a file: give the source to pack into the archive")
    if set(card) - MAY_HAVE != CARD_KEYS:
        raise ArchiveError(f"the card has the keys {sorted(card)}: give exactly {sorted(CARD_KEYS)}")
    if (card["module"], card["version"]) != (model_file.name, version):
        raise ArchiveError(f"the card names {card['module']} version {card['version']}, not {model_file.name} version {version}, the model to archive")
    if not WORD.fullmatch(card.get("run_id", "0")):
        raise ArchiveError(f"the card's run_id is {card['run_id']!r}: give the id of an MLflow run")
    _check_finite(state_dict)


def _check_finite(state_dict: Mapping[str, torch.Tensor]) -> None:
    if not state_dict:
        raise ArchiveError("the state_dict is empty: give the trained model's")
    for key, tensor in state_dict.items():
        if not tensor.isfinite().all():  # they would load silently and predict nan
            raise ArchiveError(f"weight {key} is not finite: the fit diverged; train again with a lower learning rate")


def _write_parts(
    folder: Path, *, card: Mapping[str, Any], state_dict: Mapping[str, torch.Tensor], settings: Mapping[str, int], sources: tuple[Path, ...]
) -> None:
    import torch

    try:
        text = json.dumps(card, indent=2, allow_nan=False)
    except (TypeError, ValueError) as exc:
        raise ArchiveError(f"the card cannot be written as JSON ({exc}): give plain finite values") from exc
    (folder / CARD).write_text(text, encoding="utf-8")
    (folder / CONFIG).write_text("".join(f"{key}: {value}\n" for key, value in settings.items()), encoding="utf-8")
    torch.save({key: tensor.detach().cpu().contiguous() for key, tensor in state_dict.items()}, folder / WEIGHTS)
    for source in sources:
        shutil.copyfile(source, folder / source.name)


def _archive(folder: Path, *, name: str, version: str, model_file: str, handler_file: str) -> Path:
    scratch = folder / "tmp"
    scratch.mkdir()
    options = {
        "--model-name": name,
        "--version": version,
        "--model-file": model_file,
        "--serialized-file": WEIGHTS,
        "--handler": handler_file,
        "--extra-files": CARD,
        "--config-file": CONFIG,
        "--export-path": ".",
    }
    command = [sys.executable, "-m", "model_archiver.model_packaging", *(part for option in options.items() for part in option)]
    done = processes.run(command, timeout_s=ARCHIVER_TIMEOUT_S, env={"TMPDIR": str(scratch)}, folder=folder)
    if done.timed_out:
        raise ArchiveError(f"torch-model-archiver did not finish within {ARCHIVER_TIMEOUT_S:.0f} s for {name} {version}; try again on a less busy machine")
    if done.code:
        raise ArchiveError(f"torch-model-archiver failed for {name} {version} (exit {done.code}): {done.last_line}")
    return folder / f"{name}.mar"
