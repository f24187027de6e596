"""Writes the stream of a trained model as YAML: what only a person knows, to be looked through; the services read the rest from the champion.

    python -m monitoring describe --model my_model > my.yaml
    python -m monitoring local --streams_file my.yaml --stream my_model

The KPI is the one that the base model was chosen by. The threshold, alpha and block are those of the newest watch of the model, the threshold only
if that watch measured the same KPI, or follow from its validation rows; the fallback groups by the feature that predicts best by itself: the
category or the number of few values whose majority, or mean, is right most often. The table is that of the training, if it is still there:
alerts, the keeper and batch monitoring retrain on its rows, so it has to grow.
"""

from __future__ import annotations

import json
import math
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import yaml

from driftloop.cli import parsing, runner
from driftloop.cli.call import Flags, flag, required
from driftloop.errors import SettingsError
from driftloop.metrics import cost_table
from driftloop.metrics.kpi_names import KPIS
from driftloop.metrics.row_kpis import CostKpi
from driftloop.settings import ALPHA, ELEC_LEARNER, THRESHOLD_SLACK, TRAIN_SHARE
from monitoring import described, fallback
from monitoring.stream_settings import STREAM_NAME

if TYPE_CHECKING:
    from driftloop.metrics.task import Task
    from driftloop.tracking import mlflow_store
    from driftloop.training.reference import Reference
    from monitoring.described import StreamModel

MOST_VALUES: Final = 100  # of a number that the fallback may group by
SHOWN: Final = 8  # features of a kind in a comment
LEARNERS: Final = {"TableModel": "", "ElecModel": ELEC_LEARNER}  # by the model's class; "" is the default of such streams


@dataclass(frozen=True)
class DescribeFlags(Flags):
    """The values of this command's flags."""

    model: str = required("registered model whose champion is described")
    stream: str = flag("", "name of the stream; empty: the model's, in lower case")


@dataclass(frozen=True)
class Watched:
    """How the newest watch of a model judged, and where that is from, in words."""

    kpi: str
    cost: str  # of the KPI "cost"
    threshold: float
    alpha: float
    block_size: int
    source: str


def build_parser() -> parsing.Parser:
    """The flags of this command."""
    return parsing.parser("monitoring describe", __doc__, DescribeFlags)


def work(args: DescribeFlags) -> tuple[dict[str, Any], int]:
    """Print the stream's YAML; return its settings."""
    from driftloop.tracking import mlflow_store
    from driftloop.tracking.registry import Registry
    from driftloop.training import reference

    name = args.stream or stream_name(args.model)
    if not STREAM_NAME.fullmatch(name):
        raise SettingsError(f"--stream {name!a:.80}: a name is lower-case letters, digits and _, at most 40")
    store = mlflow_store.open_reader()
    version, run_id = Registry(store.client, args.model).trained()
    its, known = described.of_run(store, run_id, model=args.model), reference.load(store, run_id)
    watched = _watched(store, its, trained=known.about.trained)
    settings: dict[str, Any] = {"model": args.model, "kpi": watched.kpi} | ({"cost": watched.cost} if watched.cost else {})
    settings |= {"threshold": watched.threshold, "block_size": watched.block_size, "alpha": watched.alpha, "fallback_by": grouping(known)}
    learner = LEARNERS.get(_class_of(store, run_id), "my_module:LEARNER")
    settings |= {"learner": learner} if learner else {}
    trained_on = its.reading.get("data_path", "")
    settings |= {"data": trained_on} if Path(trained_on).is_file() else {}
    print(text(name, settings, its, watched, about=f"version {version} of {args.model}, trained in experiment {its.experiment}, run {run_id}"), end="")
    return {"stream": name, **settings}, 0


def _class_of(store: mlflow_store.Store, run_id: str) -> str:
    """The class of a run's model, as its card says; "" if it says none."""
    from driftloop.tracking import mlflow_store

    with mlflow_store.translated(f"card of run {run_id}"), tempfile.TemporaryDirectory() as folder:
        path = Path(store.client.download_artifacts(run_id, f"{mlflow_store.NETWORK}/card.json", folder))
        return str(json.loads(path.read_text(encoding="utf-8")).get("class", ""))


def stream_name(model: str) -> str:
    """A stream's name from that of a registered model.

    >>> stream_name("Car-Loan 2"), stream_name("2cars"), stream_name("Ü")
    ('car_loan_2', 'stream_2cars', 'stream')
    """
    words = re.sub(r"[^a-z0-9]+", "_", model.lower()).strip("_")
    return (words if words[:1].isalpha() else f"stream_{words}".rstrip("_"))[:40]


