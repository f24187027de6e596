"""Times of a column: one way of writing for all rows, inferred from all or declared; what may mean two things is refused by name."""

from __future__ import annotations

import datetime
import decimal
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from driftloop.cli import flag_types
from driftloop.data import streams
from driftloop.data.times import formats, zone_names, zones
from driftloop.data.times.column import time_values
from driftloop.errors import DataError, SettingsError


def read(values: object, **options: str) -> list[str]:
    """Each time to the second, "" where there is none."""
    times, _ = time_values(pd.Series(values, name="when"), **options)
    return ["" if np.isnat(one) else str(one)[:19].replace("T00:00:00", "") for one in times]


def clocks(values: object, **options: str) -> list[str]:
    """The hour and minute of each time."""
    return [str(one)[11:16] for one in time_values(pd.Series(values, name="when"), **options)[0]]


def faults(values: object, **options: str) -> dict[int, str]:
    return time_values(pd.Series(values, name="when"), **options)[1]


def refusal(values: object, **options: str) -> str:
    with pytest.raises(DataError) as caught:
        time_values(pd.Series(values, name="when"), **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Day and month


def test_one_row_that_decides_holds_for_all_of_them_whatever_stands_before_it() -> None:
    assert read(["05/03/2019", "06/03/2019", "13/03/2019"]) == ["2019-03-05", "2019-03-06", "2019-03-13"]
    assert read(["05/03/2019", "05/04/2019", "05/13/2019"]) == ["2019-05-03", "2019-05-04", "2019-05-13"]
    monthly = [f"01/{month:02}/2015" for month in range(1, 13)]
    assert read([*monthly, "31/12/2015"])[:12] == [f"2015-{month:02}-01" for month in range(1, 13)]


def test_a_column_in_which_both_orders_are_proven_is_refused_with_both_rows() -> None:
    told = refusal(["05/13/2019", "06/03/2019", "13/05/2019"])
    assert "'13/05/2019', where the day is first" in told
    assert "'05/13/2019', where the month is" in told
    assert "--time_format" in told


def test_the_order_of_the_rows_decides_when_only_one_reading_keeps_it() -> None:
    assert read(["10/05/2024", "09/06/2024", "08/07/2024"]) == ["2024-05-10", "2024-06-09", "2024-07-08"]
    assert read(["05/10/2024", "06/09/2024", "07/08/2024"]) == ["2024-05-10", "2024-06-09", "2024-07-08"]


def test_even_steps_decide_when_only_one_reading_has_them() -> None:
    monthly = [f"01/{month:02}/{year}" for year in range(2015, 2025) for month in range(1, 13)]
    assert read(monthly)[53:55] == ["2019-06-01", "2019-07-01"]
    assert read([f"{text[3:5]}/{text[:2]}/{text[6:]}" for text in monthly])[53:55] == ["2019-06-01", "2019-07-01"]
    assert "no row decides which" in refusal(monthly[:12])  # as well the first twelve days of a January


@pytest.mark.parametrize(
    ("text", "day_first", "month_first"),
    [
        ("05/03/2024 00:45", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M"),
        ("5.3.2024", "%d.%m.%Y", "%m.%d.%Y"),
        ("05-03-2024T10:00:00.250", "%d-%m-%YT%H:%M:%S.%f", "%m-%d-%YT%H:%M:%S.%f"),
        ("05/03/2024 2:30 PM", "%d/%m/%Y %I:%M %p", "%m/%d/%Y %I:%M %p"),
        ("05/03/2024 14:30+01:00", "%d/%m/%Y %H:%M%z", "%m/%d/%Y %H:%M%z"),
        ("05/03/2024 14:30 CET", "%d/%m/%Y %H:%M %Z", "%m/%d/%Y %H:%M %Z"),
    ],
)
def test_dates_that_nothing_decides_are_refused_with_two_formats_that_work(text: str, day_first: str, month_first: str) -> None:
    values = [text, text.replace("5", "6", 1)]
    told = refusal(values)
    assert f"give --time_format {day_first!r} or {month_first!r}" in told
    assert read(values, time_format=day_first)[0][:10] == "2024-03-05"
    assert read(values, time_format=month_first)[0][:10] == "2024-05-03"


def test_dates_that_are_the_same_in_both_orders_need_no_decision() -> None:
    assert read(["05/05/2019", "06/06/2019"]) == ["2019-05-05", "2019-06-06"]


def test_rows_in_another_form_than_most_are_named_and_not_read() -> None:
    assert faults(["13/03/2019", "14/03/2019", "03-15-2019", "soon", None]) == {
        2: "when is '03-15-2019', not written as most rows are ('13/03/2019')",
        3: "when is 'soon', not a time",
        4: "when is missing",
    }


# Forms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-03-05", "2024-03-05"),
        ("2024-3-5 4:05", "2024-03-05T04:05:00"),
        ("2024/03/05 14:30:05", "2024-03-05T14:30:05"),
        ("2024.03.05 14:30", "2024-03-05T14:30:00"),
        ("2024-03-05T14:30:05.123456789", "2024-03-05T14:30:05"),
        ("2024-03-05 14:30:05,5", "2024-03-05T14:30:05"),
        ("20240305T143005Z", "2024-03-05T14:30:05"),
        ("20240305 14:30", "2024-03-05T14:30:00"),
        ("  2024-03-05 14:30  ", "2024-03-05T14:30:00"),
        ("2024-03-05\u00a014:30", "2024-03-05T14:30:00"),
        ("13/03/2024 2:30:05\u202fPM", "2024-03-13T14:30:05"),
        ("13/03/2024 12:30 a.m.", "2024-03-13T00:30:00"),
        ("13/03/2024, 12:30 pm", "2024-03-13T12:30:00"),
        ("13.03.2024 14.30", "2024-03-13T14:30:00"),
        ("13. 3. 2024 14:30", "2024-03-13T14:30:00"),
        ("5 Mar 2024 14:30", "2024-03-05T14:30:00"),
        ("05-MAR-2024", "2024-03-05"),
        ("March 5, 2024 2:30 pm", "2024-03-05T14:30:00"),
        ("5th March 2024", "2024-03-05"),
        ("2024-Mar-05", "2024-03-05"),
        ("Tue, 05 Mar 2024 14:30:00 GMT", "2024-03-05T14:30:00"),
        ("Tue Mar  5 14:30:00 2024", "2024-03-05T14:30:00"),
        ("Tue Mar 05 14:30:00 CET 2024", "2024-03-05T13:30:00"),
        ("05/Mar/2024:14:30:00 +0100", "2024-03-05T13:30:00"),
        ("2024-03-05T14:30+01:00[Europe/Berlin]", "2024-03-05T13:30:00"),
        ("2024-03", "2024-03-01"),
        ("03/2024", "2024-03-01"),
        ("Mar 2024", "2024-03-01"),
        ("2024Q2", "2024-04-01"),
        ("Q2 2024", "2024-04-01"),
        ("2024-03-05 24:00", "2024-03-06"),
    ],
)
def test_what_has_one_meaning_is_read(text: str, expected: str) -> None:
    assert read([text, text]) == [expected] * 2


