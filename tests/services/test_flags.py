"""Flags of the services: a malformed address is one line and exit code 2, and --help shows the defaults that there are."""

from __future__ import annotations

import argparse
import importlib

import pytest

from driftloop.cli import flag_types
from driftloop.errors import SettingsError
from monitoring.__main__ import COMMANDS
from monitoring.log.mongo import Database
from monitoring.spool.shipper import main as ship

PROGRAMS = ("prediction_service.__main__", *(COMMANDS[name][0] for name in ("monitor", "hook", "replay", "shipper", "labels", "fill")))
SCRIPTS = ("base_model", "deploy_model", "retrain_model", "lifecycle", "backtest", "rollback_model")
URLS = [
    ("prediction_service.__main__", "--torchserve_url"),
    ("prediction_service.__main__", "--monitor_url"),
    ("monitoring.retrain.webhook", "--torchserve_url"),
    ("monitoring.retrain.webhook", "--monitor_url"),
    ("monitoring.local.replay", "--url"),
    ("monitoring.spool.shipper", "--monitor_url"),
]
URIS = [("monitoring.online.api", "--mongodb_uri"), ("monitoring.spool.shipper", "--mongodb_uri"), ("monitoring.local.fill", "--mongodb_uri")]
MALFORMED = [
    "foo",
    "127.0.0.1:8080",
    "ftp://a:1",
    "http://",
    "http://a:b",
    "http://a:99999",
    "http://[::1",
    "http://a:80/path",
    "http://a:80?x=1",
    "http://a b:80",
]


def refused(module: str, flag: str, value: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert importlib.import_module(module).main([flag, value]) == SettingsError.exit_code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert flag in err
    return err


@pytest.mark.parametrize(("module", "flag"), URLS)
@pytest.mark.parametrize("value", MALFORMED)
def test_a_malformed_address_is_one_line_that_names_the_form(module: str, flag: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "expected http://127.0.0.1:80" in refused(module, flag, value, capsys)


@pytest.mark.parametrize("value", ["http://127.0.0.1", "https://127.0.0.1:8080", ""])
def test_torchserve_needs_http_and_a_port(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    refused("monitoring.retrain.webhook", "--torchserve_url", value, capsys)


@pytest.mark.parametrize(("module", "flag"), URIS)
def test_a_malformed_address_of_a_database_is_one_line_and_not_shown(module: str, flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    for value in ("foo", "http://user:secret@a:27017", "mongodb://"):
        err = refused(module, flag, value, capsys)
        assert "mongodb://127.0.0.1:27017/driftloop" in err
        assert "secret" not in err


def test_an_address_of_a_database_in_the_environment_is_looked_at_too(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("MONGODB_URI", "foo")
    assert ship(["--spool", str(tmp_path / "spool")]) == SettingsError.exit_code
    assert "expected mongodb://127.0.0.1:27017/driftloop" in capsys.readouterr().err
    with pytest.raises(SettingsError):
        Database("foo")


@pytest.mark.parametrize("value", ["http://127.0.0.1:8000", "http://monitor:8010", "https://models.example.org", "http://[::1]:8000"])
def test_a_sound_address_is_taken_without_its_last_slash(value: str) -> None:
    assert flag_types.service_address(value) == flag_types.service_address(f"{value}/") == value
    assert flag_types.address("") == ""
    assert flag_types.mongodb_uri("mongodb://u:p@a:1,b:2/x?y=z") == "mongodb://u:p@a:1,b:2/x?y=z"


@pytest.mark.parametrize("module", [*PROGRAMS, *SCRIPTS])
def test_help_shows_a_default_where_there_is_one_and_nowhere_else(module: str) -> None:
    made: argparse.ArgumentParser = importlib.import_module(module).build_parser()
    formatter = made._get_formatter()
    for action in made._actions:
        shown = "(default: " in (formatter._expand_help(action) if action.help else "")
        has_one = not action.required and action.default not in (None, "", argparse.SUPPRESS)
        assert shown == has_one, action.option_strings
    assert "(default: )" not in made.format_help()
    assert "(default: None)" not in made.format_help()


def test_help_does_not_show_the_password_of_a_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGODB_URI", "mongodb://user:secret@a:27017")
    for module in PROGRAMS:
        assert "secret" not in importlib.import_module(module).build_parser().format_help()
