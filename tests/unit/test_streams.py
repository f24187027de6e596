"""Streams: what loads, what is refused, and that no row is lost in silence."""

import gzip
import os
import time
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from driftloop.data import elec as bundled
from driftloop.data import streams
from driftloop.errors import DataError, SettingsError
from driftloop.settings import ROOT

OFFICIAL = Path(os.environ.get("ELEC_ARFF", ROOT.parent / "shared" / "data" / "elecNormNew.arff.gz"))
needs_official = pytest.mark.skipif(not OFFICIAL.is_file(), reason=f"the official ARFF is not at {OFFICIAL}; set ELEC_ARFF")

ARFF_HEAD = "@relation t\n% a comment\n@attribute 'the time' date \"yyyy-MM-dd HH:mm:ss\"\n@attribute x numeric\n@attribute class {UP,DOWN}\n@data\n"
OWN = {"time_column": "time"}


def own_table(rows: int = 8) -> pd.DataFrame:
    times = pd.date_range("2024-05-31", periods=rows, freq="6h").strftime("%Y-%m-%d %H:%M")
    return pd.DataFrame({"time": times, "x": np.arange(rows) / 4, "note": "n", "target": np.arange(rows) % 2})


def write_csv(folder: Path, text: str) -> Path:
    path = folder / "own.csv"
    path.write_text(text)
    return path


def own_csv(folder: Path, *rows: str, header: str = "time,x,y,target") -> Path:
    """A table of four good rows on lines 2 to 5, and the given ones after them."""
    good = [f"2024-01-01 0{i}:00,{i},{i / 2},{i % 2}" for i in range(4)]
    return write_csv(folder, "\n".join([header, *good, *rows]) + "\n")


def refusal(path: Path | str, **options: object) -> str:
    """The message a load is refused with: one line that names the file."""
    with pytest.raises(DataError) as caught:
        streams.load(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(path))
    return message


# ELEC


@pytest.fixture(scope="module")
def elec() -> streams.Stream:
    return streams.load()


def test_bundled_elec_is_944_days_of_48_half_hours(elec: streams.Stream) -> None:
    assert elec.rows.shape == (944 * 48, 6)
    assert elec.rows.dtype == np.float64
    assert elec.rows.flags.c_contiguous
    assert elec.labels.dtype == np.int64
    assert (elec.name, elec.period, elec.label_names, len(elec)) == ("ELEC", 48, (0, 1), 45312)
    assert elec.features == bundled.FEATURES
    assert elec.times.dtype == np.dtype("datetime64[ns]")
    assert str(elec.times[-1])[:16] == "1998-12-06T23:30"
    assert elec.sha256 == bundled.SHA256


def test_elec_loads_in_under_a_second() -> None:
    began = time.process_time()
    streams.load()
    assert time.process_time() - began < 1


def test_elec_is_57_and_a_half_percent_down(elec: streams.Stream) -> None:
    assert np.mean(elec.labels == 0) == pytest.approx(0.575, abs=5e-4)


def test_the_elec_label_is_the_price_against_the_mean_of_the_48_rows_before(elec: streams.Stream) -> None:
    price = streams.load(features=["nswprice"]).rows[:, 0].astype(np.float64)
    mean_before = np.convolve(price, np.ones(48) / 48, "valid")[:-1]
    np.testing.assert_array_equal(elec.labels[48:], price[48:] > mean_before)


def test_day_is_an_extra_feature_that_starts_on_a_tuesday() -> None:
    stream = streams.load(features=["day", "period"])
    weekday = (stream.times.astype("datetime64[D]").astype(int) + 3) % 7 + 1  # 1970-01-01 was a Thursday
    assert stream.features == ("day", "period")
    assert stream.rows[0].tolist() == [2.0, 0.0]
    np.testing.assert_array_equal(stream.rows[:, 0], weekday)


