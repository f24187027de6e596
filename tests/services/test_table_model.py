"""The table learner: every task, whatever the columns hold, and the same answers once saved, loaded and exported."""

from __future__ import annotations

import importlib.util
import json

import mlflow
import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from driftloop.tracking import mlflow_store
from driftloop.training import packaging
from driftloop.training.fitting import quiet_lightning
from driftloop.training.table import table_model
from driftloop.training.table.table_datamodule import TableDataModule
from driftloop.training.table.table_learner import BASE_PARAMS, TABLE
from driftloop.training.table.table_model import FEWEST, TableModel, schedule

NAN = float("nan")
KINDS, SIZES = ["number", "category", "boolean", "number"], [0, 4, 0, 0]
TASKS = ("binary", "three classes", "regression")
ROWS = 1200


def table(task, *, rows=ROWS, seed=0, missing=0.1):
    """Numbers, a category, a boolean, a skewed number; all of them matter, and some are missing."""
    draw = np.random.default_rng(seed)
    values = np.stack(
        [draw.normal(50, 10, rows), draw.integers(0, 4, rows).astype(float), draw.integers(0, 2, rows).astype(float), draw.lognormal(3, 1, rows)], axis=1
    )
    score = (values[:, 0] - 50) / 10 + np.array([2.0, -2.0, 1.0, -1.0])[values[:, 1].astype(int)] * (2 * values[:, 2] - 1) + np.log(values[:, 3]) - 3
    values[draw.random(values.shape) < missing] = NAN
    if task == "regression":
        return values, np.exp(1 + score / 2)
    return values, (score > 0).astype(np.int64) if task == "binary" else np.digitize(score, [-1, 1]).astype(np.int64)


def classes_of(task):
    return {"binary": 2, "three classes": 3, "regression": 0}[task]


def fit(rows, labels, *, classes, kinds=KINDS, sizes=SIZES, history=0, seed=7, epochs=4, train=None, **others):
    quiet_lightning()
    pl.seed_everything(seed, verbose=False)
    train = train or (0, len(rows))
    model = TableModel(features=rows.shape[1], kinds=kinds, sizes=sizes, classes=classes, history=history, **others)
    model.learn_scale(rows[slice(*train)], labels[slice(*train)])
    quiet = {"logger": False, "enable_checkpointing": False, "enable_model_summary": False, "enable_progress_bar": False, "num_sanity_val_steps": 0}
    trainer = pl.Trainer(max_epochs=epochs, accelerator="cpu", deterministic=True, limit_val_batches=0, **quiet)
    trainer.fit(model, datamodule=TableDataModule(rows, labels, train=train, history=history))
    model.trained_metrics = trainer.callback_metrics
    return model


def answers(model, rows, *, first=0):
    return model.probabilities(rows, first=first) if model.hparams["classes"] else model.values(rows, first=first)


@pytest.fixture(scope="module", params=TASKS)
def trained(request):
    rows, labels = table(request.param)
    return request.param, fit(rows, labels, classes=classes_of(request.param), epochs=10)


def weird(features):
    """Rows that no training row resembles."""
    values = (NAN, 0.0, -0.0, 1.5, -1.0, 3.0, 4.0, 1e9, -1e300, 1.7976931348623157e308, -1.7976931348623157e308, 5e-324, float(2**53))
    return np.array([[value] * features for value in values] + [[(NAN, value)[at % 2] for at in range(features)] for value in values])


def test_each_task_learns_numbers_categories_booleans_and_missing_values(trained):
    task, model = trained
    rows, labels = table(task, seed=1)
    if task == "regression":
        assert np.abs(model.values(rows) - labels).mean() < 0.6 * np.abs(np.median(labels) - labels).mean()
    else:
        assert (model.probabilities(rows).argmax(axis=1) == labels).mean() > {"binary": 0.85, "three classes": 0.72}[task]


