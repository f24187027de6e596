"""The root pages and the API's page: they say what there is, load nothing, and let no name speak HTML or shell."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from pages import Page
from prediction_fixtures import STREAMS, StandIn, some_settings

from monitoring.features import Feature
from monitoring.online import api
from monitoring.online.monitor import Monitor
from prediction_service.app import create_app
from prediction_service.front_page import front

HOSTILE = "<script>alert(1)</script>\"'&$(id)`id`"
PAGES = (("prediction_service", "/"), ("prediction_service", "/docs"), ("monitor", "/"))


@pytest.fixture(scope="module")
def apps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Flask]]:
    model = StandIn()
    served = create_app(some_settings(model.url, spool=tmp_path_factory.mktemp("pages") / "spool"))
    yield {"prediction_service": served, "monitor": api.build_app(Monitor(STREAMS, references=None, log=None))}
    served.extensions["close"]()
    model.close()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Flask]]:
    """Streams whose names, labels and units are an attack; a streams file could not hold the names, but labels and models it can."""
    elec = replace(STREAMS["elec"], name=HOSTILE, model=HOSTILE, labels=(HOSTILE, "it's"), unit=HOSTILE, features=(Feature(HOSTILE, 0, 1),), fallback_by=())
    model = StandIn()
    settings = some_settings(model.url, spool=None)
    settings = replace(settings, streams={HOSTILE: elec}, fallbacks={HOSTILE: next(iter(settings.fallbacks.values()))})
    served = create_app(settings)
    yield {"prediction_service": served, "monitor": api.build_app(Monitor({HOSTILE: elec}, references=None, log=None))}
    served.extensions["close"]()
    model.close()


@pytest.mark.parametrize(("name", "path"), PAGES)
def test_a_page_loads_nothing_and_its_policy_allows_its_own_style_alone(apps: dict[str, Flask], name: str, path: str) -> None:
    response = apps[name].test_client().get(path)
    assert response.status_code == 200 and response.content_type == "text/html; charset=utf-8"
    page = Page(response.text)
    assert "script" not in page.tags and "link" not in page.tags and "img" not in page.tags
    assert not [one for one in page.attributes if one[1] in {"src", "style"} or one[1].startswith("on")]
    assert all(value.startswith(("/", "#")) for _, attribute, value in page.attributes if attribute == "href")
    policy = response.headers["Content-Security-Policy"]
    style = re.search(r"<style>(.*?)</style>", response.text, re.DOTALL)
    assert style and policy.startswith("default-src 'none'; ")
    assert f"style-src 'sha256-{base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()}'" in policy
    assert len(response.data) < 60_000


@pytest.mark.parametrize(("name", "path"), PAGES)
def test_no_name_speaks_html(hostile: dict[str, Flask], name: str, path: str) -> None:
    response = hostile[name].test_client().get(path)
    page = Page(response.text)
    assert response.status_code == 200 and "script" not in page.tags and "alert(1)" in page.text


def test_a_command_with_hostile_names_is_still_one_command(hostile: dict[str, Flask]) -> None:
    commands = re.findall(r"^curl .*\\\n.*$", Page(hostile["prediction_service"].test_client().get("/").text).text, re.MULTILINE)
    assert len(commands) == 3
    for command in commands:
        *_, body = shlex.split(command.replace("\\\n", ""))
        assert json.loads(body)


@pytest.mark.parametrize("name", ["prediction_service", "monitor"])
def test_a_client_that_asks_for_json_gets_json(apps: dict[str, Flask], name: str) -> None:
    client = apps[name].test_client()
    for accept, kind in (("application/json", "application/json"), ("*/*", "text/html; charset=utf-8"), ("text/html,*/*;q=0.8", "text/html; charset=utf-8")):
        response = client.get("/", headers={"Accept": accept})
        assert response.content_type == kind and response.headers["Vary"] == "Accept"
    told = client.get("/", headers={"Accept": "application/json"}).json
    assert told and set(told["streams"]) == set(STREAMS)
    rules = {(method, rule.rule) for rule in apps[name].url_map.iter_rules() for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}
    assert {(route["method"], route["path"]) for route in told["routes"]} == rules


@pytest.mark.parametrize("stream", sorted(STREAMS))
def test_the_commands_of_each_stream_work(apps: dict[str, Flask], stream: str) -> None:
    app = apps["prediction_service"]
    document = app.test_client().get("/openapi.json").json
    assert document
    text = Page(app.test_client().get("/", headers={"Host": "front.example:8000"}).text).text
    commands = [shlex.split(one.replace("\\\n", "")) for one in re.findall(r"^curl .*\\\n.*$", text, re.MULTILINE)]
    mine = [words for words in commands if json.loads(words[-1])["stream"] == stream]
    assert len(mine) == 3
    for words in mine:
        assert words[2].startswith("http://front.example:8000/")
        done = app.test_client().post(words[2].removeprefix("http://front.example:8000"), data=words[-1], headers={"Content-Type": "application/json"})
        assert done.status_code in {200, 202}, done.text


def test_a_host_header_that_is_no_host_is_not_repeated(apps: dict[str, Flask]) -> None:
    for host in ("$(id)", "a;id", "a'b", "a b"):
        response = apps["monitor"].test_client().get("/", headers={"Host": host})
        assert host not in response.text and (response.status_code == 400 or "http://127.0.0.1/streams" in response.text)


def test_the_root_page_says_why_the_fallback_answers(apps: dict[str, Flask]) -> None:
    settings = some_settings("http://127.0.0.1:1", spool=None)
    app = create_app(settings)
    try:
        for _ in range(2):
            text = Page(app.test_client().get("/").text).text
        assert "the fallback" in text and "the model did not answer" in text and "none has answered yet" in text
    finally:
        app.extensions["close"]()
    nothing: Any = SimpleNamespace(configs={}, streams={}, elsewhere={}, logged_versions={})
    assert front({"paths": {}}, nothing, url="http://a").streams == []


def test_every_schema_of_the_document_is_on_its_page_and_every_link_leads_there(apps: dict[str, Flask]) -> None:
    client = apps["prediction_service"].test_client()
    document, page = client.get("/openapi.json").json, Page(client.get("/docs").text)
    assert document
    anchors = {value for _, attribute, value in page.attributes if attribute == "id"}
    links = {value[1:] for _, attribute, value in page.attributes if attribute == "href" and value.startswith("#")}
    assert set(document["components"]["schemas"]) <= anchors and links <= anchors
    for path in document["paths"]:
        assert path in page.text
