"""The log holds each record once, joins labels whenever they come, and is read in the order of time."""

from __future__ import annotations

import fcntl
import os
import signal
from datetime import UTC, datetime, timedelta

import pytest
from mongo_fixtures import START, Mongo, label, needs_mongodb, prediction, rejected, wait_for

from driftloop.errors import LogError, SettingsError
from monitoring.log import embedded_mongo, prediction_log
from monitoring.log.mongo import Database, LogAwayError, LogSlowError
from monitoring.log.prediction_log import PENDING, PREDICTIONS, REJECTED, PredictionLog, open_log

pytestmark = needs_mongodb


def test_a_record_comes_back_as_it_was_and_is_there_once_however_often_it_is_added(log):
    added = log.add([prediction(1), rejected(1)])
    assert (added.new, added.already, added.refused) == (2, 0, [])
    assert log.add([rejected(1), prediction(1), prediction(2)]).already == 2
    rows = list(log.read("elec"))
    assert [{"kind": "prediction", **row} for row in rows] == [prediction(1).as_json(), prediction(2).as_json()]
    assert [row["id"] for row in log.read("elec", collection=REJECTED)] == ["r1"]


def test_a_label_is_joined_into_its_prediction(log):
    log.add([prediction(1), prediction(2)])
    added = log.add([label(1, 0)])
    assert (added.joined, added.pending, added.replaced) == (1, 0, 0)
    first, second = log.read("elec")
    assert (first["label"], first["labelled_at"]) == (0, label(1).labelled_at) and "label" not in second


def test_a_label_that_comes_before_its_prediction_waits_also_for_another_log(log, mongo):
    assert log.add([label(1, 0), label(2, 1)]).pending == 2
    assert log.add([label(2, 0, minutes=-1)]).pending == 1  # an earlier one does not take its place
    assert log.add([prediction(1)]).joined == 1
    assert log.get("elec", "p1")["label"] == 0
    assert log.add([prediction(2), prediction(3)]).joined == 1
    assert log.get("elec", "p2")["label"] == 1
    assert log.database.find(PENDING, {}) == []


def test_a_label_in_the_batch_of_its_prediction_is_joined_wherever_it_stands(log):
    assert log.add([label(1, 0), prediction(1), label(2, 0), prediction(2)]).joined == 2
    assert [row["label"] for row in log.read("elec")] == [0, 0]


def test_the_same_label_again_changes_nothing_and_a_later_one_that_differs_replaces_and_is_counted(log):
    log.add([prediction(1), label(1, 1)])
    assert log.add([label(1, 1)]).replaced == 0
    assert log.add([label(1, 1, minutes=1)]).replaced == 0
    assert log.add([label(1, 0, minutes=2)]).replaced == 1
    assert log.get("elec", "p1")["label"] == 0
    assert log.add([label(1, 1, minutes=1)]).replaced == 0  # delivered once more after a crash: the newer one stays
    assert log.get("elec", "p1")["label"] == 0
    assert log.add([label(1, 1, minutes=3), label(1, 0, minutes=4), label(1, 1, minutes=5)]).replaced == 3
    assert log.get("elec", "p1")["label"] == 1


def test_the_order_in_which_labels_and_predictions_arrive_does_not_matter(log):
    orders = ([0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0])
    for number, order in enumerate(orders):
        records = [prediction(number), label(number, 0), label(number, 1, minutes=1)]
        for place in order:
            log.add([records[place]])
    assert [row["label"] for row in log.read("elec")] == [1] * len(orders)


def test_one_id_in_two_streams_is_two_predictions(log):
    log.add([prediction(1), prediction(1, stream="taxi"), label(1, 0, stream="taxi")])
    assert "label" not in log.get("elec", "p1") and log.get("taxi", "p1")["label"] == 0
    assert log.streams() == ["elec", "taxi"] and log.get("elec", "p2") is None


