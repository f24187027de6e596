"""The page of the estimates without labels names its command without paths, the rows it is of, and each target that is missed."""

from benchmarks import estimate
from benchmarks.estimate import Way

PEER = Way("car_loan", "accuracy", 4000, "NannyML's CBPE", 0.010, 0.001, 0.3)


def test_the_page_holds_no_path_and_says_which_rows_it_is_of(monkeypatch):
    monkeypatch.setattr("sys.argv", ["estimate.py", "--tables", ".", "--folder", "env"])
    ours = Way("car_loan", "accuracy", 4000, "ours, default", 0.009, 0.001, 0.09)
    page = estimate.page([ours, PEER], {"car_loan": 100_000}, rounds=5)
    assert "Written by `python -m benchmarks.estimate --tables FOLDER`." in page
    assert "all rows of each" in page and "the best of 5 rounds" in page and "met on every table and chunk size" in page
    assert "| car_loan | accuracy | 4,000 | ours, default | 0.0090 | +0.0010 | 0.090 | 0.30 |" in page
    assert "10,000 of 100,000 rows of car_loan" in estimate.page([ours, PEER], {"car_loan": 10_000}, rounds=1)


def test_an_error_or_a_time_over_the_peers_is_named():
    slow = Way("car_loan", "accuracy", 4000, "ours, default", 0.011, 0.001, 0.2)
    assert "NOT met: error and time of car_loan in chunks of 4,000" in estimate.page([slow, PEER], {"car_loan": 100_000}, rounds=5)
