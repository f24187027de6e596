"""A small table with every kind of column, as a person has it, and a model of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from codes_model import CodesModel

from driftloop.data import streams
from driftloop.data.streams import Stream
from driftloop.settings import ROOT
from driftloop.training import trained_model
from driftloop.training.fitting import Fitted, Learner, known_columns
from driftloop.training.trained_model import KnownModel
from elec_datamodule import ElecDataModule

MODEL_FILE = Path(__file__).with_name("codes_model.py")
LEARNER = Learner(CodesModel, ElecDataModule, MODEL_FILE, ROOT / "handler.py", values_as_they_are=True, task="")
ROWS, TRAINED = 400, 200


def car_table(rows: int = ROWS) -> pd.DataFrame:
    """Cars for sale: whole numbers, percents, numbers with gaps, texts with gaps, booleans with gaps, booleans as text, codes of places."""
    rng = np.random.default_rng(5)
    table = pd.DataFrame(
        {
            "time": pd.date_range("2024-01-01", periods=rows, freq="h").astype(str),
            "km": rng.integers(1000, 90_000, rows),
            "discount": [f"{value}%" for value in rng.integers(0, 40, rows)],
            "power": rng.normal(90, 20, rows).round(2),
            "fuel": rng.choice(["diesel", "gas", "électrique 🔌", 'a "quoted", text'], rows),
            "sold": rng.choice([True, False], rows),
            "checked": rng.choice(["yes", "no"], rows),
            "zone": rng.choice([5, 161, 162], rows),
        }
    )
    for name, share in {"power": 0.1, "fuel": 0.2, "sold": 0.1}.items():
        table[name] = table[name].astype(object).where(rng.random(rows) >= share, None)
    table.loc[TRAINED + 50 :: 7, "fuel"] = "hydrogen"  # not among the training rows
    table["price"] = (20_000 - 0.1 * table["km"] + rng.normal(0, 500, rows)).round()
    table["class"] = np.where(table["km"] > 45_000, "old", "young")
    return table


def car_stream(folder: Path, *, task: str = "classification", table: pd.DataFrame | None = None) -> Stream:
    """The table as a stream; zone is a category."""
    path, schema = folder / "cars.csv", folder / "cars.yaml"
    (car_table() if table is None else table).to_csv(path, index=False)
    schema.write_text("columns:\n  zone: {kind: category}\n")
    target, other = ("class", "price") if task == "classification" else ("price", "class")
    return streams.load(
        path,
        target=target,
        time_column="time",
        leave_out=[other],
        schema=schema,
        trained=lambda times: TRAINED,
        task_name=task,
        values_as_they_are=True,
    )


def car_model(stream: Stream, *, history: int = 0, trained: tuple[int, int] = (0, TRAINED)) -> Fitted:
    """A model with random weights of the columns of the training rows."""
    torch.manual_seed(0)
    columns = known_columns(LEARNER, stream, trained)
    arguments: dict[str, Any] = {"kinds": [column.kind for column in columns], "sizes": [len(column.categories) for column in columns], "history": history}
    model = CodesModel(features=len(columns), classes=len(stream.label_names), **arguments).eval()
    return Fitted(model, {"history": history}, trained, {}, 0.0)


def known_model(stream: Stream, fitted: Fitted) -> KnownModel:
    """The model with its card, as if MLflow had logged it as run 1111…"""
    card = trained_model.card_of(fitted, learner=LEARNER, stream=stream)
    return KnownModel(fitted.model, fitted.params, fitted.trained, card["majority"], card, "1" * 32, "models:/m-1", "1")


def unpacked(known: KnownModel, folder: Path) -> Path:
    """A folder as a worker finds it."""
    (folder / "model.json").write_text(json.dumps(known.card | {"version": "1"}), encoding="utf-8")
    torch.save(known.model.state_dict(), folder / "weights.pt")
    shutil.copy(MODEL_FILE, folder)
    return folder