@needs_official
@pytest.mark.parametrize("form", ["arff.gz", "arff", "arff.zip"])
def test_the_official_arff_loads_to_the_bundled_stream(elec: streams.Stream, tmp_path: Path, form: str) -> None:
    text = gzip.decompress(OFFICIAL.read_bytes()) if OFFICIAL.suffix == ".gz" else OFFICIAL.read_bytes()
    path = tmp_path / f"elecNormNew.{form}"
    if form == "arff.zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("elecNormNew.arff", text)
    else:
        path.write_bytes(gzip.compress(text, 1) if form == "arff.gz" else text)
    official = streams.load(path)
    for part in ("rows", "labels", "times"):
        np.testing.assert_array_equal(getattr(official, part), getattr(elec, part))
    for part in ("name", "label_names", "features", "period", "set_aside"):
        assert getattr(official, part) == getattr(elec, part)


@needs_official
def test_the_official_day_equals_the_rebuilt_one() -> None:
    np.testing.assert_array_equal(streams.load(OFFICIAL, features=["day"]).rows, streams.load(features=["day"]).rows)


def test_shuffled_elec_without_times_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "shuffled.csv"
    pd.read_csv(bundled.BUNDLED, nrows=500).sample(frac=1, random_state=0).to_csv(path, index=False)
    assert "not its rows in time order" in refusal(path)


def test_a_changed_bundled_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = tmp_path / "elec.csv.gz"
    changed.write_bytes(gzip.compress(b"feat_1,target\n0,1\n"))
    monkeypatch.setattr(bundled, "BUNDLED", changed)
    with pytest.raises(DataError, match="sha256"):
        streams.load()


def test_times_of_elec_stay_those_of_the_file_when_a_row_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "elec.csv"
    frame = pd.read_csv(bundled.BUNDLED, nrows=100).astype({"target": object})
    frame.loc[3, "feat_2"] = np.nan
    frame.loc[5, "target"] = "sideways"
    frame.to_csv(path, index=False)
    stream = streams.load(path, bad_rows="set_aside")
    assert stream.set_aside == ((5, "nswprice is missing"), (7, "the label is missing or none of DOWN, UP"))
    assert [str(moment)[11:16] for moment in stream.times[2:5]] == ["01:00", "02:00", "03:00"]
    assert (stream.label_names, stream.period) == ((0, 1), 48)


# A person's own table


@pytest.mark.parametrize("form", ["csv", "csv.gz", "csv.zip", "parquet"])
def test_own_table_loads_the_same_in_every_format(tmp_path: Path, form: str) -> None:
    frame, path = own_table(), tmp_path / f"own.{form}"
    if form == "parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False)
    stream = streams.load(path, **OWN)
    assert (stream.name, stream.features, stream.label_names, stream.period) == ("own", ("x",), (0, 1), 4)
    np.testing.assert_array_equal(stream.rows, frame[["x"]].to_numpy(np.float32))
    np.testing.assert_array_equal(stream.labels, frame["target"])
    np.testing.assert_array_equal(stream.times, pd.to_datetime(frame["time"]).to_numpy())


def test_general_arff_with_quotes_comments_and_dates(tmp_path: Path) -> None:
    path = tmp_path / "own.arff"
    path.write_text(f"{ARFF_HEAD}'2024-01-01 00:00:00', 1.5, UP\n% note, of two fields\n\n'2024-01-01 12:00:00', ?, DOWN\n'2024-01-02 00:00:00', 2, DOWN\n")
    stream = streams.load(path, time_column="the time", bad_rows="set_aside")
    assert (stream.label_names, stream.features, stream.labels.tolist()) == (("DOWN", "UP"), ("x",), [1, 0])
    assert stream.set_aside == ((10, "x is missing"),)


def test_a_value_the_arff_does_not_declare_is_a_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "own.arff"
    path.write_text(f"{ARFF_HEAD}'2024-01-01 00:00:00',1,UP\n'2024-01-01 00:00:00',1,U\n")
    assert "line 8: class is 'U'" in refusal(path, time_column="the time")


