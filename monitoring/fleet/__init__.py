"""The fleet: one false-alarm rate over all streams of the monitor, and one page that lists them by evidence."""
