"""The names of the drift rules, for the catalogue and for the flags, which must not import the rules' libraries."""

from typing import Final

DETECTORS: Final = ("adwin", "ddm", "eddm", "hddm_a", "hddm_w", "kswin", "page_hinkley")  # river's
WATCHING: Final = ("threshold", "significant", *DETECTORS, "never")  # need no further setting
NAMES: Final = (*WATCHING, "every", "random")  # the last two are policies of the back-test

EVERY: Final = 7  # blocks: a week where a block is a day
RATE: Final = 1 / EVERY  # the same number of alarms