def test_the_answer_is_finite_whatever_a_row_holds(trained):
    _, model = trained
    found = answers(model, weird(4))
    assert np.isfinite(found).all()
    if model.hparams["classes"]:
        assert np.allclose(found.sum(axis=1), 1, atol=1e-5)
    else:
        assert (found >= 0).all()


def test_all_weights_are_finite_and_load_with_weights_only(trained, tmp_path):
    _, model = trained
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    state = torch.load(tmp_path / "weights.pt", map_location="cpu", weights_only=True)
    assert all(weight.isfinite().all() for weight in state.values())
    again = TableModel(**json.loads(json.dumps(dict(model.hparams))))
    again.load_state_dict(state)
    assert np.array_equal(answers(again, weird(4)), answers(model, weird(4)))


def test_the_file_alone_is_enough_to_load_the_model(trained):
    _, model = trained
    spec = importlib.util.spec_from_file_location("alone", TABLE.model_file)
    alone = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(alone)
    again = alone.TableModel(**json.loads(json.dumps(dict(model.hparams))))
    again.load_state_dict(model.state_dict())
    assert np.array_equal(answers(again, weird(4)), answers(model, weird(4)))
    assert not {name for name in vars(alone) if name == "driftloop"}


@pytest.mark.parametrize("history", [0, 3])
@pytest.mark.parametrize("task", TASKS)
def test_the_exported_network_answers_like_the_model(task, history, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'mlflow.db'}")
    mlflow.set_experiment("tables")  # an earlier test may have chosen one of another store
    rows, labels = table(task)
    model = fit(rows, labels, classes=classes_of(task), history=history, epochs=1)
    card = {"features": list("abcd"), "labels": list(range(classes_of(task)))}
    with mlflow.start_run():
        uri = packaging.log_network(model, card, rows=rows[: history + 2], history=history, requirements=["torch"], code=TABLE.model_file)
    network = mlflow.pytorch.load_model(uri)
    rows = np.concatenate([rows[:50], weird(4)])
    windows = torch.from_numpy(np.array(table_model.stack_windows(rows, history=history)))
    with torch.inference_mode():
        served = network(windows)
        assert network(windows.float()[:20]).isfinite().all()
    served = torch.softmax(served, dim=1) if classes_of(task) else served
    assert np.allclose(served.numpy(), answers(model, rows), rtol=1e-6, atol=1e-7)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    rows, labels = table("binary", rows=300)
    one, same, other = (fit(rows, labels, classes=2, seed=seed, epochs=2) for seed in (7, 7, 8))
    assert all(torch.equal(weight, same.state_dict()[name]) for name, weight in one.state_dict().items())
    assert not np.array_equal(answers(one, rows), answers(other, rows))


@pytest.mark.parametrize("task", TASKS)
def test_the_order_of_the_categories_changes_nothing(task):
    rows, labels = table(task, rows=400)
    shuffled = rows.copy()
    shuffled[:, 1] = np.where(np.isnan(rows[:, 1]), NAN, np.array([2.0, 0.0, 3.0, 1.0])[np.nan_to_num(rows[:, 1]).astype(int)])
    one, other = (fit(values, labels, classes=classes_of(task), epochs=2) for values in (rows, shuffled))
    assert np.array_equal(answers(one, rows), answers(other, shuffled))


def test_unknown_codes_and_codes_without_training_rows_are_all_the_same_other(trained):
    _, model = trained
    rows = np.tile([[50.0, NAN, 1.0, 20.0]], (6, 1))
    rows[:, 1] = [4, 5, 99, 1e12, 1.5, -3]
    found = answers(model, rows)
    assert np.allclose(found, found[0], rtol=1e-6)  # a row's last digits depend on its place in the batch


def test_a_code_of_few_training_rows_or_none_is_other():
    rows, labels = table("binary", rows=400, missing=0)
    rows[rows[:, 1] == 3, 1] = 0
    rows[: FEWEST - 1, 1] = 3
    model = fit(rows, labels, classes=2, sizes=[0, 6, 0, 0], epochs=2)
    asked = np.array([[50.0, code, 1.0, 20.0] for code in (3, 4, 5, 6, 100)])
    found = answers(model, asked)
    assert np.allclose(found, found[0], rtol=1e-6)
    assert not np.allclose(answers(model, np.array([[50.0, 0.0, 1.0, 20.0]])), found[0], rtol=1e-3)