def test_rows_are_read_in_the_order_of_time_whatever_the_order_of_writing_and_the_gaps(log, monkeypatch):
    monkeypatch.setattr(prediction_log, "PAGE_ROWS", 5)
    minutes = [*range(40), *[60.0 + number / 60_000 for number in range(30)], *[10_000] * 25, 10_000_000, -30_000_000, *range(20_000, 20_400, 3)]
    records = [prediction(number, minutes=minute) for number, minute in enumerate(minutes)]
    log.add(records[::2])
    log.add(records[1::2])
    expected = [record.id for record in sorted(records, key=lambda record: (record.time, record.key))]
    assert [row["id"] for row in log.read("elec")] == expected
    for rows in (1, 7, 26, 100, len(expected), 1000):
        assert [row["id"] for row in log.newest("elec", rows)] == expected[-rows:]
    assert log.newest("elec", 0) == log.newest("none", 5) == list(log.read("none")) == []


def test_a_span_of_time_includes_its_start_and_not_its_stop(log):
    log.add([prediction(number) for number in range(10)])
    times = [prediction(number).time for number in range(10)]
    assert [row["id"] for row in log.read("elec", times[3], times[6])] == ["p3", "p4", "p5"]
    assert [row["id"] for row in log.read("elec", stop=times[2])] == ["p0", "p1"]
    assert [row["id"] for row in log.read("elec", start=times[8])] == ["p8", "p9"]
    assert list(log.read("elec", times[6], times[3])) == []


def test_what_the_server_will_never_take_is_named_and_does_not_hold_up_the_others(log):
    poison = prediction(2)
    object.__setattr__(poison, "features", {"period": 2**70})  # past what a record may hold: a spool from elsewhere
    added = log.add([prediction(1), poison, prediction(3)])
    assert added.new == 2 and [record.id for record, _ in added.refused] == ["p2"]
    assert "8-byte" in added.refused[0][1]
    assert [row["id"] for row in log.read("elec")] == ["p1", "p3"]


def test_what_was_served_long_ago_goes_whatever_the_time_of_its_row(log):
    now = datetime.now(UTC)
    log.ready(keep_days=30)
    old, new = now - timedelta(days=31), now - timedelta(days=29)
    log.add([prediction(1, served=old), prediction(2, served=new), rejected(1, served=old), rejected(2, served=new), label(7), label(2)])
    assert log.expire(keep_days=30) == 3  # a pending label of 2020 among them
    assert [row["id"] for row in log.read("elec")] == ["p2"]
    assert [row["id"] for row in log.read("elec", collection=REJECTED)] == ["r2"]


def test_there_is_an_index_by_stream_and_time(log, mongo):
    log.ready()
    for collection in (PREDICTIONS, REJECTED):
        keys = [index["key"] for index in log.database._database[collection].list_indexes()]
        assert {"stream": 1, "time": 1} in keys


def test_a_log_that_is_away_says_so_at_once_and_is_used_again_when_it_is_back(tmp_path):
    mongo = Mongo(tmp_path / "mongo")
    try:
        with open_log(mongo.uri) as log:
            log.add([prediction(1)])
            mongo.kill()
            with pytest.raises(LogAwayError, match="MongoDB does not answer") as caught:
                log.add([prediction(2)])
            assert len(str(caught.value)) < 400 and "\n" not in str(caught.value)
            mongo.start()
            assert log.add([prediction(1), prediction(2), label(1)]).new == 1
            assert [row["id"] for row in log.read("elec")] == ["p1", "p2"]
    finally:
        mongo.server.stop()


def test_a_server_that_was_killed_has_lost_nothing_that_it_acknowledged(tmp_path):
    mongo = Mongo(tmp_path / "mongo")
    try:
        with open_log(mongo.uri) as log:
            for first in range(0, 100, 10):
                log.add([prediction(number) for number in range(first, first + 10)])
            log.add([label(number) for number in range(20)])
            os.kill(mongo.server.pid, signal.SIGKILL)
            mongo.server.stop()
            mongo.start()
            rows = list(log.read("elec"))
        assert [row["id"] for row in rows] == [f"p{number}" for number in range(100)]
        assert sum("label" in row for row in rows) == 20
    finally:
        mongo.server.stop()


