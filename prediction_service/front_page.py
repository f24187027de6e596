"""The prediction service's root page: who answers for each stream, and how to call it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from monitoring.http.pages import Example, Fact, Front, Route, StreamCard, curl
from monitoring.stream_settings import StreamConfig
from prediction_service.answering import FALLBACKS, PredictionService, ServedStream
from prediction_service.served_model import plain_row

TITLE = "Prediction service"
ABOUT = "Validates rows, calls the model in TorchServe, records every answer. Where the model must not or cannot answer, a fallback does, with the reason."
ID = "example-1"


def front(document: dict[str, Any], service: PredictionService, *, url: str) -> Front:
    """The root page of a service with these streams; the OpenAPI document lists its routes."""
    routes = [Route(method.upper(), path, operation["summary"]) for path, methods in document["paths"].items() for method, operation in methods.items()]
    alone = len(service.configs) == 1
    cards = [_card(stream, url=url, alone=alone) for stream in service.streams.values()]
    cards += [_card_of_elsewhere(config, service.logged_versions[name], url=url, alone=alone) for name, config in service.elsewhere.items()]
    return Front(TITLE, ABOUT, url, cards, routes)


def _card(stream: ServedStream, *, url: str, alone: bool) -> StreamCard:
    config, fallback = stream.config, stream.fallback_reason
    facts = [
        Fact("answers", "the fallback" if fallback else "the model", good=not fallback),
        Fact("registered model", config.model),
        Fact("version", stream.model.version or "none has answered yet"),
        Fact("predicts", _predicts(config)),
    ]
    if fallback:
        facts.append(Fact("why the fallback", FALLBACKS[fallback]))
    row = {"features": plain_row(config)}
    batch = {"rows": [row], "context": [row["features"]]}
    named = {} if alone else {"stream": config.name}
    label = config.labels[0] if config.labels else 1.0
    examples = [
        Example("Predict one row", curl(f"{url}/predict", {**named, "id": ID, **row})),
        Example("Predict several rows in time order, with the preceding rows for a model with a history", curl(f"{url}/predict", {**named, **batch})),
        Example("Send its label once it is known", curl(f"{url}/labels", {**named, "id": ID, "label": label})),
    ]
    return StreamCard(config.name, f"{config.task.capitalize()} on {len(config.features)} features", facts, examples)


def _card_of_elsewhere(config: StreamConfig, versions: Sequence[str], *, url: str, alone: bool) -> StreamCard:
    facts = [
        Fact("answers", "another system"),
        Fact("model", config.model),
        Fact("version", versions[-1] if versions else "none has been logged yet"),
        Fact("predicts", _predicts(config)),
    ]
    named = {} if alone else {"stream": config.name}
    label = config.labels[0] if config.labels else 1.0
    record = {"version": "1", **({"features": plain_row(config)} if config.features else {}), "prediction": label}
    examples = [
        Example("Log one prediction that it made", curl(f"{url}/log", {**named, "id": ID, **record})),
        Example("Send its label once it is known", curl(f"{url}/labels", {**named, "id": ID, "label": label})),
    ]
    return StreamCard(config.name, f"{config.task.capitalize()} on {len(config.features)} features, served elsewhere", facts, examples)


def _predicts(config: StreamConfig) -> str:
    return ", ".join(map(str, config.labels)) if config.labels else f"a value{f' in {config.unit}' if config.unit else ''}"