@pytest.mark.parametrize("empty", [0, 1, 2])  # number, category, boolean
@pytest.mark.parametrize("history", [0, 6])
def test_a_column_without_any_value_in_training_is_missing_whatever_it_holds_later(empty, history):
    rows, labels = table("binary")
    rows[:, empty] = NAN
    model = fit(rows, labels, classes=2, history=history)
    later, _ = table("binary", rows=60, seed=1)
    without = later.copy()
    without[:, empty] = NAN
    assert np.array_equal(answers(model, later, first=10), answers(model, without, first=10))
    assert np.isfinite(answers(model, weird(4))).all()


def test_an_unseen_category_answers_near_the_mean_over_the_known_ones():
    draw = np.random.default_rng(0)
    codes = draw.integers(0, 4, 6000).astype(float)
    labels = np.array([0.0, 10.0, 20.0, 30.0])[codes.astype(int)] + draw.normal(0, 1, 6000)
    model = fit(codes[:, None], labels, classes=0, kinds=["category"], sizes=[4], epochs=10)
    assert np.allclose(model.values(np.arange(4.0)[:, None]), [0, 10, 20, 30], atol=1.5)
    assert 5 < model.values(np.array([[17.0]]))[0] < 25


def test_a_value_that_was_never_missing_in_training_may_be_missing_later():
    rows, labels = table("regression", missing=0)
    model = fit(rows, labels, classes=0, epochs=10)
    asked = rows.copy()
    asked[:, 0] = NAN
    low, high = np.quantile(model.values(rows), [0.01, 0.99])
    assert low < np.median(model.values(asked)) < high
    assert np.isfinite(model.values(np.full((3, 4), NAN))).all()


@pytest.mark.parametrize("task", TASKS)
def test_columns_that_are_missing_constant_huge_tiny_or_a_single_outlier_do_no_harm(task):
    rows, labels = table(task)
    draw = np.random.default_rng(3)
    outlier = draw.normal(size=len(rows))
    outlier[5] = 1e300
    columns = {
        "missing": np.full(len(rows), NAN),
        "constant": np.full(len(rows), 7.0),
        "zero": np.zeros(len(rows)),
        "noise of the last digit": 0.1 + draw.integers(0, 2, len(rows)) * 2e-17,
        "huge": draw.normal(size=len(rows)) * 1e307,
        "tiny": draw.normal(size=len(rows)) * 1e-310,
        "seconds": 1.7e9 + draw.random(len(rows)),
        "outlier": outlier,
    }
    more = np.column_stack([rows, *columns.values(), np.full(len(rows), NAN), np.zeros(len(rows)), np.full(len(rows), NAN)])
    kinds, sizes = [*KINDS, *["number"] * len(columns), "category", "category", "boolean"], [*SIZES, *[0] * len(columns), 0, 1, 0]
    model = fit(more, labels, classes=classes_of(task), kinds=kinds, sizes=sizes, epochs=8)
    assert all(weight.isfinite().all() for weight in model.state_dict().values())
    assert np.isfinite(answers(model, weird(more.shape[1]))).all()
    found = answers(model, more)
    if task == "regression":
        assert np.abs(found - labels).mean() < 0.7 * np.abs(np.median(labels) - labels).mean()
    else:
        assert (found.argmax(axis=1) == labels).mean() > 0.7


def test_what_differs_in_the_last_digits_of_a_large_number_is_learned():
    draw = np.random.default_rng(0)
    position = draw.random(2000)
    rows, labels = (1.7e9 + position)[:, None], (position > 0.5).astype(np.int64)
    model = fit(rows, labels, classes=2, kinds=["number"], sizes=[0], epochs=5)
    assert (model.probabilities(rows).argmax(axis=1) == labels).mean() > 0.97