def test_a_server_that_hangs_is_told_from_one_that_is_gone(tmp_path):
    mongo = Mongo(tmp_path / "mongo")
    try:
        with PredictionLog(Database(mongo.uri, answer_s=0.5)) as log:
            log.add([prediction(1)])
            os.kill(mongo.server.pid, signal.SIGSTOP)
            with pytest.raises(LogSlowError, match="MongoDB does not answer"):
                log.add([prediction(2)])
            os.kill(mongo.server.pid, signal.SIGCONT)
            assert wait_for(lambda: len(list(log.read("elec"))) == 2 or log.add([prediction(2)]))
    finally:
        mongo.server.stop()


def test_a_server_makes_its_files_at_its_first_start_and_none_while_it_serves(tmp_path):
    # A kill in the moment in which it makes one leaves a database that it cannot open again.
    with embedded_mongo.Embedded(tmp_path) as server:
        made = {path.name for path in (tmp_path / "data").glob("*.wt")}
        database = Database(server.uri)
        for number in range(60):
            database.insert(f"c{number}", [{"_id": 0}])
        database.close()
        assert {path.name for path in (tmp_path / "data").glob("*.wt")} == made


def test_a_first_start_that_was_cut_off_is_begun_anew(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "WiredTiger.wt").write_bytes(b"half a file")
    (tmp_path / "first-start").touch()
    with embedded_mongo.Embedded(tmp_path):
        assert not (tmp_path / "first-start").exists()
    (tmp_path / "data" / "mine").touch()
    with embedded_mongo.Embedded(tmp_path):
        assert (tmp_path / "data" / "mine").exists()


def test_two_first_starts_in_a_folder_leave_the_files_of_the_earlier_one(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine").touch()
    with (tmp_path / "first-start").open("a") as mark:
        fcntl.flock(mark, fcntl.LOCK_EX)
        with pytest.raises(SettingsError, match="another embedded MongoDB is starting"):
            embedded_mongo.Embedded(tmp_path)
    assert (tmp_path / "data" / "mine").exists()


def test_without_a_uri_an_embedded_server_is_started_shared_and_ended_with_the_log_that_started_it(tmp_path, monkeypatch):
    monkeypatch.delenv("MONGODB_URI", raising=False)
    folder = tmp_path / "log"
    with open_log(folder=folder) as log:
        log.add([prediction(1)])
        with open_log(folder=folder) as other:
            assert [row["id"] for row in other.read("elec")] == ["p1"]
        with pytest.raises(SettingsError, match="another embedded MongoDB uses this folder"):
            embedded_mongo.Embedded(folder)
        assert embedded_mongo.running(folder)
    assert embedded_mongo.running(folder) is None


def test_mongodb_uri_names_the_server(mongo, monkeypatch, tmp_path):
    monkeypatch.setenv("MONGODB_URI", mongo.fresh_uri())
    with open_log(folder=tmp_path / "unused") as log:
        log.add([prediction(1)])
        assert len(list(log.read("elec"))) == 1
    assert not (tmp_path / "unused").exists()


@pytest.mark.parametrize("uri", ["http://x", "mongodb://", "mongodb://u:secret@h/?w=x&w", "mongodb://127.0.0.1:99999"])
def test_a_wrong_uri_is_said_without_showing_it(uri):
    with pytest.raises(SettingsError, match=r"invalid MongoDB URI \(hidden\)") as caught:
        Database(uri)
    assert "secret" not in str(caught.value)


def test_a_server_without_its_program_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(embedded_mongo, "program", lambda: None)
    monkeypatch.delenv("MONGODB_URI", raising=False)
    with pytest.raises(LogError, match="set MONGODB_URI, or install"):
        open_log(folder=tmp_path / "log")


def test_the_times_of_a_record_are_dates_in_the_database(log):
    log.add([prediction(1)])
    (document,) = log.database.find(PREDICTIONS, {})
    assert document["_id"] == "elec/p1" and document["time"] == START + timedelta(minutes=30)
