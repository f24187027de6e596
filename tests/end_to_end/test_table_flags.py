"""The flags that say how a table is written reach the reader, from a script as a person starts it."""

from pathlib import Path

from script_fixtures import Workshop


def test_the_flags_reach_the_table(tmp_path: Path, workshop: Workshop) -> None:
    path = tmp_path / "own.csv"
    rows = [f"2024-01-01 0{hour}:00#{hour}#{hour % 2}" for hour in range(8)]
    path.write_bytes("\n".join(["time#Wärme#label", *rows]).encode("latin-1"))
    flags = ("--data_path", path, "--target", "label", "--time_column", "time")
    assert "give its --encoding, perhaps latin-1" in workshop.run("base_model", *flags).complaint("base_model")
    told = workshop.run("base_model", *flags, "--encoding", "latin-1", "--separator", "#", "--features", "Wärme").complaint("base_model")
    assert "8 rows" in told  # read, and too few to train on
    assert "is not an encoding that Python knows" in workshop.run("base_model", *flags, "--encoding", "latin-99").complaint("base_model")
    assert "is not a separator" in workshop.run("base_model", *flags, "--separator", "ab").complaint("base_model")


def test_the_scripts_take_the_flags_of_times(workshop: Workshop, tmp_path: Path) -> None:
    path = tmp_path / "days.csv"
    path.write_text("time,x,target\n" + "".join(f"0{day}/03/2024 {hour:02}:00,{hour},{hour % 2}\n" for day in (5, 6, 7) for hour in range(24)))
    flags = ("--data_path", path, "--time_column", "time")
    assert "give --time_format '%d/%m/%Y %H:%M' or" in workshop.run("base_model", *flags).complaint("base_model")
    early = workshop.run("base_model", *flags, "--time_format", "%d/%m/%Y %H:%M", "--time_zone", "Europe/Berlin", "--train_until", "2024-03-05T01:00")
    # Midnight in Berlin is 23:00 in UTC the day before, for the flag as for the rows.
    assert "1 of 72 rows are before it" in early.complaint("base_model")
    assert "did you mean '%d/%m/%Y %H:%M'?" in workshop.run("base_model", *flags, "--time_format", "dd/MM/yyyy HH:mm").complaint("base_model")
    assert "did you mean Europe/Berlin?" in workshop.run("base_model", *flags, "--time_zone", "Europe/Berln").complaint("base_model")