@pytest.mark.parametrize(("kinds", "sizes"), [(["number"], [0]), (["category"], [5]), (["boolean"], [0]), (["boolean"], [2]), (["category"], [0])])
@pytest.mark.parametrize("task", TASKS)
def test_one_feature_and_two_rows_are_enough(task, kinds, sizes):
    rows = np.array([[0.0], [1.0]])
    labels = np.array([1.5, -2.5]) if task == "regression" else np.array([0, 1])
    model = fit(rows, labels, classes=classes_of(task), kinds=kinds, sizes=sizes, epochs=2)
    assert np.isfinite(answers(model, weird(1))).all()
    assert len(answers(model, rows[:0])) == 0


def test_many_categories_most_of_them_rare_are_fine():
    draw = np.random.default_rng(0)
    codes = draw.permutation(10_000).astype(float)[:4000]
    rows = np.stack([codes, draw.normal(size=4000)], axis=1)
    model = fit(rows, (rows[:, 1] > 0).astype(np.int64), classes=2, kinds=["category", "number"], sizes=[10_000, 0], epochs=3)
    fresh = np.stack([np.arange(5000.0, 6000.0), np.linspace(-2, 2, 1000)], axis=1)
    assert (model.probabilities(fresh).argmax(axis=1) == (fresh[:, 1] > 0)).mean() > 0.95


@pytest.mark.parametrize("scale", [1e-300, 1e-6, 1.0, 1e12, 1e300])
@pytest.mark.parametrize("kind", ["both signs", "positive and skewed", "an outlier"])
def test_a_regressions_labels_may_have_any_size_and_shape(kind, scale):
    draw = np.random.default_rng(0)
    number = draw.normal(size=1500)
    shapes = {"both signs": 3 * number + 1, "positive and skewed": np.exp(1.5 * number), "an outlier": np.where(np.arange(1500) == 7, 1e6, number)}
    labels = shapes[kind] * scale
    model = fit(number[:, None], labels, classes=0, kinds=["number"], sizes=[0], epochs=8)
    inner = np.abs(number) < 1.5
    off = np.abs(model.values(number[:, None]) / scale - labels / scale)[inner]
    assert np.median(off) < 0.15 * np.abs(labels / scale - np.median(labels / scale))[inner].mean()


def test_history_lets_a_row_be_seen_against_those_before_it():
    draw = np.random.default_rng(0)
    number = np.cumsum(draw.normal(size=4000))
    number[draw.random(4000) < 0.05] = NAN
    trailing = np.array([np.nanmean(number[max(0, at - 8) : at]) if at else 0.0 for at in range(4000)])
    rows, labels = np.column_stack([number, draw.integers(0, 3, 4000)]), (np.nan_to_num(number, nan=-1e9) > trailing).astype(np.int64)
    scores = {}
    for history in (0, 8):
        model = fit(rows, labels, classes=2, kinds=["number", "category"], sizes=[0, 3], history=history, train=(0, 3000), epochs=6)
        found = model.probabilities(rows, first=3000)
        assert found.shape == (1000, 2)
        assert np.allclose(found[500:], model.probabilities(rows[3500 - history :], first=history), atol=1e-6)
        scores[history] = (found.argmax(axis=1) == labels[3000:]).mean()
        assert np.isfinite(model.probabilities(np.full((20, 2), NAN), first=5)).all()
    assert scores[8] > max(0.9, scores[0] + 0.1)


def test_rows_of_numbers_alone_need_neither_kinds_nor_sizes():
    rows, labels = table("binary", missing=0)
    model = fit(rows, labels, classes=2, kinds=None, sizes=None, epochs=2)
    assert np.isfinite(model.probabilities(weird(4))).all()


def test_kinds_that_do_not_fit_the_features_are_refused():
    with pytest.raises(ValueError, match="of each of 3 features"):
        TableModel(features=3, kinds=["number"], sizes=[0], classes=2)
    with pytest.raises(ValueError, match="number, boolean or category"):
        TableModel(features=1, kinds=["text"], sizes=[0], classes=2)


