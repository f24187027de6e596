"""An archive is whole, holds what it says, and appears in one step or not at all."""

from __future__ import annotations

import io
import json
import sys
import zipfile

import numpy as np
import pytest
import torch
from serving_fixtures import HANDLER, elec_model

from driftloop.errors import ArchiveError
from driftloop.serving.archive import build_mar, check_mar
from driftloop.system import processes


def test_an_archive_holds_the_weights_the_card_the_sources_and_the_limits(tmp_path):
    small = elec_model(history=4)
    mar = small.archive(tmp_path, "3", name="elec", workers=2, response_timeout_s=7)
    assert mar == tmp_path / "elec-3.mar" and list(tmp_path.iterdir()) == [mar]
    with zipfile.ZipFile(mar) as archive:
        weights = torch.load(io.BytesIO(archive.read("weights.pt")), weights_only=True)
        config = archive.read("model-config.yaml").decode()
        assert archive.read("elec_model.py") == small.file.read_bytes() and archive.read("handler.py") == HANDLER.read_bytes()
    assert {"minWorkers: 2", "maxWorkers: 2", "responseTimeout: 7"} <= set(config.splitlines())
    assert all(torch.equal(weights[key], value) for key, value in small.model.state_dict().items())
    assert check_mar(mar, name="elec", version="3") == small.card("3")


def test_building_again_replaces_the_archive(tmp_path):
    first = elec_model(seed=1).archive(tmp_path, "1").read_bytes()
    assert elec_model(seed=2).archive(tmp_path, "1").read_bytes() != first
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(tmp_path, value):
    small = elec_model()
    small.model.mean[1] = value
    with pytest.raises(ArchiveError, match="weight mean is not finite"):
        small.archive(tmp_path, "1")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "a/b"}, "model name is 'a/b'"),
        ({"version": "-1"}, "version is '-1'"),
        ({"version": "2"}, "version 1, not elec_model.py version 2"),
        ({"card": {"class": "ElecModel"}}, "the card has the keys"),
        ({"state_dict": {}}, "state_dict is empty"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(tmp_path, changes, message):
    small = elec_model()
    parts = {"name": "elec", "version": "1", "card": small.card("1"), "state_dict": small.model.state_dict(), "model_file": small.file}
    with pytest.raises(ArchiveError, match=message):
        build_mar(handler_file=HANDLER, store=tmp_path, **{**parts, **changes})


def test_a_card_that_is_no_json_is_refused(tmp_path):
    small = elec_model()
    with pytest.raises(ArchiveError, match="cannot be written as JSON"):
        small.archive(tmp_path, "1", card={**small.card("1"), "labels": [np.nan]})


def test_a_missing_source_is_named(tmp_path):
    with pytest.raises(ArchiveError, match=r"nowhere\.py is not a file"):
        elec_model().archive(tmp_path, "1", handler_file=tmp_path / "nowhere.py")


def test_a_store_that_is_a_file_is_an_archive_error(tmp_path):
    (tmp_path / "store").write_text("")
    with pytest.raises(ArchiveError, match="could not be archived"):
        elec_model().archive(tmp_path / "store", "1")


@pytest.mark.parametrize(("code", "message"), [("import sys; sys.exit('no room')", "no room"), ("import time; time.sleep(60)", "did not finish within")])
def test_a_failing_archiver_leaves_the_old_archive_alone(tmp_path, monkeypatch, code, message):
    old = elec_model().archive(tmp_path, "1").read_bytes()
    run = processes.run
    monkeypatch.setattr("driftloop.serving.archive.ARCHIVER_TIMEOUT_S", 1.0)
    monkeypatch.setattr(processes, "run", lambda command, **options: run([sys.executable, "-c", code], **options))
    with pytest.raises(ArchiveError, match=message):
        elec_model(seed=5).archive(tmp_path, "1")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [old]


def test_a_damaged_archive_is_found(tmp_path):
    mar = elec_model().archive(tmp_path, "1", name="elec")
    sound = mar.read_bytes()
    for damaged in (b"", b"no zip", sound[: len(sound) // 2], sound.replace(b"PK\x03\x04", b"PK\x03\x05", 1)):
        mar.write_bytes(damaged)
        with pytest.raises(ArchiveError):
            check_mar(mar, name="elec", version="1")


@pytest.mark.parametrize("lost", ["weights.pt", "model.json", "elec_model.py", "handler.py", "model-config.yaml", "MAR-INF/MANIFEST.json"])
def test_an_archive_without_one_of_its_parts_is_found(tmp_path, lost):
    mar = elec_model().archive(tmp_path, "1", name="elec")
    with zipfile.ZipFile(mar) as whole, zipfile.ZipFile(tmp_path / "less.mar", "w") as less:
        for item in whole.namelist():
            if item != lost:
                less.writestr(item, whole.read(item))
    with pytest.raises(ArchiveError, match=r"lacks|not a valid model archive"):
        check_mar(tmp_path / "less.mar", name="elec", version="1")


def test_another_models_archive_is_found(tmp_path):
    mar = elec_model().archive(tmp_path, "1", name="elec")
    with pytest.raises(ArchiveError, match="contains elec 1"):
        check_mar(mar, name="elec", version="2")


def test_a_card_of_another_shape_is_found(tmp_path):
    mar = tmp_path / "elec-1.mar"
    with zipfile.ZipFile(mar, "w") as archive:
        archive.writestr("MAR-INF/MANIFEST.json", json.dumps({"model": {"handler": "handler.py"}}))
        archive.writestr("model.json", "[]")
    with pytest.raises(ArchiveError, match="not a valid model archive"):
        check_mar(mar, name="elec", version="1")
