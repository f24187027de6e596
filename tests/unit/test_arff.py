"""ARFF as other programs write it: either quote, both in one file, escapes, names of any kind, declared dates, types in any case."""

from __future__ import annotations

from pathlib import Path

import pytest

from driftloop.data import streams
from driftloop.errors import DataError

HEAD = "@relation r\n@attribute when date \"yyyy-MM-dd HH:mm\"\n@attribute load numeric\n@attribute label {'is high','is low'}\n@data\n"


def load(folder: Path, text: str, **options: object) -> streams.Stream:
    (folder / "own.arff").write_text(text, encoding="utf-8")
    return streams.load(folder / "own.arff", **{"time_column": "when", "target": "label", **options})


def refusal(folder: Path, text: str, **options: object) -> str:
    with pytest.raises(DataError) as caught:
        load(folder, text, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_both_quotes_may_stand_in_one_file_and_in_one_row(tmp_path: Path) -> None:
    stream = load(tmp_path, HEAD + '"2024-01-01 00:00",1,\'is high\'\n\'2024-01-01 01:00\',2,"is low"\n"2024-01-01 02:00",\'3\',"is high"\n')
    assert (stream.label_names, stream.rows[:, 0].tolist()) == (("is high", "is low"), [1, 2, 3])
    assert str(stream.times[2])[:16] == "2024-01-01T02:00"


def test_quotes_in_the_header_may_differ_from_those_of_the_rows(tmp_path: Path) -> None:
    head = HEAD.replace("'is high','is low'", "\"is high\", 'is low'")
    assert len(load(tmp_path, head + "'2024-01-01 00:00',1,'is high'\n'2024-01-01 01:00',2,\"is low\"\n")) == 2


@pytest.mark.parametrize(
    ("declared", "written", "value"),
    [
        (r"'it\'s'", r"'it\'s'", "it's"),
        ('"it\'s"', '"it\'s"', "it's"),
        ("it's", "it's", "it's"),
        (r'"a \"b\""', r'"a \"b\""', 'a "b"'),
        ("'a,b'", '"a,b"', "a,b"),
        ("'50 %'", "'50 %'", "50 %"),
        (r"'a\\b'", r"'a\\b'", r"a\b"),
        ("'None'", "None", "None"),
        ("NA", "NA", "NA"),
        ("null", "'null'", "null"),
        ("'Wärme'", '"Wärme"', "Wärme"),
    ],
)
def test_a_class_is_the_same_however_it_is_quoted(tmp_path: Path, declared: str, written: str, value: str) -> None:
    head = HEAD.replace("'is high'", declared)
    stream = load(tmp_path, head + f"'2024-01-01 00:00',1,{written}\n'2024-01-01 01:00',2,'is low'\n")
    assert set(stream.label_names) == {value, "is low"}


@pytest.mark.parametrize("name", ["'the load'", '"the load"', r"'the\'load'", "the-load%", "'l'", "Load"])
def test_names_may_be_quoted_and_types_be_in_any_case(tmp_path: Path, name: str) -> None:
    head = f"@RELATION r\n% made\n@ATTRIBUTE when DATE 'yyyy-MM-dd HH:mm'\n@Attribute  {name}\tReal % kW\n@attribute label{{a,b}}\n@DATA\n"
    stream = load(tmp_path, head + "'2024-01-01 00:00',1,a\n'2024-01-01 01:00',2,b\n")
    assert stream.features == (name.strip("'\"").replace("\\", ""),)


@pytest.mark.parametrize(
    ("java", "rows", "expected"),
    [
        ("dd/MM/yyyy HH:mm", ("05/03/2019 10:00", "06/03/2019 10:00"), "2019-03-05T10:00"),
        ("MM/dd/yyyy", ("05/03/2019", "06/03/2019"), "2019-05-03T00:00"),
        ("dd.MM.yy", ("05.03.19", "06.03.19"), "2019-03-05T00:00"),
        ("yyyy-MM-dd'T'HH:mm:ss", ("2019-03-05T10:00:00", "2019-03-06T10:00:00"), "2019-03-05T10:00"),
        ("yyyy-MM-dd'T'HH:mm:ss.SSSZ", ("2019-03-05T10:00:00.250+0100", "2019-03-06T10:00:00.250+0100"), "2019-03-05T09:00"),
        ("d MMM yyyy hh:mm a z", ("5 Mar 2019 10:00 PM CET", "6 Mar 2019 10:00 PM CET"), "2019-03-05T21:00"),
        ("yyyyMMdd", ("20190305", "20190306"), "2019-03-05T00:00"),
        ("HH:mm dd-MM-yyyy", ("10:00 05-03-2019", "10:00 06-03-2019"), "2019-03-05T10:00"),
    ],
)
def test_a_declared_date_is_read_as_declared(tmp_path: Path, java: str, rows: tuple[str, str], expected: str) -> None:
    for quoted in (f'"{java}"', "'" + java.replace("'", r"\'") + "'"):
        head = HEAD.replace('"yyyy-MM-dd HH:mm"', quoted)
        stream = load(tmp_path, head + f"'{rows[0]}',1,'is high'\n\"{rows[1]}\",2,'is low'\n")
        assert str(stream.times[0])[:16] == expected


def test_a_date_without_a_format_is_inferred_and_a_flag_goes_before_the_header(tmp_path: Path) -> None:
    rows = "'05/03/2019',1,'is high'\n'06/03/2019',2,'is low'\n"
    assert "day first or month first" in refusal(tmp_path, HEAD.replace(' "yyyy-MM-dd HH:mm"', "") + rows)
    assert str(load(tmp_path, HEAD + rows, time_format="%d/%m/%Y").times[0])[:10] == "2019-03-05"


def test_a_date_that_does_not_fit_its_declaration_is_refused(tmp_path: Path) -> None:
    assert "holds no times of the format '%Y-%m-%d %H:%M' (the first value is '05/03/2019')" in refusal(tmp_path, HEAD + "'05/03/2019',1,'is high'\n")
    assert "line 1: the date format 'ww/yyyy' of 'when' is not supported" in refusal(
        tmp_path, HEAD.removeprefix("@relation r\n").replace("yyyy-MM-dd HH:mm", "ww/yyyy") + "'01/2019',1,'is high'\n", time_column="when"
    )


def test_a_missing_value_is_a_question_mark_quoted_or_not(tmp_path: Path) -> None:
    stream = load(tmp_path, HEAD + "'2024-01-01 00:00',?,'is high'\n'2024-01-01 01:00',2,'is low'\n'2024-01-01 02:00',2,'is high'\n", bad_rows="set_aside")
    assert stream.set_aside == ((6, "load is missing"),)


@pytest.mark.parametrize("written", ["?", "'?'", " ? "])
def test_a_missing_class_is_no_class_unless_the_header_names_it(tmp_path: Path, written: str) -> None:
    rows = f"'2024-01-01 00:00',1,'is high'\n'2024-01-01 01:00',2,'is low'\n'2024-01-01 02:00',2,{written}\n"
    stream = load(tmp_path, HEAD + rows, bad_rows="set_aside")
    assert stream.label_names == ("is high", "is low")
    assert stream.set_aside == ((8, "the label is missing"),)
    assert load(tmp_path, HEAD.replace("{'is high'", "{'?','is high'") + rows).label_names == ("?", "is high", "is low")


@pytest.mark.parametrize(("java", "why"), [("yyyy-mm-dd HH:mm", "twice"), ("yyyy-dd HH:mm", "no month"), ("yyyy-MM-DD HH:mm", "%d"), ("yyyy-MM-dd hh", "%H")])
def test_a_declared_date_that_would_be_misread_is_refused(tmp_path: Path, java: str, why: str) -> None:
    told = refusal(tmp_path, HEAD.replace("yyyy-MM-dd HH:mm", java) + "'2024-01-01 00:00',1,'is high'\n")
    assert told.partition(": ")[2].startswith("line 2: the date format") and why in told


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEAD + "'2024-01-01 00:00',1,'is high\n", "line 6: cannot be read as ARFF"),
        (HEAD.replace("'is low'}", "'is low'") + "a,1,b\n", "line 4: the ARFF header cannot be read: the list of values is not closed"),
        (HEAD.replace("load numeric", "load") + "a,1,b\n", "line 3: the ARFF header cannot be read (@attribute load)"),
        (HEAD.replace("load numeric", "load string") + "a,1,b\n", "line 3: the ARFF header cannot be read (type 'string' is not supported): leave 'load' out"),
        (HEAD.replace("load numeric", "bag relational") + "a,1,b\n", "type 'relational' is not supported"),
        (HEAD.replace("@data", "") + "a,1,b\n", "no @data line"),
    ],
)
def test_what_cannot_be_read_is_named_by_its_line(tmp_path: Path, text: str, words: str) -> None:
    assert words in refusal(tmp_path, text)


def test_tabs_may_separate_quoted_values_with_commas(tmp_path: Path) -> None:
    head = HEAD.replace("'is low'", "'is low, very'")
    stream = load(tmp_path, head + "'2024-01-01 00:00'\t1\t'is high'\n'2024-01-01 01:00'\t2\t'is low, very'\n")
    assert stream.label_names == ("is high", "is low, very")
