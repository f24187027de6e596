"""Windows of the log."""

import itertools

import pytest

from driftloop.errors import SettingsError
from monitoring.batch import window

NEWEST = "2020-12-31T23:30:00.000Z"


@pytest.mark.parametrize(
    ("text", "name", "start", "stop"),
    [
        ("2020-12", "2020-12", "2020-12-01T00:00:00.000Z", "2021-01-01T00:00:00.000Z"),
        ("2020-02-29", "2020-02-29", "2020-02-29T00:00:00.000Z", "2020-03-01T00:00:00.000Z"),
        ("last-month", "2020-11", "2020-11-01T00:00:00.000Z", "2020-12-01T00:00:00.000Z"),
        ("last-day", "2020-12-30", "2020-12-30T00:00:00.000Z", "2020-12-31T00:00:00.000Z"),
        ("2020-04-01T00:00:00Z..2020-05-01T02:00:00+02:00", "2020-04", "2020-04-01T00:00:00.000Z", "2020-05-01T00:00:00.000Z"),
    ],
)
def test_a_text_names_a_window_and_the_same_stretch_has_one_name(text: str, name: str, start: str, stop: str) -> None:
    assert window.parse(text, newest=NEWEST) == window.Window(name, start, stop)


NO_WINDOW = ["", "2020", "2020-13", "2020-02-30", "yesterday", "2020-04-02T00:00:00Z..2020-04-01T00:00:00Z", "0001-01", "9999-12", "2020-04..", "\N{FIRE}"]


@pytest.mark.parametrize("text", NO_WINDOW)
def test_what_is_no_window_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(SettingsError) as raised:
        window.parse(text, newest=NEWEST)
    assert "\n" not in str(raised.value)


def test_a_window_in_the_future_and_a_stream_without_rows_are_refused_with_the_reason() -> None:
    with pytest.raises(SettingsError, match="after the newest logged row"):
        window.parse("2021-01", newest=NEWEST)
    with pytest.raises(SettingsError, match="no row of this stream"):
        window.parse("last-month", newest=None)


def test_the_windows_of_a_back_fill_touch_and_cover_the_range() -> None:
    months = window.between("2018-01", "2020-12")
    assert (len(months), months[0].name, months[-1].name) == (36, "2018-01", "2020-12")
    for by in window.STEPS:
        found = window.between("2020-01-30", "2020-03-02", by=by)
        assert all(one.stop == other.start for one, other in itertools.pairwise(found))
        assert found[0].start <= "2020-01-30T00:00:00.000Z"
        assert found[-1].stop >= "2020-03-03T00:00:00.000Z"


def test_a_back_fill_backwards_or_without_end_is_refused() -> None:
    with pytest.raises(SettingsError, match="in order"):
        window.between("2020-02", "2019-12")
    with pytest.raises(SettingsError, match="fewer"):
        window.between("1900-01-01", "2199-01-01", by="day")