def test_days_and_times_of_a_day_may_stand_in_one_column() -> None:
    assert read(["13/03/2019", "13/03/2019 10:00", "14/03/2019 10:00:00.5"])[1:] == ["2019-03-13T10:00:00", "2019-03-14T10:00:00"]


@pytest.mark.parametrize("text", ["2023-02-29", "2024-13-01", "2024-00-10", "2024-01-01 25:00", "2024-01-01 14:60", "2024-01-01 13:00 PM", "32 Jan 2024"])
def test_a_time_that_does_not_exist_is_a_fault_of_its_row(text: str) -> None:
    others = ["2024-01-01 1:00 PM"] if "PM" in text else ["1 Jan 2024"] if "Jan" in text else ["2024-01-01"]
    assert faults([*others, text]) == {1: f"when is {text!r}, not a time"}


def test_a_12_hour_clock_is_not_mixed_with_one_of_24() -> None:
    assert faults(["2024-01-01 1:00 PM", "2024-01-01 2:00 PM", "2024-01-01 14:00"]) == {2: "when is '2024-01-01 14:00', not on the 12-hour clock of most rows"}
    assert list(faults(["2024-01-01 13:00", "2024-01-01 14:00", "2024-01-01 2:00 PM"])) == [2]


@pytest.mark.parametrize("values", [["05/03/19"], ["19-03-05 10:00"], ["5-Mar-19"], ["Mar 19"]])
def test_years_of_two_digits_are_refused_unless_a_format_says_what_they_are(values: list[str]) -> None:
    assert "years of two digits" in refusal(values)
    assert read(["05/03/19"], time_format="%d/%m/%y") == ["2019-03-05"]