def test_text_labels_become_classes_in_alphabetical_order(tmp_path: Path) -> None:
    path = write_csv(tmp_path, "time,x,verdict\n2024-01-01,1,no\n2024-01-02,2,yes \n2024-01-03,3,no\n")
    stream = streams.load(path, target="verdict", **OWN)
    assert (stream.label_names, stream.labels.tolist(), stream.period) == (("no", "yes"), [0, 1, 0], 1)


def test_labels_are_whole_numbers_only_where_floats_can_tell_them_apart(tmp_path: Path) -> None:
    text = "time,x,target\n2024-01-01,1,{}\n2024-01-02,2,{}\n2024-01-03,3,{}\n"
    assert streams.load(write_csv(tmp_path, text.format("1.0", "-1", "1")), **OWN).label_names == (-1, 1)
    assert streams.load(write_csv(tmp_path, text.format("0.5", "1", "1")), **OWN).label_names == (0.5, 1.0)
    large = (str(2**60), str(2**60 + 1))
    assert streams.load(write_csv(tmp_path, text.format(*large, large[0])), **OWN).label_names == large
    infinite = streams.load(write_csv(tmp_path, text.format("inf", "0", "1")), bad_rows="set_aside", **OWN)
    assert (infinite.label_names, infinite.set_aside) == ((0, 1), ((2, "the label is 'inf', not finite"),))


def test_features_keep_the_order_asked_for(tmp_path: Path) -> None:
    assert streams.load(own_csv(tmp_path), features=["y", "x"], **OWN).rows[1].tolist() == [0.5, 1.0]


def test_semicolons_and_day_first_dates_are_understood(tmp_path: Path) -> None:
    path = write_csv(tmp_path, "time;x;target\n01/12/2024;1;0\n13/12/2024;2;1\n")
    assert [str(moment)[:10] for moment in streams.load(path, **OWN).times] == ["2024-12-01", "2024-12-13"]


def test_times_with_zones_become_utc(tmp_path: Path) -> None:
    path = write_csv(tmp_path, "time,x,target\n2024-10-27T02:30:00+02:00,1,0\n2024-10-27T02:00:00+01:00,2,1\n")
    assert [str(moment)[11:16] for moment in streams.load(path, **OWN).times] == ["00:30", "01:00"]


def test_a_saved_parquet_index_can_be_the_time(tmp_path: Path) -> None:
    frame = own_table().assign(time=lambda table: pd.to_datetime(table["time"])).set_index("time")
    frame.to_parquet(tmp_path / "own.parquet")
    assert streams.load(tmp_path / "own.parquet", **OWN).features == ("x",)


def test_a_column_without_a_name_is_no_feature(tmp_path: Path) -> None:
    own_table().to_csv(tmp_path / "own.csv")
    assert streams.load(tmp_path / "own.csv", **OWN).features == ("x",)


@pytest.mark.parametrize(("step", "period"), [("1h", 24), ("1D", 1), ("7D", None), ("7h", None)])
def test_period_is_the_rows_of_a_regular_day(tmp_path: Path, step: str, period: int | None) -> None:
    own_table(20).assign(time=pd.date_range("2024-01-01", periods=20, freq=step)).to_csv(tmp_path / "own.csv", index=False)
    assert streams.load(tmp_path / "own.csv", **OWN).period == period


def test_irregular_or_equal_times_have_no_period(tmp_path: Path) -> None:
    irregular = write_csv(tmp_path, "time,x,target\n" + "".join(f"2024-01-01 0{h}:{h * h}0,1,{h % 2}\n" for h in range(3)))
    assert streams.load(irregular, **OWN).period is None
    same = write_csv(tmp_path, "time,x,target\n2024-01-01,1,0\n2024-01-01,1,1\n2024-01-01,1,1\n")
    assert streams.load(same, **OWN).period is None


