"""Files of a person's own: what they are written in, what separates their columns, and what a file is that holds no table."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import pickle
import sqlite3
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from driftloop.cli import flag_types, flags, parsing
from driftloop.data import streams
from driftloop.data.files import texts
from driftloop.errors import DataError, SettingsError

OWN = {"target": "label", "time_column": "time"}
FRAME = pd.DataFrame(
    {"time": pd.date_range("2024-01-01", periods=8, freq="h").astype(str), "load": np.arange(8) / 2, "Wärme": range(8), "label": ["hoch", "tief"] * 4}
)
CSV = FRAME.to_csv(index=False)


def load(folder: Path, content: bytes | str, name: str = "own.csv", **options: object) -> streams.Stream:
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return streams.load(folder / name, **{**OWN, **options})


def refusal(folder: Path, content: bytes | str, name: str = "own.csv", **options: object) -> str:
    """The one line a file is refused with, without its name."""
    with pytest.raises(DataError) as caught:
        load(folder, content, name, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(folder / name))
    return message.removeprefix(str(folder / name))


# Encodings


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("packed", [False, True])
def test_unicode_of_every_width_is_read_with_and_without_its_mark(tmp_path: Path, encoding: str, packed: bool) -> None:
    content = CSV.encode(encoding)
    stream = load(tmp_path, gzip.compress(content) if packed else content)
    assert (stream.features, stream.label_names, len(stream)) == (("load", "Wärme"), ("hoch", "tief"), 8)


@pytest.mark.parametrize(
    ("name", "encoding", "told"),
    [
        ("Wärme", "latin-1", "(line 1, byte 12 is 0xe4): give its --encoding, perhaps latin-1, which reads 'time,load,Wärme,label' there"),
        ("Preis €", "cp1252", "(line 1, byte 17 is 0x80): give its --encoding, perhaps cp1252, which reads ',load,Preis €,label' there"),
    ],
)
def test_text_of_another_encoding_is_refused_with_the_byte_and_the_flag_that_reads_it(tmp_path: Path, name: str, encoding: str, told: str) -> None:
    content = CSV.replace("Wärme", name).encode(encoding)
    assert refusal(tmp_path, content) == f": is not UTF-8 text {told}"
    assert load(tmp_path, content, encoding=encoding).features == ("load", name)


def test_a_byte_is_named_by_its_line(tmp_path: Path) -> None:
    assert "(line 3, byte 28 is 0xfc)" in refusal(tmp_path, CSV.replace("Wärme", "x").replace("tief", "tüf", 1).encode("latin-1"))


def test_an_encoding_that_is_not_the_files_is_refused(tmp_path: Path) -> None:
    assert "is not text in ascii (line 1, byte 12 is 0xc3): give the right --encoding" in refusal(tmp_path, CSV, encoding="ascii")
    assert "is not UTF-8 text, nor utf-16-le, which its first bytes suggest" in refusal(tmp_path, CSV.encode("utf-16")[:-1])


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16"])
def test_a_wide_encoding_of_a_narrow_file_is_refused_as_such(tmp_path: Path, encoding: str) -> None:
    narrow = CSV.replace("ä", "a")
    told = refusal(tmp_path, narrow + "\n" * (len(narrow) % 2), encoding=encoding)
    assert "has no lines when read as " + encoding in told and told.endswith("as UTF-8: give the right --encoding")


@pytest.mark.parametrize(("above", "line"), [("# made by me\n# on a Monday, at 5\n", 3), ("Report\n\n", 3), ("#a,b\n", 2), ("\nReport of 2024\n", 3)])
def test_what_stands_above_the_header_is_named_with_the_line_of_the_header(tmp_path: Path, above: str, line: int) -> None:
    assert f"is not the header, which seems to be line {line}: remove the lines above it" in refusal(tmp_path, above + CSV)


def test_a_header_may_begin_with_a_hash(tmp_path: Path) -> None:
    assert load(tmp_path, f"#{CSV}", time_column="#time").features == ("load", "Wärme")


def test_a_name_in_quotes_may_span_lines_and_rows_keep_their_lines(tmp_path: Path) -> None:
    header = CSV.replace("load", '"load\nin kW"', 1)
    assert load(tmp_path, header).features == ("load in kW", "Wärme")
    assert "line 11: 2 fields, not 4" in refusal(tmp_path, header + "2024-01-02,1\n")
    assert load(tmp_path, CSV.replace("load", 'load "x', 1)).features[0] == 'load "x'


@pytest.mark.parametrize("name", ["latin-99", "hex", "rot13"])
def test_a_name_that_is_no_encoding_is_refused(name: str) -> None:
    assert "is not an encoding" in texts.encoding_fault(name)


# Separators


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", "#", "^"])
def test_the_usual_separators_are_found_and_every_one_can_be_given(tmp_path: Path, separator: str) -> None:
    content = CSV.replace(",", separator)
    assert load(tmp_path, content, separator=separator).features == ("load", "Wärme")
    if separator in ",;\t|":
        assert load(tmp_path, content).features == ("load", "Wärme")
    else:
        assert "give the right --separator" in refusal(tmp_path, content)


def test_blanks_separate_where_they_cut_every_line_alike(tmp_path: Path) -> None:
    frame = FRAME.assign(time=FRAME["time"].str.replace(" ", "T"))
    for content in (frame.to_csv(index=False, sep=" "), frame.to_string(index=False)):
        assert load(tmp_path, content).features == ("load", "Wärme")
        assert load(tmp_path, content, separator="space").features == ("load", "Wärme")
    wide = "\n".join("   ".join(map(str, row)) for row in [FRAME.columns, *FRAME.to_numpy()])
    assert len(load(tmp_path, wide)) == 8
    assert "blanks cannot separate columns whose values contain blanks" in refusal(
        tmp_path, FRAME.to_csv(index=False, sep=" ", quoting=3, escapechar="\\").replace("\\", "")
    )


def test_a_separator_is_the_one_that_cuts_all_lines_alike_not_the_most_frequent_of_the_header(tmp_path: Path) -> None:
    header = "time;power, kW, peak;heat, total;label\n"
    rows = "".join(f"2024-01-0{day};{day};{day * 2};{day % 2}\n" for day in range(1, 5))
    assert load(tmp_path, header + rows).features == ("power, kW, peak", "heat, total")


def test_the_line_in_which_excel_names_the_separator_is_no_header(tmp_path: Path) -> None:
    stream = load(tmp_path, "sep=;\n" + CSV.replace(",", ";") + "2024-01-01 08:00:00;;1;hoch\n", bad_rows="set_aside")
    assert stream.set_aside == ((11, "load is missing"),)


@pytest.mark.parametrize(("given", "meant"), [("|", "|"), ("tab", "\t"), ("\\t", "\t"), ("SPACE", " "), ("", "")])
def test_a_separator_is_a_character_or_its_name(given: str, meant: str) -> None:
    assert texts.separator(given) == meant


@pytest.mark.parametrize("given", ["ab", "||", '"', "\n", "a", "7"])
def test_what_cannot_separate_is_refused(given: str) -> None:
    with pytest.raises(SettingsError, match="is not a separator"):
        texts.separator(given)


# Names with a comma


def test_a_feature_whose_name_holds_a_comma_is_named_in_double_quotes(tmp_path: Path) -> None:
    content = CSV.replace("load", '"load, kW"')
    assert flag_types.names('"load, kW", Wärme') == ["load, kW", "Wärme"]
    assert load(tmp_path, content, features=flag_types.names('Wärme,"load, kW"')).features == ("Wärme", "load, kW")
    assert "is cut at the comma in the name of the column 'load, kW': write it in double quotes" in refusal(
        tmp_path, content, features=flag_types.names("load, kW")
    )


# Files that hold no table


def zipped(*names: str, content: str | bytes = "x", method: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression=method) as archive:
        for name in names:
            archive.writestr(name, content)
    return file.getvalue()


def encrypted() -> bytes:
    """A zip whose flags say that a password is needed."""
    raw = bytearray(zipped("a.csv", content=CSV))
    raw[6] |= 1
    raw[raw.find(b"PK\x01\x02") + 8] |= 1
    return bytes(raw)


def tarred() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        member = tarfile.TarInfo("a.csv")
        member.size = len(CSV.encode())
        archive.addfile(member, io.BytesIO(CSV.encode()))
    return file.getvalue()


def saved(how: str, folder: Path) -> bytes:
    """The table as pandas saves it."""
    getattr(FRAME.rename(columns={"Wärme": "heat"}), f"to_{how}")(folder / "saved")
    return (folder / "saved").read_bytes()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (zipped("[Content_Types].xml", "_rels/.rels", "xl/workbook.xml", "xl/worksheets/sheet1.xml"), "is an Excel workbook: save its sheet as CSV"),
        (zipped("mimetype", "content.xml", "styles.xml"), "is an OpenDocument file: save its sheet as CSV"),
        (zipped("[Content_Types].xml", "word/document.xml"), "is an Office document"),
        (zipped("a.npy"), "is a NumPy archive"),
        (zipped("a.csv", "b.csv", "c.csv", "d.csv"), "holds 4 files (a.csv, b.csv, c.csv, …): unpack it and give one of them"),
        (zipped(), "holds 0 files: unpack it"),
        (zipped("a.csv.gz", content=gzip.compress(CSV.encode())), "is packed twice"),
        (encrypted(), "is encrypted: unpack it with its password and give a.csv"),
        (tarred(), "is a tar archive: unpack it"),
        (gzip.compress(gzip.compress(CSV.encode())), "is packed twice: unpack it"),
        (bz2.compress(CSV.encode()), "is packed with bzip2: unpack it"),
        (lzma.compress(CSV.encode()), "is packed with xz: unpack it"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500), "is an Excel workbook (.xls)"),
        (FRAME.to_json(orient="records").encode(), "is JSON: save the table as CSV or Parquet (pandas.read_json)"),
        (FRAME.to_json(orient="records", lines=True).encode(), "is JSON"),
        (FRAME.to_json(indent=1).encode(), "is JSON"),
        (FRAME.to_html().encode(), "is an HTML page"),
        (b"\n<!DOCTYPE html>\n<html></html>", "is an HTML page: the download was cut short or failed"),
        (b"<?xml version='1.0'?><a/>", "is XML"),
        (pickle.dumps(FRAME), "is a Python pickle"),
        (b"%PDF-1.7\n", "is a PDF"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "is an image"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n", "is a Git LFS pointer, not the file: fetch it with git lfs pull"),
        (np.random.default_rng(0).bytes(5000), "is not text (it contains zero bytes)"),
        (CSV.encode() + b"\0\0", "is not text (it contains zero bytes)"),
        (b"\xef\xbb\xbf", "the file is empty"),
    ],
)
def test_a_file_of_another_kind_is_named_with_what_to_do(tmp_path: Path, content: bytes, told: str) -> None:
    assert told in refusal(tmp_path, content)


@pytest.mark.parametrize(
    ("how", "told"), [("feather", "a Feather (Arrow) file"), ("pickle", "a Python pickle"), ("orc", "an ORC file"), ("stata", "a Stata file")]
)
def test_what_pandas_saves_is_named_whatever_the_name_says(tmp_path: Path, how: str, told: str) -> None:
    assert f"is {told}: save the table as CSV or Parquet (pandas.read_{how})" in refusal(tmp_path, saved(how, tmp_path))


def test_a_database_is_named(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "own.db") as connection:
        FRAME.to_sql("own", connection)
    connection.close()
    assert "is an SQLite database" in refusal(tmp_path, (tmp_path / "own.db").read_bytes(), "own.db")


def test_a_zip_of_one_table_of_any_kind_is_read(tmp_path: Path) -> None:
    assert len(load(tmp_path, zipped("folder/a.csv", content=CSV, method=zipfile.ZIP_LZMA), "own.zip")) == 8
    FRAME.to_parquet(tmp_path / "own.parquet")
    assert len(load(tmp_path, zipped("a.parquet", content=(tmp_path / "own.parquet").read_bytes()), "own.zip")) == 8


# The whole way


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_that_is_damaged_anywhere_is_refused(tmp_path: Path, method: int) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        archive.writestr("own.csv", CSV)
    whole = packed.getvalue()
    for at in range(4, len(whole)):
        with contextlib.suppress(DataError):
            load(tmp_path, whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :], "own.zip")


def test_a_parquet_file_whose_names_are_damaged_is_refused(tmp_path: Path) -> None:
    packed = io.BytesIO()
    FRAME.to_parquet(packed, index=False)
    assert "unreadable as Parquet" in refusal(tmp_path, packed.getvalue().replace(b"load", b"lo\xa4d"), "own.parquet")


def test_the_options_of_the_flags_are_those_of_the_loader() -> None:
    parser = parsing.parser("t", "")
    parsing.add_flags(parser, flags.DataFlags, flags.TextFlags)
    named = {action.dest for action in parser._actions if action.option_strings} - {"help", "json"}
    options = flags.table_options(parser.parse_args([]))
    assert {"data_path" if name == "path" else name for name in options} == named
    assert len(streams.load(**options)) == 45_312


@pytest.mark.parametrize("rows", ["2024-01-01 00:00,0.5,7,0\n2024-01-01 01:00,0.6,8,1\n", "2024-01-01 00:00,1,1,1\n2024-01-01 01:00,2,3,0\n", "5;5;1\n6;7;0\n"])
def test_a_file_without_a_header_is_named_as_one(tmp_path: Path, rows: str) -> None:
    (tmp_path / "own.csv").write_text(rows)
    with pytest.raises(DataError, match="the first line seems to be values: add a header line with the column names above it"):
        streams.load(tmp_path / "own.csv", target="label", time_column="time")


@pytest.mark.parametrize(("given", "name"), [("Target", "target"), ("TARGET", "target"), ("X", "x"), (" x ", "x"), ("targte", "target")])
def test_a_name_in_another_case_is_suggested(tmp_path: Path, given: str, name: str) -> None:
    (tmp_path / "own.csv").write_text("time,x,target\n2024-01-01,1,0\n2024-01-02,2,1\n")
    with pytest.raises(DataError, match=f"is not a column; did you mean '{name}'"):
        streams.load(tmp_path / "own.csv", target=given, time_column="time")


def test_a_quote_that_is_not_closed_is_named_by_its_line(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text('time,x,target\n2024-01-01,1,0\n2024-01-02,"2,1\n2024-01-03,2,1\n')
    with pytest.raises(DataError, match=r"\(line 3: .*\): look for an unclosed quote"):
        streams.load(tmp_path / "own.csv", target="target", time_column="time")


def test_the_columns_of_parquet_are_named_as_those_of_a_csv(tmp_path: Path) -> None:
    columns = [pa.array(["2024-01-01", "2024-01-02"]), *[pa.array([1, 2])] * 2, pa.array([0, 1])]
    pq.write_table(pa.Table.from_arrays(columns, ["time", "a\nb", "", "target"]), tmp_path / "own.parquet")
    found = streams.load(tmp_path / "own.parquet", target="target", time_column="time")
    assert found.features == ("a b",) and found.notes == ("left out: Unnamed: 2 (it has no name)",)
    pq.write_table(pa.Table.from_arrays(columns, ["time", "x", "x", "target"]), tmp_path / "own.parquet")
    with pytest.raises(DataError, match="column 'x' occurs twice: rename one"):
        streams.load(tmp_path / "own.parquet", target="target", time_column="time")


@pytest.mark.parametrize(
    ("path", "told"), [("https://example.org/own.csv", "download it"), ("s3://place/own.csv", "download it"), ("~/own.csv", "write \\$HOME")]
)
def test_what_is_no_path_is_named(path: str, told: str) -> None:
    with pytest.raises(DataError, match=f"there is no such file: .*{told}"):
        streams.load(path, target="target", time_column="time")


def test_a_csv_by_the_name_of_an_arff_is_named(tmp_path: Path) -> None:
    (tmp_path / "own.arff").write_text("time,x,target\n2024-01-01,1,0\n2024-01-02,2,1\n")
    with pytest.raises(DataError, match=r"is not ARFF, .*it begins with 'time,x,target'.*name it \.csv"):
        streams.load(tmp_path / "own.arff", target="target", time_column="time")
