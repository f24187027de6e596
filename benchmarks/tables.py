"""Fit the table learner on four public tables, ELEC and the taxis, beside gradient boosting, a bare loop and scikit-learn's network.

python -m benchmarks.tables --tables FOLDER                            # the four tables whole, by `benchmarks.full_tables`; six minutes on two cores
python -m benchmarks.tables --tables FOLDER --folder /tmp/tables       # keep what was measured there
python -m benchmarks.tables --tables FOLDER --folder /tmp/tables --reuse   # measure only what is not there yet, then write the page
python -m benchmarks.tables --tables data/tables --out /tmp/tables.md      # the bundled tenth of the rows, where other figures are reached
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks import script, tables_page
from driftloop.cli import parsing

if TYPE_CHECKING:
    import numpy as np

    from benchmarks.table_streams import Measured

SEEDS: Final = (0, 1, 2)
TABLES: Final = ("car_loan", "car_loan_dq", "cards", "car_price", "elec", "taxi")


def build_parser() -> parsing.Parser:
    """The flags of the tool."""
    parser = script.parser(__file__, __doc__, reusable=True)
    parser.add_argument("--tables", type=Path, required=True, help="folder of the four public tables, FOLDER/car_loan.csv.gz and so on")
    return parser


def measured(args: argparse.Namespace) -> str:
    """The page of all tables."""
    with script.place(args.folder) as folder:
        found = {name: script.kept(folder / f"{name}.json", partial(_measure, args.tables, name), reuse=args.reuse) for name in TABLES}
    return tables_page.page(found)


def _measure(folder: Path, name: str) -> dict[str, Any]:
    from benchmarks import table_streams

    made: dict[str, Callable[[], Measured]] = {"elec": table_streams.elec, "taxi": table_streams.taxi}
    return of_table(made[name]() if name in made else table_streams.of_file(folder, name))


def of_table(one: Measured) -> dict[str, Any]:
    """What is reached on the test rows of one table, and what the fits cost, as JSON values."""
    import numpy as np

    from driftloop.metrics import task

    stream, doing = one.stream, task.of(one.stream.task)
    labels = stream.labels[slice(*one.test)]
    constant = doing.constant(stream.labels[slice(*one.train)])
    ours, bare = zip(*((_fit_ours(one, seed=seed), _bare_seconds(one, seed=seed)) for seed in SEEDS), strict=True)
    own = [_fit_own(one, seed=seed) for seed in SEEDS] if one.learner else []
    network = _scikit_network(one)
    busy = min(one_fit[2] for one_fit in ours)
    return {
        "name": one.name,
        "task": doing.name,
        "rows": len(stream),
        "trained": one.train[1] - one.train[0],
        "tested": len(labels),
        "constant": doing.value(doing.losses(labels, np.full(len(labels), constant))),
        "boosting": _score(one, _boosting(one)),
        "ours": [_score(one, predicted) for predicted, *_ in ours],
        "own": [_score(one, predicted) for predicted in own],
        "seconds": [wall for _, wall, _ in ours],
        "bare": busy / min(bare),
        "network": _score(one, network[0]),
        "network_ratio": busy / network[1],
    }


def _score(one: Measured, predicted: np.ndarray) -> dict[str, float]:
    """The KPI of predictions for the test rows; of classes κ and κ-temporal as well."""
    from driftloop.metrics import baselines, kpi, task

    doing, labels = task.of(one.stream.task), one.stream.labels[slice(*one.test)]
    found = {"kpi": doing.value(doing.losses(labels, predicted))}
    if doing.name == "classification":
        unchanged = kpi.accuracy(labels, baselines.no_change(one.stream.labels, *one.test))
        found |= {"kappa": kpi.kappa(labels, predicted), "kappa_temporal": kpi.kappa_temporal(accuracy=found["kpi"], no_change=unchanged)}
    return found


def _fit_ours(one: Measured, *, seed: int) -> tuple[np.ndarray, float, float]:
    """Predictions of the test rows, seconds of the fit, and its seconds of processor time."""
    from driftloop.training import trained_model
    from driftloop.training.fitting import fit
    from driftloop.training.table.table_learner import TABLE

    params = {**TABLE.base_params, "kinds": list(one.kinds), "sizes": list(one.sizes)}
    wall, busy = time.monotonic(), time.process_time()
    model = fit(TABLE, one.stream, params, train=one.train, max_epochs=TABLE.defaults["max_epochs"], seed=seed).model
    wall, busy = time.monotonic() - wall, time.process_time() - busy
    return trained_model.predictions(model, one.stream, *one.test), wall, busy


def _fit_own(one: Measured, *, seed: int) -> np.ndarray:
    from driftloop.training import trained_model
    from driftloop.training.fitting import fit

    assert one.learner and one.own and one.own_params
    model = fit(one.learner, one.own, one.own_params, train=one.train, max_epochs=one.own_epochs, seed=seed).model
    return trained_model.predictions(model, one.own, *one.test)


def _bare_seconds(one: Measured, *, seed: int) -> float:
    """Seconds of processor time of the same network, batches and optimizer without Lightning."""
    import torch
    from torch import nn

    from driftloop.training.table.table_datamodule import TableDataModule
    from driftloop.training.table.table_learner import TABLE
    from driftloop.training.table.table_model import TableModel

    torch.manual_seed(seed)
    epochs, regression = TABLE.defaults["max_epochs"], one.stream.task == "regression"
    arguments = {name: value for name, value in TABLE.base_params.items() if name != "window"}
    busy = time.process_time()
    model = TableModel(features=len(one.kinds), kinds=one.kinds, sizes=one.sizes, classes=len(one.stream.label_names), **arguments)
    model.learn_scale(one.stream.rows[slice(*one.train)], one.stream.labels[slice(*one.train)])
    data = TableDataModule(one.stream.rows, one.stream.labels, train=one.train)
    optimizer = model.configure_optimizers()
    model.train()
    for _ in range(epochs):
        for chunk in data.train_dataloader():
            encoded = model.encode(chunk.windows)
            for at in range(0, len(chunk.labels), chunk.size):
                inputs, embedded, labels = (part[at : at + chunk.size] for part in (*encoded, chunk.labels))
                members = model.members_of(inputs, embedded)
                if regression:
                    loss = (model.unscaled(members[:, :, 0]) - labels[:, None]).abs().mean() / model.unit
                else:
                    loss = nn.functional.cross_entropy(members.flatten(0, 1), labels.repeat_interleave(members.shape[1]))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return time.process_time() - busy


def _boosting(one: Measured) -> np.ndarray:
    """Predictions of scikit-learn's gradient boosting with its defaults, the categories native."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    maker = HistGradientBoostingRegressor if one.stream.task == "regression" else HistGradientBoostingClassifier
    coded = [at for at, kind in enumerate(one.kinds) if kind != "number"]
    rows = one.stream.rows.copy()
    for at in coded:  # it takes at most 255 codes and refuses those that it was not fitted on
        rows[rows[:, at] >= (one.sizes[at] or 2), at] = float("nan")
    many = [at for at in coded if one.sizes[at] > 255]
    model = maker(categorical_features=[at for at in coded if at not in many], random_state=0)
    return model.fit(rows[slice(*one.train)], one.stream.labels[slice(*one.train)]).predict(rows[slice(*one.test)])


def _scikit_network(one: Measured) -> tuple[np.ndarray, float]:
    """Predictions of scikit-learn's multilayer perceptron with its defaults, on scaled numbers and one-hot codes, and its seconds of processor time."""
    from sklearn.compose import TransformedTargetRegressor, make_column_transformer
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.impute import SimpleImputer
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = [at for at, kind in enumerate(one.kinds) if kind == "number"]
    coded = [at for at in range(len(one.kinds)) if at not in numbers]
    encoder = make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler()), numbers), (OneHotEncoder(handle_unknown="ignore"), coded)
    )
    regression = one.stream.task == "regression"
    network = TransformedTargetRegressor(MLPRegressor(random_state=0), transformer=StandardScaler()) if regression else MLPClassifier(random_state=0)
    model = make_pipeline(encoder, network)
    busy = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 200 epochs are its default
        model.fit(one.stream.rows[slice(*one.train)], one.stream.labels[slice(*one.train)])
    busy = time.process_time() - busy
    return model.predict(one.stream.rows[slice(*one.test)]), busy


if __name__ == "__main__":
    sys.exit(script.run(build_parser(), measured))