def _watched(store: mlflow_store.Store, its: StreamModel, *, trained: tuple[int, int]) -> Watched:
    from driftloop.data import blocks
    from driftloop.metrics import block_kpis, task
    from driftloop.tracking import mlflow_store, runs

    name, _, cost = runs.param_of(store, its.base_run_id, "kpi").partition(" ")  # as `kpi_choice.described` writes it
    doing = block_kpis.of_shares(name, described.shares_of(store, its.base_run_id), its.labels, cost=cost) if name in KPIS else None
    kind = doing or task.of(its.task)
    with mlflow_store.translated(f"run {its.base_run_id}"):
        store = mlflow_store.Store(store.client, store.client.get_run(its.base_run_id).info.experiment_id, its.experiment, None, None)
    found = runs.newest_child(store, its.base_run_id, role="deployment")
    size = blocks.usual_size(round(trained[1] / TRAIN_SHARE * (1 - TRAIN_SHARE)))
    params = found.data.params if found else {}
    alpha = float(params.get("alpha", ALPHA))
    rows = int(params.get("block_size", size)) if params.get("block_by", "rows") == "rows" else size
    if "threshold" in params and _same(params, kind, its.labels):  # another KPI's threshold is not one of this stream's
        return Watched(kind.kpi, cost, _short(float(params["threshold"])), alpha, rows, "of the newest watch of this model")
    measured = runs.metric_of(store, its.base_run_id, kind.objective)
    more = "loss" if kind.chosen else "errors"
    source = f"{100 * THRESHOLD_SLACK:.0f} % more {more} than on the base model's validation rows ({kind.kpi} {measured:.4g})"
    threshold = _short(kind.with_slack(measured, share=THRESHOLD_SLACK))
    return Watched(kind.kpi, cost, threshold, alpha, rows, source if math.isfinite(measured) else "of no measurement: give yours")


def _same(params: Mapping[str, str], doing: Task, labels: Sequence[object]) -> bool:
    """Whether a watch with these parameters measured this KPI, of a cost with the same costs."""
    if params.get("kpi", "") != (doing.kpi if doing.chosen else ""):
        return False
    if not isinstance(doing, CostKpi):
        return True
    return "cost" in params and np.array_equal(cost_table.read_costs(params["cost"], labels), doing.costs)


def _short(number: float) -> float:
    return float(f"{number:.4g}")


def grouping(known: Reference) -> list[str]:
    """The feature whose fallback table, built from the first half of a reference's rows, is best on the second; none if no feature beats one answer for all."""
    columns = {name: known.rows[:, at] for at, name in enumerate(known.about.features)}
    kinds = {column.name: column for column in known.about.columns}
    losses: dict[tuple[str, ...], float] = {(): _loss(known, columns, ())}
    for name, values in columns.items():
        if (name in kinds and kinds[name].kind != "number") or _few(values):
            alone = (name,)
            losses[alone] = _loss(known, columns, alone)
    best: tuple[str, ...] = min(losses, key=lambda by: losses[by])
    return list(best)


def _few(values: np.ndarray) -> bool:
    return len(np.unique(values)) <= MOST_VALUES


def _loss(known: Reference, columns: dict[str, np.ndarray], by: tuple[str, ...]) -> float:
    """Mean loss of a table on the second half of the rows, built from the first."""
    half, classes = len(known) // 2 or 1, known.about.task == "classification"
    first = {name: columns[name][:half].tolist() for name in by}
    table = fallback.build(first, known.labels[:half].tolist(), by=by, classification=classes)
    later = zip(*(columns[name][half:].tolist() for name in by), strict=True) if by else [()] * (len(known) - half)
    answers = [table.predict({name: None if math.isnan(value) else value for name, value in zip(by, row, strict=True)}) for row in later]
    wrong = [answer != label if classes else abs(answer - label) for answer, label in zip(answers, known.labels[half:].tolist(), strict=True)]
    return float(np.mean(wrong)) if wrong else 0.0


def text(name: str, settings: dict[str, Any], its: StreamModel, watched: Watched, *, about: str) -> str:
    """The YAML, with what a person should know in comments."""
    comments = {
        "kpi": "higher is better" if KPIS[watched.kpi].higher else f"lower is better{f', in {its.unit}' if its.unit and its.task == 'regression' else ''}",
        "cost": "true:predicted=cost of each wrong prediction; others cost 0",
        "threshold": f"the worst KPI that is good enough; {watched.source}",
        "block_size": "labelled rows judged together",
        "alpha": "false-alarm rate of each verdict",
        "fallback_by": "features that select the fallback's answer",
        "learner": "serves and retrains the model: MODULE:NAME",
        "data": "the table: a retrain reads its rows so far, so add new rows to it",
    }
    lines = [f"# {_plain(about)}", "# Read from the champion when a service starts:"]
    lines += [f"#   {kind}: {_listed(names)}" for kind, names in _kinds(its).items() if names]
    lines += [f"#   labels: {_listed(list(map(str, its.labels)))}"] if its.labels else []
    lines += [f"{name}:"]
    for key, value in settings.items():
        said = f"  {key}: {yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=math.inf).removesuffix(chr(10) + '...' + chr(10)).strip()}"
        lines.append(f"{said:<40}  # {comments[key]}" if key in comments else said)
    if "data" not in settings and "learner" not in settings:
        lost = f" (it was trained on {_plain(its.reading['data_path'])}, which is not here)" if "data_path" in its.reading else ""
        lines.append(f"  # data: my.csv  # the table, from this file's folder{lost}: without it nothing can retrain the model")
    return "\n".join(lines) + "\n"


def _kinds(its: StreamModel) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {"numbers": [], "categories": [], "yes or no": []}
    for one in its.features:
        found["yes or no" if one.boolean else "categories" if one.texts else "numbers"].append(one.name)
    return found


def _listed(names: list[str]) -> str:
    return ", ".join(map(_plain, names[:SHOWN])) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def _plain(text: str) -> str:
    """A text within a comment: on one line."""
    return text if text.isprintable() else ascii(text)


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    return runner.run(work, build_parser(), argv, DescribeFlags)