def test_the_loss_of_an_epoch_is_logged_for_mlflow(trained):
    _, model = trained
    assert 0 < float(model.trained_metrics["train_loss"]) < 1


def test_mlflow_logs_the_loss_of_each_epoch_and_the_optimizer(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'mlflow.db'}")
    mlflow.set_experiment("tables")  # an earlier test may have chosen one of another store
    rows, labels = table("binary")
    mlflow_store.autolog()
    try:
        with mlflow.start_run() as run:
            fit(rows, labels, classes=2, epochs=3)
    finally:
        mlflow.pytorch.autolog(disable=True)
    client = mlflow.MlflowClient()
    losses = client.get_metric_history(run.info.run_id, "train_loss")
    assert [loss.step for loss in losses] == [0, 1, 2]
    assert losses[0].value > losses[2].value
    assert client.get_run(run.info.run_id).data.params["optimizer_name"] == "AdamW"


@pytest.mark.parametrize("shape", [{"depth": 0}, {"depth": 1}, {"depth": 3}, {"members": 1}, {"width": 1}, {"bins": 1}])
def test_any_shape_of_the_network_learns(shape):
    rows, labels = table("binary", missing=0)
    model = fit(rows, labels, classes=2, epochs=6, **shape)
    assert (model.probabilities(rows).argmax(axis=1) == labels).mean() > 0.6


def test_validation_rows_are_scored_as_the_model_answers():
    for task, name in (("three classes", "val_accuracy"), ("regression", "val_mae")):
        rows, labels = table(task)
        model = fit(rows, labels, classes=classes_of(task), train=(0, 900), epochs=2)
        trainer = pl.Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False)
        (found,) = trainer.validate(model, TableDataModule(rows, labels, train=(0, 900), validation=(900, ROWS)), verbose=False)
        own = answers(model, rows, first=900)
        expected = np.abs(own - labels[900:]).mean() if task == "regression" else (own.argmax(axis=1) == labels[900:]).mean()
        assert found[name] == pytest.approx(expected, rel=1e-4)


def test_sgd_learns_as_well_and_the_rate_ends_at_zero():
    rows, labels = table("binary")
    model = fit(rows, labels, classes=2, optimizer="sgd", lr=0.05, epochs=10)
    assert (model.probabilities(rows).argmax(axis=1) == labels).mean() > 0.8
    assert schedule(0) == 0 and schedule(1) == pytest.approx(0)


def test_an_epoch_has_each_training_row_once_in_steps_of_one_size(monkeypatch):
    monkeypatch.setattr(table_model, "ROWS_AT_ONCE", 100)
    rows = np.arange(1000.0)[:, None]
    data = TableDataModule(rows, np.arange(1000), train=(100, 950), validation=(950, 1000), history=2, batch_size=32)
    chunks = list(data.train_dataloader())
    assert [len(chunk.labels) for chunk in chunks] == [96] * 8 + [82]
    assert sorted(int(label) for chunk in chunks for label in chunk.labels) == list(range(100, 950))
    assert [(chunk.first, chunk.steps, chunk.size) for chunk in chunks[:2]] == [(0, 27, 32), (3, 27, 32)]
    assert all((chunk.windows[:, :, 0] == chunk.labels[:, None] - torch.tensor([2.0, 1.0, 0.0])).all() for chunk in chunks)
    assert torch.cat([labels for _, labels in data.val_dataloader()]).tolist() == list(range(950, 1000))


def test_spans_out_of_order_are_refused():
    with pytest.raises(ValueError, match="in time order"):
        TableDataModule(np.zeros((10, 1)), np.zeros(10), train=(5, 8), validation=(0, 5))


def test_the_learners_parameters_are_those_of_the_model():
    model = TABLE.model(features=2, classes=2, **{name: value for name, value in BASE_PARAMS.items() if name != "window"})
    assert model.hparams["width"] == BASE_PARAMS["width"]
