"""The OpenAPI document: sound, complete, and true of the service, as schemathesis finds by trying."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
from flask import Flask
from hypothesis import strategies
from prediction_fixtures import FEATURES, STREAMS, StandIn, row, some_settings

from prediction_service import openapi
from prediction_service.app import create_app

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is in requirements-dev.txt")
EXAMPLES = 40  # for each operation

# What the format's name allows is more than the service's description of the field says: years 1 to 9999.
schemathesis.openapi.format("date-time", strategies.datetimes().filter(lambda one: 1970 <= one.year < 2200).map(lambda one: f"{one:%Y-%m-%dT%H:%M:%S}Z"))


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    model = StandIn()
    made = create_app(some_settings(model.url, spool=tmp_path_factory.mktemp("openapi") / "spool"))
    yield made
    made.extensions["close"]()
    model.close()


@pytest.fixture(scope="module")
def api(app: Flask) -> Any:
    made = schemathesis.openapi.from_wsgi("/openapi.json", app)
    made.config.checks.negative_data_rejection.expected_statuses.append("413")  # more rows than a request may hold
    return made


def test_the_document_is_valid_openapi(api: Any) -> None:
    api.validate()


def test_every_route_of_the_app_is_in_the_document_with_its_method(app: Flask) -> None:
    document = openapi.document(list(STREAMS.values()), max_rows=1000)
    routes = {(rule.rule, method.lower()) for rule in app.url_map.iter_rules() for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}
    assert {(path, method) for path, methods in document["paths"].items() for method in methods} == routes


def test_what_the_document_demands_of_a_feature_is_what_the_validation_does() -> None:
    schemas = openapi.document(list(STREAMS.values()), max_rows=1000)["components"]["schemas"]
    for name, stream in STREAMS.items():
        for feature in stream.features:
            said = schemas[f"features_{name}"]["properties"][feature.name]
            assert [feature.fault(said[edge]) for edge in ("minimum", "maximum")] == ["", ""]
            assert feature.fault(said["minimum"] - 1)
            assert feature.fault(said["maximum"] + 1)


@pytest.mark.parametrize("name", sorted(STREAMS))
def test_the_known_good_row_is_taken(app: Flask, name: str) -> None:
    assert app.test_client().post("/predict", json=row(name, features=FEATURES[name])).status_code == 200


POSTED, READ = ("/predict", "/labels", "/log"), ("/", "/docs", "/health", "/ready", "/metrics", "/openapi.json")


# No schema says that probabilities sum to 1 and agree with the prediction: of /log only what the document forbids is tried.
CASES = [(path, mode) for path in POSTED for mode in ("positive", "negative") if (path, mode) != ("/log", "positive")]
CASES += [(path, "positive") for path in READ]


@pytest.mark.parametrize(("path", "mode"), CASES)
def test_the_service_does_what_its_document_says(api: Any, path: str, mode: str) -> None:
    operation = api[path]["POST" if path in POSTED else "GET"]

    @hypothesis.settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(hypothesis.HealthCheck))
    @hypothesis.given(case=operation.as_strategy(schemathesis.GenerationMode(mode)))
    def told(case: Any) -> None:
        case.call_and_validate()

    told()