def test_hours_without_a_day_are_refused_with_the_reason() -> None:
    for values in (["14:30", "14:45"], ["2:30 PM"], [datetime.time(14, 30)]):
        assert "times of day without a date" in refusal(values)


def test_times_outside_of_what_nanoseconds_hold_are_named() -> None:
    told = faults(["1066-10-14", "2024-01-01", "9999-12-31 23:59:59", "2262-01-01"])
    assert told == {
        row: f"when is {text!r}, outside the years 1678 to 2261" for row, text in ((0, "1066-10-14"), (2, "9999-12-31 23:59:59"), (3, "2262-01-01"))
    }


# Numbers


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1700000000, 1700000060], "2023-11-14T22:13:20"),
        ([1700000000.5, 1700000060.25], "2023-11-14T22:13:20"),
        ([1700000000123, 1700000060123], "2023-11-14T22:13:20"),
        ([1700000000123456], "2023-11-14T22:13:20"),
        ([1700000000123456789], "2023-11-14T22:13:20"),
        (["1700000000.5"], "2023-11-14T22:13:20"),
        (["1.7e9", "1.70000006e+09"], "2023-11-14T22:13:20"),
        ([decimal.Decimal("1700000000.5")], "2023-11-14T22:13:20"),
        ([20240131, 20240201], "2024-01-31"),
        (["202401311430"], "2024-01-31T14:30:00"),
        ([20240131143005], "2024-01-31T14:30:05"),
    ],
)
def test_numbers_are_read_by_their_size_over_the_whole_column(values: list[object], expected: str) -> None:
    assert read(values)[0] == expected


def test_nanoseconds_of_a_number_are_kept_to_the_last_digit() -> None:
    times, _ = time_values(pd.Series(["1700000000123456789"]))
    assert times.astype(np.int64).tolist() == [1700000000123456789]


def test_a_missing_number_and_one_of_another_size_are_faults_of_their_rows() -> None:
    assert faults(pd.Series([1700000000, None, 1700000060, 1700000060123])) == {
        1: "when is missing",
        3: "when is '1700000060123', not in Unix seconds as most rows are",
    }


@pytest.mark.parametrize(
    ("values", "hint"),
    [
        ([1, 2, 3], "unix_s"),
        ([0.5, 1.5], "unix_s"),
        ([2019, 2020], "years: %Y"),
        ([201901, 201902], "months: %Y%m"),
        ([45000.5, 45001], "Excel's days: excel"),
        ([190301, 190314, 190331], "days such as 240131: %y%m%d"),
        ([1700000000, 1700000000123], "unix_ms"),
        ([-5, -6], "unix_s"),
        ([99999999999999999999, 5], "unix_s"),
        ([1e300, 2e300], "unix_s"),
    ],
)
def test_numbers_that_may_be_anything_are_refused_with_what_would_say_it(values: list[float], hint: str) -> None:
    told = refusal(values)
    assert "holds no dates" in told
    assert "--time_format" in told and hint in told


def test_numbers_whose_exponents_hide_the_minutes_are_refused_by_name() -> None:
    assert "'1.5463E+09', a time whose last digits a spreadsheet dropped" in refusal(["1.5463E+09", "1.5463E+09", "1.5464E+09"])
    assert "'1.546E+12'" in refusal(["1.546E+12", "1.547E+12"])
    assert read(["1.546300800e9", "1.546304400e9"]) == ["2019-01-01", "2019-01-01T01:00:00"]
    assert read(["1.5463E12", "1.546300801123E12"])[1] == "2019-01-01T00:00:01"
    assert read(["1.5463008e9", "1.5463044e9"])[1] == "2019-01-01T01:00:00"


