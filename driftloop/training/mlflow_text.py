"""Writes the descriptions in MLflow of the experiment, runs, registered models and versions.

A user's text is kept: a run's description is changed section by section, those of an experiment and of a registered model are
written once.
"""

from __future__ import annotations

from typing import Final

import mlflow

from driftloop.cli import printed_commands
from driftloop.data.streams import Stream
from driftloop.report import descriptions
from driftloop.tracking import links
from driftloop.tracking.mlflow_store import Store, translated
from driftloop.tracking.registry import Registry

NOTE: Final = "mlflow.note.content"  # the tag that MLflow shows as description


def describe_experiment(store: Store) -> None:
    """Describe in the experiment how to read its runs, unless it has a description."""
    with translated("MLflow experiment"):
        if not store.client.get_experiment(store.experiment_id).tags.get(NOTE):
            store.client.set_experiment_tag(store.experiment_id, NOTE, descriptions.EXPERIMENT)


def describe_run(store: Store, run_id: str, words: str) -> None:
    """Set a run's description."""
    with translated("MLflow description"):
        store.client.set_tag(run_id, NOTE, descriptions.short(words))


def add_section(store: Store, run_id: str, *, title: str, words: str) -> None:
    """Write or replace one section of a run's description, ended or not."""
    with translated("MLflow description"):
        now = store.client.get_run(run_id).data.tags.get(NOTE, "")
        store.client.set_tag(run_id, NOTE, descriptions.short(descriptions.with_section(now, title, words)))


def where(store: Store, run_id: str) -> str:
    """How to see a run: its URL on a tracking server, or the command that shows it."""
    uri = mlflow.get_tracking_uri()
    if uri.startswith(("http://", "https://")):
        return f"in MLflow: {links.on_server(uri, links.run(store.experiment_id, run_id))}"
    return f"in MLflow: {printed_commands.ui()}"


def describe_model(registry: Registry, stream: Stream) -> None:
    """Describe the registered model, unless it has a description."""
    registry.describe_model(descriptions.model(stream=stream.name, task=stream.task, features=stream.features, labels=stream.label_names))


def describe_version(store: Store, registry: Registry, version: str, *, run_id: str, reason: str) -> None:
    """Describe a version: its run's description, and why it was put into service."""
    with translated("MLflow description"):
        run = store.client.get_run(run_id)
    said = run.data.tags.get(NOTE, "")
    why = descriptions.why(reason, run=links.run(run.info.experiment_id, run_id), said=said)
    registry.describe(version, descriptions.short(descriptions.with_section(said, descriptions.WHY, why)))
