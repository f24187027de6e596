"""A CSV file of labels goes into the spool whole, or its wrong line is named and none does."""

from __future__ import annotations

import json

import pytest

from driftloop.errors import DataError, SettingsError
from monitoring.spool import label_file, shipper
from monitoring.spool.cursors import Reader


def run(tmp_path, text: str, *more: str, stream: str = "elec") -> int:
    (tmp_path / "labels.csv").write_bytes(text.encode())
    (tmp_path / "spool").mkdir(exist_ok=True)
    return label_file.main(["--stream", stream, "--file", str(tmp_path / "labels.csv"), "--spool", str(tmp_path / "spool"), *more])


def spooled(tmp_path) -> list[dict]:
    return Reader(tmp_path / "spool", "mongodb").read().records


def test_labels_are_in_the_spool_as_those_of_the_service_are(tmp_path, capsys):
    assert run(tmp_path, "id,label\r\na1,1\r\na2,0\r\n", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"stream": "elec", "labels": 2}
    found = spooled(tmp_path)
    assert [(one["kind"], one["stream"], one["id"], one["label"]) for one in found] == [("label", "elec", "a1", 1), ("label", "elec", "a2", 0)]


def test_numbers_of_a_regression_and_times_of_labels_are_taken_and_other_columns_left(tmp_path):
    assert run(tmp_path, "\ufefflabel,note,id,labelled_at\n12.5,x,a,2020-04-01T09:30:00+02:00\n7,y,b,\n", stream="taxi") == 0
    first, second = spooled(tmp_path)
    assert (first["label"], first["labelled_at"], second["label"]) == (12.5, "2020-04-01T07:30:00.000Z", 7)
    assert second["labelled_at"] > first["labelled_at"]


def test_a_file_longer_than_what_is_held_at_once_is_taken_whole(tmp_path, capsys):
    assert run(tmp_path, "id,label\n" + "".join(f"a{number},1\n" for number in range(2500))) == 0
    assert "2,500 labels" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "no column id and label"),
        ("id,x\na,1\n", "no column label"),
        ("id,label\na,1\nb,2\n", "line 3: the label must be one of 0, 1, not '2'"),
        ("id,label\na,1\nb\n", "line 3: the label must be one of"),
        ("id,label\na,1\n$where b,1\n", "line 3: record '$where b': id must be"),
        ("id,label,labelled_at\na,1,yesterday\n", "line 2: record 'a': labelled_at must be"),
        ('id,label\n"a,1\n', "cannot be read as CSV"),
    ],
)
def test_a_wrong_line_is_named_and_nothing_is_taken(tmp_path, capsys, text, complaint):
    assert run(tmp_path, text) == DataError.exit_code
    assert complaint in capsys.readouterr().err
    assert not list((tmp_path / "spool").iterdir())


@pytest.mark.parametrize("value", ["nan", "inf", "1e999", "x", ""])
def test_a_number_that_is_none_is_refused(tmp_path, capsys, value):
    assert run(tmp_path, f"id,label\na,{value}\n", stream="taxi") == DataError.exit_code
    assert "line 2" in capsys.readouterr().err


def test_a_stream_that_is_none_is_refused(tmp_path, capsys):
    assert run(tmp_path, "id,label\na,1\n", stream="other") == SettingsError.exit_code
    assert "available: elec, taxi" in capsys.readouterr().err


def test_bytes_that_are_no_text_are_refused(tmp_path, capsys):
    (tmp_path / "labels.csv").write_bytes(b"id,label\n\xff,1\n")
    (tmp_path / "spool").mkdir()
    assert label_file.main(["--stream", "elec", "--file", str(tmp_path / "labels.csv"), "--spool", str(tmp_path / "spool")]) == DataError.exit_code
    assert "is not UTF-8 text (line 2, byte 1 is 0xff): give its --encoding, perhaps latin-1" in capsys.readouterr().err


def test_a_spool_that_nobody_ships_is_told(tmp_path, capsys):
    assert run(tmp_path, "id,label\na,1\n") == 0
    assert capsys.readouterr().out == f"1 label of elec written to the spool {tmp_path / 'spool'}; NO shipper serves it now: start one on that folder\n"
    with shipper._alone(tmp_path / "spool"):
        assert run(tmp_path, "id,label\nb,1\n") == 0
    assert "; a shipper serves it" in capsys.readouterr().out


def test_a_folder_that_is_not_there_is_no_spool(tmp_path, capsys):
    (tmp_path / "labels.csv").write_text("id,label\na,1\n")
    assert label_file.main(["--stream", "elec", "--file", str(tmp_path / "labels.csv"), "--spool", str(tmp_path / "none")]) == SettingsError.exit_code
    assert "no such folder: give the spool" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_a_file_that_is_not_there_is_said_not_to_be(tmp_path, capsys):
    path = tmp_path / "none.csv"
    (tmp_path / "spool").mkdir()
    assert label_file.main(["--stream", "elec", "--file", str(path), "--spool", str(tmp_path / "spool")]) == DataError.exit_code
    assert capsys.readouterr().err == f"monitoring labels: error: {path}: no such file: give a CSV file as --file\n"