def test_numbers_are_what_the_format_says() -> None:
    assert read([2019, 2020], time_format="%Y") == ["2019-01-01", "2020-01-01"]
    assert read([45000.5, 45001.25], time_format="excel") == ["2023-03-15T12:00:00", "2023-03-16T06:00:00"]
    assert read([-86400, 0], time_format="unix_s") == ["1969-12-31", "1970-01-01"]
    assert faults([10**18, 1], time_format="unix_s") == {0: "when is '1000000000000000000', not a time of the format 'unix_s'"}


# What is no text


def test_dates_of_parquet_are_read_whatever_their_type(tmp_path: Path) -> None:
    days = pd.date_range("2024-03-05", periods=4, freq="D")
    columns: dict[str, object] = {
        "zoned": days.tz_localize("Europe/Berlin"),
        "date32": [day.date() for day in days],
        "milliseconds": days.astype(np.int64) // 10**6,
        "microseconds": days.to_numpy("datetime64[us]"),
        "text": days.strftime("%d/%m/%Y"),
        "binary": [str(day).encode() for day in days],
        "category": pd.Categorical(days.strftime("%Y-%m-%d")),
    }
    for name, values in columns.items():
        pd.DataFrame({"when": values, "x": range(4), "target": [0, 1, 0, 1]}).to_parquet(tmp_path / "t.parquet")
        options = {"time_format": "%d/%m/%Y"} if name == "text" else {}
        start = streams.load(tmp_path / "t.parquet", time_column="when", **options).times[0]
        assert str(start)[:16] == ("2024-03-04T23:00" if name == "zoned" else "2024-03-05T00:00"), name


def test_durations_and_lists_are_no_times() -> None:
    assert "durations" in refusal(pd.to_timedelta([1, 2], unit="h"))
    assert "holds no dates" in refusal([[1, 2], [3]])
    assert "holds no dates" in refusal([True, False])
    assert "holds no dates" in refusal([None, None])


# A format that is declared


def test_a_declared_format_is_obeyed_and_what_does_not_fit_is_named() -> None:
    assert read(["05/03/2019", "06/03/2019"], time_format="%m/%d/%Y") == ["2019-05-03", "2019-06-03"]
    assert faults(["05/03/2019", "13/03/2019"], time_format="%m/%d/%Y") == {1: "when is '13/03/2019', not a time of the format '%m/%d/%Y'"}
    assert "holds no times of the format '%d/%m/%Y' (the first value is '2019-03-05')" in refusal(["2019-03-05"], time_format="%d/%m/%Y")


def test_a_row_may_leave_out_what_is_zero_at_the_end_of_the_format() -> None:
    values = ["05/03/2019 14:30:00.5", "05/03/2019 14:30:01", "06/03/2019"]
    assert read(values, time_format="%d/%m/%Y %H:%M:%S.%f") == ["2019-03-05T14:30:00", "2019-03-05T14:30:01", "2019-03-06"]