# Bad rows

BAD = {
    "2024-01-01 05:00,,1,1": "x is missing",
    "2024-01-01 05:00,nan,1,1": "x is missing",
    "2024-01-01 05:00,1,-inf,1": "y is -inf, not finite",
    "2024-01-01 05:00,1e+309,1,1": "x is 1e+309, not finite",
    "2024-01-01 05:00,1,abc,1": "y is 'abc', not a number",
    "2024-01-01 05:00,1,1,": "the label is missing",
    "soon,1,1,1": "time is 'soon', not a time",
    ",1,1,1": "time is missing",
    "2024-01-01 05:00,1,1": "3 fields, not 4",
    "2024-01-01 05:00,1,1,1,1": "5 fields, not 4",
}


@pytest.mark.parametrize(("row", "reason"), BAD.items())
def test_a_bad_row_is_refused_by_line_and_reason(tmp_path: Path, row: str, reason: str) -> None:
    message = refusal(own_csv(tmp_path, "", "2024-01-01 04:00,4,2,0", row, "2024-01-01 06:00,6,3,0"), **OWN)
    assert f"1 bad row (line 8: {reason}): " in message
    assert "--bad_rows set_aside" in message


def test_bad_rows_set_aside_are_all_named_and_the_others_kept(tmp_path: Path) -> None:
    path = own_csv(tmp_path, *BAD, "2024-01-01 06:00,6,3,0")
    stream = streams.load(path, bad_rows="set_aside", **OWN)
    assert stream.set_aside == tuple(enumerate(BAD.values(), start=6))
    assert stream.rows.tolist() == [[0, 0], [1, 0.5], [2, 1], [3, 1.5], [6, 3]]
    assert stream.labels.tolist() == [0, 1, 0, 1, 0]
    assert f"{len(BAD)} bad rows (line 6:" in refusal(path, **OWN)


def test_lines_are_right_after_a_quoted_field_that_spans_lines(tmp_path: Path) -> None:
    path = write_csv(tmp_path, '\ntime,x,note,target\n2024-01-01,1,"two\nlines",0\n2024-01-02,2,b,1\n2024-01-03,,c,1\n')
    assert streams.load(path, bad_rows="set_aside", **OWN).set_aside == ((6, "x is missing"),)


def test_bad_parquet_rows_are_named_by_row(tmp_path: Path) -> None:
    frame = own_table()
    frame.loc[2, "x"] = np.inf
    frame.to_parquet(tmp_path / "own.parquet")
    assert "row 3: x is inf" in refusal(tmp_path / "own.parquet", **OWN)


def test_a_truncated_arff_names_its_last_line(tmp_path: Path) -> None:
    path = tmp_path / "own.arff"
    path.write_text(f"{ARFF_HEAD}'2024-01-01 00:00:00',1,UP\n'2024-01-01 00:00:00',1")
    assert "line 8: 2 fields, not 3" in refusal(path, time_column="the time")


def test_unknown_treatment_of_bad_rows_is_refused() -> None:
    with pytest.raises(SettingsError, match="set_aside"):
        streams.load(bad_rows="drop")


# Refused as a whole