def test_zones_of_a_declared_format_are_read() -> None:
    assert read(["05/03/2019 14:30+0100"], time_format="%d/%m/%Y %H:%M%z") == ["2019-03-05T13:30:00"]
    assert read(["05/03/2019 14:30 CET", "06/07/2019 14:30 CEST"], time_format="%d/%m/%Y %H:%M %Z") == ["2019-03-05T13:30:00", "2019-07-06T12:30:00"]
    assert read(["Tue Mar 05 14:30:00 CET 2019"], time_format="%a %b %d %H:%M:%S %Z %Y") == ["2019-03-05T13:30:00"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("dd/MM/yyyy", "did you mean '%d/%m/%Y'?"),
        ("day", "write it as %d/%m/%Y %H:%M, or for numbers one of unix_s"),
        ("%d/%m/%Q", "is a bad directive"),
        ("%d/%m/%", "stray %"),
        ("%d/%d/%Y", "twice"),
        ("%G-%V", "a weekday"),
        ("%Y %U", "without day and year"),
        ("%d/%m", "has no year"),
        ("%H:%M", "has no year"),
        ("%Y-%M-%d", "a day but no month: %m is the month, %M the minutes"),
        ("%d %b %Y %H:%m", "minutes are %M"),
        ("%Y-%m %M", "minutes but no hour"),
        ("%Y-%m-%d %H:%S", "seconds but no minutes"),
        ("%Y-%m-%d %I:%M", "the 24-hour clock is %H"),
        ("%Y-%m-%d %H:%M %p", "whose hour is %I"),
        ("%Y-%m-%j", "the day of the month is %d"),
        ("%Y-%W", "a week needs its day"),
        ("%G-W%V", "a week needs its day"),
    ],
)
def test_a_flag_that_is_no_format_is_refused_with_one_that_is(text: str, words: str) -> None:
    assert words in formats.fault(text)
    with pytest.raises(Exception, match="not a time format"):
        flag_types.time_format(text)


@pytest.mark.parametrize("given", ["%Y", "%m.%Y", "%Y%j", "%G-W%V-%u", "%Y-%W-%w", "%c", "%x %X", "%d %b %y %I%p", "%Y%m%dT%H%M%S%z", "100%% %Y"])
def test_a_format_that_names_a_time_is_one(given: str) -> None:
    assert formats.fault(given) == ""


def test_the_loader_refuses_the_formats_that_the_flag_refuses() -> None:
    with pytest.raises(SettingsError, match="%m is the month"):
        streams.load("any.csv", time_column="when", time_format="%Y-%M-%d")


@pytest.mark.parametrize(("join", "clock", "given"), [("/", "", "%Y/%d/%m"), ("-", " 14:30", "%Y-%d-%m %H:%M"), (".", "T02:30:00Z", "%Y.%d.%mT%H:%M:%S%z")])
def test_a_day_between_year_and_month_is_refused_with_the_format_that_reads_it(join: str, clock: str, given: str) -> None:
    days = [f"2024{join}{day:02}{join}03{clock}" for day in range(1, 29)]
    assert f"holds {days[12]!r}, where the day seems to precede the month: give --time_format {given!r}" in refusal(days)
    assert read(days, time_format=given)[27][:10] == "2024-03-28"
    assert list(faults([f"2024{join}03{join}{day:02}" for day in range(1, 29)] + [f"2024{join}13{join}03"])) == [28]


@pytest.mark.parametrize(
    ("texts", "given"),
    [(["2024-W01-1", "2024-W02-1"], "%G-W%V-%u"), (["2024W011", "2024W021"], "%GW%V%u"), (["2024-001", "2024-008"], "%Y-%j"), (["2024001", "2024008"], "%Y%j")],
)
def test_weeks_and_days_of_the_year_are_refused_with_the_format_that_reads_them(texts: list[str], given: str) -> None:
    assert given in refusal(texts)
    assert read(texts, time_format=given) == ["2024-01-01", "2024-01-08"]


@pytest.mark.parametrize(
    ("java", "expected"),
    [
        ("dd/MM/yyyy HH:mm", "%d/%m/%Y %H:%M"),
        ("yyyy-MM-dd'T'HH:mm:ss.SSSZ", "%Y-%m-%dT%H:%M:%S.%f%z"),
        ("EEE, d MMM yyyy hh:mm a z", "%a, %d %b %Y %I:%M %p %Z"),
        ("d. MMMM yy 'o''clock'", "%d. %B %y o'clock"),
        ("yyyy 100%", "%Y 100%%"),
        ("kk:mm", None),
    ],
)
def test_javas_patterns_become_those_of_strptime(java: str, expected: str | None) -> None:
    assert formats.from_java(java) == expected


# Zones


def test_offsets_of_all_kinds_may_stand_in_one_column() -> None:
    assert read(["2019-03-05 14:30+01:00", "2019-03-05 14:31+0200", "2019-03-05 14:31 -03", "2019-03-05T14:32Z", "2019-03-05 14:33 UTC+1"]) == [
        "2019-03-05T13:30:00",
        "2019-03-05T12:31:00",
        "2019-03-05T17:31:00",
        "2019-03-05T14:32:00",
        "2019-03-05T13:33:00",
    ]


def test_abbreviations_with_one_meaning_are_read_through_the_end_of_summer_time() -> None:
    night = ["2023-10-29 01:00 CEST", "2023-10-29 02:00 CEST", "2023-10-29 02:00 CET", "2023-10-29 03:00 CET"]
    assert clocks(night) == ["23:00", "00:00", "01:00", "02:00"]
    assert read(["2024-06-05 14:30 EDT", "2024-12-05 14:30 EST", "2024-12-05 14:30 GMT"]) == [
        "2024-06-05T18:30:00",
        "2024-12-05T19:30:00",
        "2024-12-05T14:30:00",
    ]


@pytest.mark.parametrize(("text", "zone", "hour"), [("IST", "Asia/Kolkata", "09:00"), ("CST", "Asia/Shanghai", "06:30"), ("BST", "Europe/London", "13:30")])
def test_an_abbreviation_with_several_meanings_is_refused_unless_the_zone_is_known(text: str, zone: str, hour: str) -> None:
    values = [f"2024-06-05 14:30 {text}"]
    told = refusal(values)
    assert f"{text!r} is ambiguous" in told and "--time_zone" in told and zone in told
    assert read(values, time_zone=zone) == [f"2024-06-05T{hour}:00"]


def test_an_abbreviation_is_told_by_its_counterpart_in_the_same_column() -> None:
    assert read(["2024-01-05 14:30 GMT", "2024-06-05 14:30 BST"])[1] == "2024-06-05T13:30:00"
    assert read(["2024-06-05 14:30 CDT", "2024-12-05 14:30 CST"])[1] == "2024-12-05T20:30:00"


def test_a_zone_that_is_none_is_named_with_the_remedy() -> None:
    assert "of the unknown zone 'XYZ': write an offset such as +01:00" in faults(["2024-01-01 10:00 XYZ"])[0]
    assert "of the unknown zone '+25:00'" in faults(["2024-01-01 10:00+25:00"])[0]


def test_names_of_the_zone_database_are_read() -> None:
    assert read(["2024-03-05 14:30 Europe/Berlin", "2024-07-05 14:30 Europe/Berlin"]) == ["2024-03-05T13:30:00", "2024-07-05T12:30:00"]


def test_times_with_and_without_a_zone_are_not_mixed() -> None:
    values = ["2024-03-05 14:30Z", "2024-03-05 14:31"]
    assert "a zone ('2024-03-05 14:30Z') and times without one ('2024-03-05 14:31')" in refusal(values)
    assert read(values, time_zone="Europe/Berlin") == ["2024-03-05T14:30:00", "2024-03-05T13:31:00"]


# Summer time

LOCAL = ["2023-10-29 01:30", "2023-10-29 02:00", "2023-10-29 02:30", "2023-10-29 02:00", "2023-10-29 02:30", "2023-10-29 03:00"]


def test_the_hour_that_comes_twice_is_told_by_the_order_of_the_rows() -> None:
    assert clocks(LOCAL, time_zone="Europe/Berlin") == ["23:30", "00:00", "00:30", "01:00", "01:30", "02:00"]
    hourly = ["2023-11-05 00:00", "2023-11-05 01:00", "2023-11-05 01:00", "2023-11-05 02:00"]
    assert clocks(hourly, time_zone="America/New_York") == ["04:00", "05:00", "06:00", "07:00"]


def test_a_repeated_hour_that_nothing_tells_is_a_fault() -> None:
    for values in (
        ["2023-10-29 01:30", "2023-10-29 02:30", "2023-10-29 03:30"],
        ["2023-10-29 01:59", "2023-10-29 02:01", "2023-10-29 02:01", "2023-10-29 03:00"],
    ):
        assert "occurs twice in Europe/Berlin" in faults(values, time_zone="Europe/Berlin")[1]