def test_rows_out_of_time_order_are_refused_by_line(tmp_path: Path) -> None:
    assert "time steps back at line 6" in refusal(own_csv(tmp_path, "2023-12-31 00:00,1,1,1"), **OWN)


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("", OWN, "the file is empty"),
        (" \n\n", OWN, "the file is empty"),
        ("time,x,target\n", OWN, "no rows"),
        ("time,x,target\n2024-01-01,1,1\n2024-01-02,2,1\n", OWN, "is 1 in every row"),
        ("time,x,target\n2024-01-01,,1\n2024-01-02,,0\n", OWN, "no numeric feature"),
        ("time,x,target\n2024-01-01,1,\n", {**OWN, "bad_rows": "set_aside"}, "no usable row"),
        ("time,x,x,target\n2024-01-01,1,1,1\n", OWN, "column 'x' occurs twice"),
        ("x,z,target\n1,1,1\n", {}, "--time_column"),
        ("time,x,target\n1,1,1\n2,2,0\n", OWN, "holds no dates"),
        ("time,x,target\nsoon,1,1\nlater,2,0\n", OWN, "holds no dates"),
        ("time,x,target\n2024-01-01,1,1\n", {"time_column": "tine"}, "did you mean 'time'?"),
        ("time,x,label\n2024-01-01,1,1\n", OWN, "Give --target; the columns are time, x, label"),
        ("time,x,label\n2024-01-01,1,1\n", {**OWN, "target": "labels"}, "did you mean 'label'?"),
        ("time,class,target\n2024-01-01,1,1\n", OWN, "which column holds the label"),
        ("time,note,target\n2024-01-01,hello,1\n", {**OWN, "features": ["note"]}, "'note' is not numeric (text: 'hello')"),
        ("time,x,target\n2024-01-01,1,1\n", {**OWN, "features": ["z"]}, "--features 'z' is not a column; the columns are"),
        ("time,x,target\n2024-01-01,1,1\n", {**OWN, "features": ["x", "x"]}, "given twice"),
        ("time,x,target\n2024-01-01,1,1\n", {**OWN, "features": ["x", "target"]}, "among the features"),
        ("time,x,target\n" + "".join(f"2024-01-01,1,{i / 7}\n" for i in range(51)), OWN, "looks like regression"),
        ('time,x,target\n2024-01-01,1,1\n2024-01-01,"1,1\n', OWN, "unclosed quote"),
        ("x\n1\n", OWN, "1 column"),
        ("time,x,target\n2024-01-01,1,1,\n2024-01-02,2,0,\n", OWN, "(the first has 4 fields, not 3)"),
        ("time,x,target\n2024-01-01,1,1\n", {**OWN, "target": "time"}, "give two columns"),
    ],
)
def test_an_unusable_table_is_refused_in_one_line(tmp_path: Path, text: str, options: dict, words: str) -> None:
    assert words in refusal(write_csv(tmp_path, text), **options)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "none.csv", **OWN)
    assert "folder" in refusal(tmp_path, **OWN)


@pytest.mark.parametrize("form", ["csv.gz", "csv.zip", "parquet"])
def test_a_file_cut_short_is_refused(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"own.{form}"
    if form == "parquet":
        own_table(500).to_parquet(path)
    else:
        own_table(500).to_csv(path, index=False)
    path.write_bytes(path.read_bytes()[:-40])
    assert "cut short" in refusal(path, **OWN)


@pytest.mark.parametrize("form", ["arff", "csv.gz", "csv.zip", "parquet"])
def test_a_file_that_is_not_what_its_name_says_is_refused(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"own.{form}"
    path.write_text("<html>not found</html>\n")
    assert "cut short" in refusal(path, **OWN)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_bytes(b"\xff\xfe\x00\x01")
    assert "not UTF-8" in refusal(path, **OWN)


def test_a_zip_of_two_files_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.csv", "a,b\n")
        archive.writestr("b.csv", "a,b\n")
    assert "holds 2 files" in refusal(tmp_path / "two.zip", **OWN)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("@relation t\n@attribute x numeric\n@attribute x numeric\n@data\n1,1\n", "header"),
        ("@relation t\n@attribute x string\n@attribute y numeric\n@data\na,1\n", "header"),
        ("@relation t\n@attribute x numeric\n@attribute class {a,b}\n@data\n{0 1, 1 a}\n", "sparse"),
        ("@relation t\n@attribute x numeric\n@attribute class {a,b}\n@data\n", "no rows"),
    ],
)
def test_an_arff_that_cannot_be_used_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "own.arff"
    path.write_text(text)
    assert words in refusal(path, **OWN)