def test_an_hour_that_does_not_exist_is_named() -> None:
    told = faults(["2024-03-31 01:30", "2024-03-31 02:30", "2024-03-31 03:30"], time_zone="Europe/Berlin")
    assert told == {1: "when is '2024-03-31 02:30', which does not exist in Europe/Berlin: the clocks went forward over it"}


def test_each_years_repeated_hour_is_told_by_itself() -> None:
    years = [text.replace("2023-10-29", day) for day in ("2022-10-30", "2023-10-29", "2024-10-27") for text in LOCAL]
    assert not faults(years, time_zone="Europe/Berlin")


@pytest.mark.parametrize(
    ("before", "after", "zone"),
    [
        ("2023-10-29T02:30", "2023-10-29T02:00", "Europe/Berlin"),
        ("2023-10-29T01:45", "2023-10-29T01:00", "Europe/London"),
        ("2023-11-05T01:30", "2023-11-05T01:00", "America/New_York"),
        ("2023-04-02T02:30", "2023-04-02T02:00", "Australia/Sydney"),
        ("2023-10-28T02:30", "2023-10-28T02:00", ""),
        ("2023-03-26T02:30", "2023-03-26T02:00", ""),
    ],
)
def test_a_step_back_at_the_end_of_summer_time_is_recognised(before: str, after: str, zone: str) -> None:
    assert zones.ends_summer_time(np.datetime64(before), np.datetime64(after)) == zone


def write_local(folder: Path) -> Path:
    path = folder / "local.csv"
    path.write_text("time,x,target\n" + "".join(f"{text},{row},{row % 2}\n" for row, text in enumerate(LOCAL)))
    return path


def test_a_stream_of_local_hours_is_told_the_flag_and_reads_with_it(tmp_path: Path) -> None:
    path = write_local(tmp_path)
    with pytest.raises(DataError, match=r"line 5 .* as local hours do when summer time ends: give their zone, such as --time_zone Europe/Berlin"):
        streams.load(path, time_column="time")
    stream = streams.load(path, time_column="time", time_zone="Europe/Berlin")
    assert (np.diff(stream.times) == np.timedelta64(30, "m")).all()
    assert streams.row_at(stream, "2023-10-29T03:00", time_zone="Europe/Berlin") == streams.row_at(stream, "2023-10-29T02:00Z") == 5


@pytest.mark.parametrize(("text", "near"), [("Europe/Berln", "Europe/Berlin"), ("berlin", "Europe/Berlin"), ("../etc/passwd", "IANA"), ("Europe", "time zone")])
def test_a_zone_that_is_none_is_refused_with_the_nearest(text: str, near: str) -> None:
    assert near in zone_names.fault(text)


def test_moments_of_flags_are_as_the_times_of_the_stream() -> None:
    assert str(zones.moment("2020-01-01T00:00+02:00"))[:16] == "2019-12-31T22:00"
    assert str(zones.moment("2020-07-01", zone="Europe/Berlin"))[:16] == "2020-06-30T22:00"
    assert str(zones.moment("2020-07-01"))[:16] == "2020-07-01T00:00"
    with pytest.raises(SettingsError, match="is not a time"):
        zones.moment("9999-01-01")


# The whole way


def test_a_format_without_a_column_is_refused() -> None:
    with pytest.raises(SettingsError, match="--time_column"):
        streams.load(time_format="%d/%m/%Y")


@pytest.mark.parametrize("form", ["%Y-%m-%d %H:%M:%S", "%d/%m/%Y %H:%M", "%d %b %Y %I:%M:%S %p", "%Y-%m-%dT%H:%M:%S+01:00"])
def test_a_hundred_thousand_times_take_about_a_second(form: str) -> None:
    column = pd.Series(pd.date_range("2001-01-01", periods=100_000, freq="7min").strftime(form), name="when")
    began = time.process_time()
    times, wrong = time_values(column)
    assert time.process_time() - began < 3
    assert not wrong
    assert (np.diff(times) >= np.timedelta64(0)).all()
